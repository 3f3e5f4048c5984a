// Queues in the order in which their heads are asked, without sorting more than is needed.

/// A queue with somebody in it, by the rank of who is next.
struct RankedPool: Comparable {
    var rank: Rank
    var pool: Int

    static func < (first: RankedPool, second: RankedPool) -> Bool { first.rank < second.rank }
}

/// Gives the least element first. Most passes need one or two of many, so sorting them all would
/// be work for nothing.
struct MinHeap<Element: Comparable> {
    private var elements: [Element]

    init(_ elements: [Element]) {
        self.elements = elements
        for index in elements.indices.prefix(elements.count / 2).reversed() { sink(index) }
    }

    mutating func insert(_ element: Element) {
        elements.append(element)
        var index = elements.count - 1
        while index > 0, elements[index] < elements[(index - 1) / 2] {
            elements.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    mutating func popFirst() -> Element? {
        guard let last = elements.popLast() else { return nil }
        guard let first = elements.first else { return last }
        elements[0] = last
        sink(0)
        return first
    }

    private mutating func sink(_ start: Int) {
        var index = start
        while true {
            let children = (2 * index + 1)..<min(2 * index + 3, max(elements.count, 2 * index + 1))
            guard let least = children.min(by: { elements[$0] < elements[$1] }),
                elements[least] < elements[index]
            else { return }
            elements.swapAt(index, least)
            index = least
        }
    }
}
