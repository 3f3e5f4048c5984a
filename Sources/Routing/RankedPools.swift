// Queues in the order in which their heads are asked, without sorting more than is needed.

/// A queue with somebody in it, by the rank of who is next.
struct RankedPool {
    var rank: Rank
    var pool: Int
}

/// Gives the queue with the least rank first. Most passes need one or two of many, so sorting them
/// all would be work for nothing.
struct RankedPools {
    private var elements: [RankedPool]

    /// A binary heap: no element is before the one at half its index.
    init(_ elements: [RankedPool]) {
        self.elements = elements
        // The second half has nothing below it.
        for index in elements.indices.prefix(elements.count / 2).reversed() { sink(index) }
    }

    mutating func insert(_ element: RankedPool) {
        elements.append(element)
        var index = elements.count - 1
        while index > 0, isBefore(index, (index - 1) / 2) {
            elements.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    mutating func popFirst() -> RankedPool? {
        guard let last = elements.popLast() else { return nil }
        guard let first = elements.first else { return last }
        elements[0] = last
        sink(0)
        return first
    }

    private func isBefore(_ first: Int, _ second: Int) -> Bool {
        elements[first].rank < elements[second].rank
    }

    /// Exchanges an element with the lesser of the two below it until neither is before it.
    private mutating func sink(_ start: Int) {
        var index = start
        while 2 * index + 1 < elements.count {
            var child = 2 * index + 1
            if child + 1 < elements.count, isBefore(child + 1, child) { child += 1 }
            guard isBefore(child, index) else { return }
            elements.swapAt(index, child)
            index = child
        }
    }
}
