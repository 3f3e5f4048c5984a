// One field line of an upstream's answer, and the comparisons that reading a head needs.

/// A field line, as ranges of the head's bytes (RFC 9112, section 5).
struct ResponseLine: Sendable, Equatable {
    let name: Range<Int>
    /// Without white space around it.
    let value: Range<Int>

    /// Reads one line, its end not included.
    init(_ bytes: Span<UInt8>, _ line: Range<Int>) throws(ResponseRefusal) {
        // Section 5.2 lets us choose between refusing and mending a folded line.
        guard !Self.isBlank(bytes[line.lowerBound]) else { throw .foldedField }
        var colon = line.lowerBound
        while colon < line.upperBound, Self.isToken(bytes[colon]) { colon += 1 }
        guard colon > line.lowerBound, colon < line.upperBound,
            bytes[colon] == UInt8(ascii: ":")
        else { throw .fieldName }
        name = line.lowerBound..<colon
        value = Self.trimmed(bytes, (colon + 1)..<line.upperBound)
        for i in value {
            guard Self.isText(bytes[i]) else { throw .fieldValue }
        }
    }

    /// Whether this is the field `name`, given in lower case.
    func isNamed(_ name: StaticString, in bytes: Span<UInt8>) -> Bool {
        Self.equals(bytes, self.name, name)
    }

    /// Where the line that begins at `start` ends, and where the next one begins.
    static func end(_ bytes: Span<UInt8>, _ start: Int) -> (text: Int, next: Int) {
        guard let end = firstIndex(of: .lineFeed, or: .lineFeed, in: bytes, from: start) else {
            return (bytes.count, bytes.count)
        }
        let hasReturn = end > start && bytes[end - 1] == .carriageReturn
        return (hasReturn ? end - 1 : end, end + 1)
    }

    /// Hands out the items of a comma-separated list, empty ones left out (RFC 9110, section
    /// 5.6.1).
    static func forEachListItem(
        _ bytes: Span<UInt8>, _ value: Range<Int>, _ body: (Range<Int>) -> Void
    ) {
        var start = value.lowerBound
        while start < value.upperBound {
            var end = start
            while end < value.upperBound, bytes[end] != UInt8(ascii: ",") { end += 1 }
            let item = trimmed(bytes, start..<end)
            if !item.isEmpty { body(item) }
            start = end + 1
        }
    }

    /// Whether the bytes in `range` are `word`, compared without case.
    static func equals(_ bytes: Span<UInt8>, _ range: Range<Int>, _ word: StaticString) -> Bool {
        guard range.count == word.utf8CodeUnitCount else { return false }
        for i in 0..<range.count {
            // Safe: `i` is below the count of the literal.
            let wanted = unsafe word.utf8Start[i]
            guard lowercased(bytes[range.lowerBound + i]) == lowercased(wanted) else {
                return false
            }
        }
        return true
    }

    /// Whether `word` stands at `start`, compared with case.
    static func matches(_ bytes: Span<UInt8>, _ start: Int, _ word: StaticString) -> Bool {
        guard bytes.count - start >= word.utf8CodeUnitCount else { return false }
        for i in 0..<word.utf8CodeUnitCount {
            // Safe: `i` is below the count of the literal.
            let wanted = unsafe word.utf8Start[i]
            guard bytes[start + i] == wanted else { return false }
        }
        return true
    }

    /// What may stand in a field value or a reason: no controls but the tab (RFC 9110, 5.5).
    static func isText(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte != 0x7F || byte == 0x09
    }

    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    private static func trimmed(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Range<Int> {
        var (start, end) = (range.lowerBound, range.upperBound)
        while start < end, isBlank(bytes[start]) { start += 1 }
        while end > start, isBlank(bytes[end - 1]) { end -= 1 }
        return start..<end
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    }

    /// The characters of a token (RFC 9110, section 5.6.2).
    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"),
            UInt8(ascii: "&"), UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"),
            UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "^"), UInt8(ascii: "_"),
            UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
            true
        default: false
        }
    }
}
