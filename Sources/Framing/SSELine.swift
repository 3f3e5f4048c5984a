// One line of an event stream, told apart by its field name.

/// A line and what it means (WHATWG HTML, section 9.2.6: "interpreting an event stream").
struct SSELine {
    enum Kind { case blank, comment, data, event, ignored, stray }

    let kind: Kind
    /// Where the value of a field stands, or the text of a comment, or a stray line as a whole.
    let value: Range<Int>

    /// Reads the line at `whole`, which does not include its end. The first line of a stream may
    /// begin with a byte order mark.
    init(_ bytes: Span<UInt8>, _ whole: Range<Int>, isFirst: Bool) {
        var line = whole
        if isFirst, Self.begins(bytes, line, with: "\u{FEFF}") {
            line = (line.lowerBound + 3)..<line.upperBound
        }
        guard let first = line.first else {
            (kind, value) = (.blank, line)
            return
        }
        let known: (kind: Kind, name: StaticString)?
        switch bytes[first] {
        case UInt8(ascii: ":"):
            (kind, value) = (.comment, (first + 1)..<line.upperBound)
            return
        case UInt8(ascii: "d"): known = (.data, "data")
        case UInt8(ascii: "e"): known = (.event, "event")
        case UInt8(ascii: "i"): known = (.ignored, "id")
        case UInt8(ascii: "r"): known = (.ignored, "retry")
        default: known = nil
        }
        if let known, Self.begins(bytes, line, with: known.name),
            let valueStart = Self.valueStart(bytes, line, after: known.name)
        {
            (kind, value) = (known.kind, valueStart..<line.upperBound)
        } else {
            (kind, value) = (.stray, line)
        }
    }

    /// Where the value begins: after the colon and one space; `nil` if the name goes on. A name
    /// without a colon is a field with an empty value.
    private static func valueStart(
        _ bytes: Span<UInt8>, _ line: Range<Int>, after name: StaticString
    ) -> Int? {
        let colon = line.lowerBound + name.utf8CodeUnitCount
        if colon == line.upperBound { return colon }
        guard bytes[colon] == UInt8(ascii: ":") else { return nil }
        let hasSpace = colon + 1 < line.upperBound && bytes[colon + 1] == UInt8(ascii: " ")
        return colon + (hasSpace ? 2 : 1)
    }

    private static func begins(
        _ bytes: Span<UInt8>, _ line: Range<Int>, with prefix: StaticString
    ) -> Bool {
        guard line.count >= prefix.utf8CodeUnitCount else { return false }
        for i in 0..<prefix.utf8CodeUnitCount {
            // Safe: `i` is below the count of the literal.
            let wanted = unsafe prefix.utf8Start[i]
            guard bytes[line.lowerBound + i] == wanted else { return false }
        }
        return true
    }
}
