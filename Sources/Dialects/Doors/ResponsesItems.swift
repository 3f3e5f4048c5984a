// The items of a response as its events tell of them.

internal import JSON

/// One item of a response's output.
struct ResponsesItem: Sendable {
    /// Its id, as JSON.
    let id: [UInt8]
    let index: Int
    /// Whether a content part was begun.
    var hasPart = false
    /// Whether the arguments of a call were told whole.
    var hasArguments = false
    /// The text or arguments that have passed as deltas.
    var tally = TextTally()
}

extension JSONText {
    /// The number as an index among parts of an answer, unless no answer could have so many: one
    /// can be added to it.
    var upstreamIndex: Int? {
        guard let int, 0..<(1 << 31) ~= int else { return nil }
        return int
    }
}

/// All items of a response so far, in the order in which they began.
struct ResponsesItems: Sendable {
    private var items: [ResponsesItem] = []

    /// Items beyond it would cost memory that no answer needs: a call is an item.
    static let limit = 4096

    var isFull: Bool { items.count >= Self.limit }

    /// The place of the item `id`; without an id, of the last one.
    func find(_ id: JSONText?) -> Int? {
        guard let id else { return items.indices.last }
        return items.lastIndex { $0.id.elementsEqual(id.bytes) }
    }

    /// Begins an item. `index` is the upstream's own number for it.
    mutating func begin(_ id: [UInt8], index: JSONText?) -> Int {
        let next = (items.last?.index ?? -1) + 1
        items.append(ResponsesItem(id: id, index: index?.upstreamIndex ?? next))
        return items.count - 1
    }

    subscript(place: Int) -> ResponsesItem {
        get { items[place] }
        set { items[place] = newValue }
    }
}
