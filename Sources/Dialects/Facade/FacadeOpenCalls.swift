// The calls of one turn that have no result yet, found by id, by name or in turn.

/// Finds calls without a walk over the others: a turn may have as many as a body has room for, and
/// as many results.
struct FacadeOpenCalls {
    /// Positions in the order of the calls. What was taken elsewhere is passed over when its turn
    /// comes, so that each costs its own time only.
    private struct Queue {
        var positions: [Int] = []
        var next = 0
    }

    /// All calls; an id that was taken is `nil`.
    private var ids: [[UInt8]?] = []
    private var next = 0
    private var byName: [String: Queue] = [:]
    private var byID: [[UInt8]: [Int]] = [:]

    /// Adds a call: its id, as a JSON string, and the function's name.
    mutating func append(_ id: [UInt8], _ name: String) {
        byName[name, default: Queue()].positions.append(ids.count)
        byID[id, default: []].append(ids.count)
        ids.append(id)
    }

    /// Takes all calls with this id.
    mutating func remove(id: [UInt8]) {
        for position in byID.removeValue(forKey: id) ?? [] { ids[position] = nil }
    }

    /// Takes the first call of the function, else the first of all; returns its id, or `nil` if no
    /// call is left.
    mutating func removeNext(named name: String?) -> [UInt8]? {
        if let name, let id = removeFirst(named: name) { return id }
        while next < ids.count {
            next += 1
            if let id = take(next - 1) { return id }
        }
        return nil
    }

    private mutating func removeFirst(named name: String) -> [UInt8]? {
        guard var queue = byName[name] else { return nil }
        // Changed in place, not as a copy.
        byName[name] = nil
        defer { byName[name] = queue.next < queue.positions.count ? queue : nil }
        while queue.next < queue.positions.count {
            queue.next += 1
            if let id = take(queue.positions[queue.next - 1]) { return id }
        }
        return nil
    }

    private mutating func take(_ position: Int) -> [UInt8]? {
        defer { ids[position] = nil }
        return ids[position]
    }
}
