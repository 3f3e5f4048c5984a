// Which place has served which conversation, as far as memory goes.

/// Hashes the beginnings of a conversation: one hash after each message.
///
/// The hash only chooses between places that all could serve, so a collision costs a prompt that is
/// evaluated anew, nothing else. It need not withstand attackers.
public struct PrefixHasher: Sendable {
    /// How many hashes are kept, the last ones.
    ///
    /// A request is found by the end of the one before it in its conversation. Between the two lie
    /// an answer and a question, or an answer with some tool calls and their results: far fewer
    /// messages than these. The bound keeps a decision short in conversations of thousands.
    public static let limit = 32

    private var hash: UInt64 = 0x9E37_79B9_7F4A_7C15
    private var word: UInt64 = 0
    private var length: UInt64 = 0
    private var all: [UInt64] = []

    /// Begins a conversation with what clients call `model`: another model has none of its cache.
    public init(model: String) {
        var model = model
        model.withUTF8 { bytes in unsafe add(bytes.span) }
        closePiece()
    }

    /// Takes the next bytes of a message, its role and then its content. How they are cut does not
    /// matter.
    public mutating func add(_ bytes: Span<UInt8>) {
        for index in bytes.indices {
            word = word << 8 | UInt64(bytes[index])
            length &+= 1
            if length & 7 == 0 { mix(word) }
        }
    }

    /// The message is complete.
    public mutating func endMessage() {
        closePiece()
        all.append(hash)
    }

    /// The hashes after the last `limit` messages, from the fewest messages to all of them.
    public var prefixes: [UInt64] { Array(all.suffix(Self.limit)) }

    private mutating func closePiece() {
        mix(word)
        // Else a message that is another's beginning and zeros would have its hash.
        mix(length)
        (word, length) = (0, 0)
    }

    /// The finishing steps of MurmurHash3 over what came before and eight bytes more.
    private mutating func mix(_ value: UInt64) {
        var state = hash ^ value
        state = (state ^ state >> 33) &* 0xFF51_AFD7_ED55_8CCD
        state = (state ^ state >> 33) &* 0xC4CE_B9FE_1A85_EC53
        hash = state ^ state >> 33
    }
}

/// Remembers where conversations were served; of more than it can hold it forgets the oldest.
///
/// Only the end of each request is remembered, the hash of all its messages. A later turn of the
/// conversation has that among its prefixes. The system prompt that many conversations begin with
/// is the end of none, so it binds nobody to the backend that happened to see it first: each
/// backend has it in its cache after its own first conversation anyway.
public struct Affinity: Sendable {
    private struct Entry: Sendable {
        var prefix: UInt64
        var place: Int
        var newer: Int?
        var older: Int?
    }

    private let capacity: Int
    private var entries: [Entry] = []
    private var index: [UInt64: Int] = [:]
    private var newest: Int?
    private var oldest: Int?

    /// Room for `capacity` requests, at least 1.
    public init(capacity: Int) {
        self.capacity = max(capacity, 1)
        index.reserveCapacity(self.capacity)
    }

    /// How many are remembered.
    public var count: Int { entries.count }

    /// Where the request with these messages was served last. Places are numbers of the caller's.
    public func place(of prefix: UInt64) -> Int? {
        index[prefix].map { entries[$0].place }
    }

    /// The places that have served a beginning of the conversation, the longest first, each once
    /// with the number of messages (counted as `prefixes` counts them).
    public func places(for prefixes: [UInt64]) -> [(place: Int, length: Int)] {
        var found: [(place: Int, length: Int)] = []
        for (offset, prefix) in prefixes.enumerated().reversed() {
            guard let place = place(of: prefix), !found.contains(where: { $0.place == place })
            else { continue }
            found.append((place, offset + 1))
        }
        return found
    }

    /// Notes that the request with these messages is served at `place`.
    public mutating func remember(_ prefix: UInt64, at place: Int) {
        if let known = index[prefix] {
            entries[known].place = place
            unlink(known)
            linkAsNewest(known)
        } else if entries.count < capacity {
            entries.append(Entry(prefix: prefix, place: place))
            index[prefix] = entries.count - 1
            linkAsNewest(entries.count - 1)
        } else if let victim = oldest {
            index[entries[victim].prefix] = nil
            unlink(victim)
            entries[victim] = Entry(prefix: prefix, place: place)
            index[prefix] = victim
            linkAsNewest(victim)
        }
    }

    private mutating func unlink(_ entry: Int) {
        let (newer, older) = (entries[entry].newer, entries[entry].older)
        if let newer { entries[newer].older = older } else { newest = older }
        if let older { entries[older].newer = newer } else { oldest = newer }
    }

    private mutating func linkAsNewest(_ entry: Int) {
        entries[entry].newer = nil
        entries[entry].older = newest
        if let newest { entries[newest].newer = entry } else { oldest = entry }
        newest = entry
    }
}
