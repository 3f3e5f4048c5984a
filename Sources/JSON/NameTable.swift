// Finds the name of a member among those that a reader knows.

/// A list of names that each member of a request is looked up in.
///
/// A dictionary of strings would make a string of every key and hash it by SipHash, which costs more
/// than all else that becomes of a small field. These names are ours, so nobody can choose them to
/// collide: length, first and last byte tell most of them apart.
public struct NameTable: Sendable {
    /// The names, in the order that places count in.
    public let names: [String]
    /// The bytes of all names, one behind the other, and where each begins; behind the last its end.
    private let bytes: [UInt8]
    private let starts: [Int]
    /// The place of a name, counted from 1, in the slot it hashes to or one behind it; 0: none.
    private let slots: [UInt8]

    /// A table of at most 127 names, none of which is empty or has a character beyond ASCII.
    public init(_ names: [String]) {
        precondition(names.count < 128, "a table of names is too long")
        self.names = names
        var (bytes, starts) = ([UInt8](), [0])
        var slots = [UInt8](repeating: 0, count: 256)
        for (place, name) in names.enumerated() {
            let name = Array(name.utf8)
            var slot = Self.slot(of: name.span)
            while slots[Int(slot)] != 0 { slot &+= 1 }
            slots[Int(slot)] = UInt8(place + 1)
            bytes += name
            starts.append(bytes.count)
        }
        (self.bytes, self.starts) = (bytes, starts)
        self.slots = slots
    }

    /// The place of `name`; `nil` if it is none of them.
    public func place(of name: String) -> Int? {
        let name = name.utf8
        return place(of: name.span)
    }

    /// The place of the name whose bytes these are; `nil` if it is none of them.
    public func place(of name: Span<UInt8>) -> Int? {
        guard !name.isEmpty else { return nil }
        var slot = Self.slot(of: name)
        while case let place = Int(slots[Int(slot)]) &- 1, place >= 0 {
            if isName(place, name) { return place }
            slot &+= 1
        }
        return nil
    }

    /// The place of the name of a member whose key stands at `key` of `text`, without its quotes and
    /// still escaped.
    public func place(ofKey key: Range<Int>, in text: Span<UInt8>) -> Int? {
        let raw = text.extracting(key)
        if let place = place(of: raw) { return place }
        guard (0..<raw.count).contains(where: { raw[$0] == UInt8(ascii: "\\") }) else { return nil }
        var name: [UInt8] = []
        appendUnescaped(text, key, to: &name)
        return place(of: name.span)
    }

    private static func slot(of name: Span<UInt8>) -> UInt8 {
        UInt8(truncatingIfNeeded: name.count) &* 37 &+ name[0] &* 5 &+ name[name.count &- 1]
    }

    private func isName(_ place: Int, _ name: Span<UInt8>) -> Bool {
        let start = starts[place]
        guard starts[place &+ 1] &- start == name.count else { return false }
        for i in 0..<name.count where bytes[start &+ i] != name[i] { return false }
        return true
    }
}
