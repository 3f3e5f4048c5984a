// A checked JSON text and the values inside it, for paths where comfort matters more than
// nanoseconds.

/// One JSON value inside a text that was checked as a whole.
///
/// Values are views: they share the text's bytes. Looking a key up walks the object, so read a
/// large object once with `members`. Of duplicate keys the last one counts.
public struct JSONText: Sendable {
    /// The bytes of the whole text, of which this value is a part.
    public let source: [UInt8]
    /// Where this value stands in `source`, without white space around it.
    public let range: Range<Int>
    /// What this value is.
    public let kind: JSONKind

    /// Checks that `bytes` are exactly one JSON value in UTF-8, nested no deeper than `depthLimit`.
    public init(_ bytes: [UInt8], depthLimit: Int = 128) throws(JSONError) {
        var scanner = JSONScanner(depthLimit: depthLimit)
        kind = try scanner.peekKind(bytes.span)
        range = try scanner.skipValue(bytes.span)
        try scanner.finish(bytes.span)
        source = bytes
    }

    /// Makes a view of a part of a text that is, or is about to be, checked as a whole.
    public init(source: [UInt8], range: Range<Int>, kind: JSONKind) {
        self.source = source
        self.range = range
        self.kind = kind
    }

    /// One `"key": value` of an object.
    public struct Member: Sendable {
        /// The value.
        public let value: JSONText
        private let keyRange: Range<Int>

        /// A member whose key stands at `key` of the value's text, quotes included.
        public init(key: Range<Int>, value: JSONText) {
            keyRange = key
            self.value = value
        }

        /// Whether the key's text is `name`: see `JSONText.isString`.
        public func isNamed(_ name: String) -> Bool {
            value.isText((keyRange.lowerBound + 1)..<(keyRange.upperBound - 1), name)
        }

        /// The key as it stands, quotes included; `key.string` is its text.
        public var key: JSONText {
            JSONText(source: value.source, range: keyRange, kind: .string)
        }
    }

    /// The members of an object in their order, duplicates included; empty for any other kind.
    public var members: [Member] {
        guard kind == .object else { return [] }
        var members: [Member] = []
        members.reserveCapacity(8)
        var scanner = JSONScanner(at: range.lowerBound, depthLimit: .max)
        // The text was checked as a whole, so nothing below can throw; were it to, the walk ends.
        guard (try? scanner.enterObject(source.span)) != nil else { return [] }
        while let key = try? scanner.nextMember(source.span),
            let value = take(&scanner)
        {
            let quoted = (key.lowerBound - 1)..<(key.upperBound + 1)
            members.append(Member(key: quoted, value: value))
        }
        return members
    }

    /// The elements of an array in their order; empty for any other kind.
    public var elements: [JSONText] {
        guard kind == .array else { return [] }
        var elements: [JSONText] = []
        var scanner = JSONScanner(at: range.lowerBound, depthLimit: .max)
        // As in `members`: checked before, so nothing throws.
        guard (try? scanner.enterArray(source.span)) != nil else { return [] }
        while (try? scanner.nextElement(source.span)) == true, let value = take(&scanner) {
            elements.append(value)
        }
        return elements
    }

    /// The value of `key` in an object (the last one, if the key stands there twice); `nil` if
    /// there is none.
    public subscript(key: String) -> JSONText? {
        guard kind == .object else { return nil }
        var scanner = JSONScanner(at: range.lowerBound, depthLimit: .max)
        // As in `members`: checked before, so nothing throws.
        guard (try? scanner.enterObject(source.span)) != nil else { return nil }
        var found: JSONText?
        while let name = try? scanner.nextMember(source.span) {
            let isWanted = isText(name, key)
            guard isWanted else {
                guard (try? scanner.skipValue(source.span)) != nil else { return nil }
                continue
            }
            guard let value = take(&scanner) else { return nil }
            found = value
        }
        return found
    }

    /// The text of a string, escapes undone; `nil` for any other kind. A lone surrogate becomes
    /// U+FFFD.
    public var string: String? {
        guard kind == .string else { return nil }
        // Nearly always nothing is escaped.
        let plain = source[contents]
        guard plain.contains(UInt8(ascii: "\\")) else {
            return String(decoding: plain, as: UTF8.self)
        }
        return String(decoding: decodedBytes, as: UTF8.self)
    }

    /// The UTF-8 bytes of a string, escapes undone; empty for any other kind.
    public var decodedBytes: [UInt8] {
        guard kind == .string else { return [] }
        var decoded: [UInt8] = []
        decoded.reserveCapacity(range.count)
        appendUnescaped(source.span, contents, to: &decoded)
        return decoded
    }

    /// The range between the quotes of a string: its text, still escaped.
    public var contents: Range<Int> { (range.lowerBound + 1)..<(range.upperBound - 1) }

    /// Whether this is a string with exactly this text: byte for byte once escapes are undone, so
    /// that two ways to write é in Unicode are two texts.
    public func isString(_ text: String) -> Bool {
        kind == .string && isText(contents, text)
    }

    /// Whether the text of the string whose inside stands at `raw` is `text`.
    fileprivate func isText(_ raw: Range<Int>, _ text: String) -> Bool {
        let wanted = text.utf8.span
        // An escape is longer than what it stands for.
        guard raw.count >= wanted.count else { return false }
        let bytes = source.span
        var isEscaped = false
        if raw.count == wanted.count {
            for i in 0..<wanted.count {
                let byte = bytes[raw.lowerBound &+ i]
                guard byte == wanted[i], byte != UInt8(ascii: "\\") else { return false }
            }
            return true
        }
        // Nearly always the first byte tells.
        let first = bytes[raw.lowerBound]
        if first != UInt8(ascii: "\\"), wanted.isEmpty || first != wanted[0] { return false }
        for i in raw where bytes[i] == UInt8(ascii: "\\") { isEscaped = true }
        guard isEscaped else { return false }
        var decoded: [UInt8] = []
        appendUnescaped(bytes, raw, to: &decoded)
        return decoded.elementsEqual(text.utf8)
    }

    /// The number as an integer: also `2.0` and `1e3`, but nothing with a fraction or out of range.
    public var int: Int? {
        guard kind == .number else { return nil }
        if let plain = plainInteger ?? Int(description) { return plain }
        // Not `Int(exactly:)`: it links libm, which nothing else here needs.
        guard let double, double.magnitude < 0x1p63 else { return nil }
        let truncated = Int(double)
        return Double(truncated) == double ? truncated : nil
    }

    /// The number, if it is written with nothing but digits, and no more than 18 of them.
    public var plainInteger: Int? {
        guard kind == .number, range.count <= 18 else { return nil }
        let bytes = source.span
        var number = 0
        for i in range {
            let digit = bytes[i] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            number = number &* 10 &+ Int(digit)
        }
        return number
    }

    /// The number as a floating-point value; `nil` for any other kind and for numbers beyond its
    /// range.
    public var double: Double? {
        guard kind == .number, let value = Double(description), value.isFinite else { return nil }
        return value
    }

    /// The value of `true` or `false`; `nil` for any other kind.
    public var bool: Bool? {
        kind == .bool ? source[range.lowerBound] == UInt8(ascii: "t") : nil
    }

    /// Whether this is `null`.
    public var isNull: Bool { kind == .null }

    /// The bytes of this value as they stand.
    public var bytes: ArraySlice<UInt8> { source[range] }

    private func take(_ scanner: inout JSONScanner) -> JSONText? {
        // As in `members`: checked before, so nothing throws.
        guard let kind = try? scanner.peekKind(source.span),
            let range = try? scanner.skipValue(source.span)
        else { return nil }
        return JSONText(source: source, range: range, kind: kind)
    }
}

extension JSONText: CustomStringConvertible {
    /// The JSON text of this value as it stands.
    public var description: String { String(decoding: source[range], as: UTF8.self) }
}
