// Walks a JSON text that was checked before, member by member, without building views of it.

import JSON

/// A cursor over checked JSON. Where `JSONScanner` would throw, this one stops: it cannot happen in
/// text that was checked as a whole.
struct RequestWalker {
    // Methods take a copy of the reference: a span borrowed from `self` would bar the scanner from
    // moving.
    let source: [UInt8]
    private var scanner: JSONScanner

    /// Makes a walker that stands before `value`.
    init(before value: JSONText) {
        self.init(in: value.source, at: value.range.lowerBound)
    }

    /// Makes a walker that stands before the value at `offset` of a checked text.
    init(in source: [UInt8], at offset: Int) {
        self.source = source
        scanner = JSONScanner(at: offset, depthLimit: .max)
    }

    /// Where it stands; after `peekKind`, at the first byte of the value that comes next.
    var offset: Int { scanner.offset }

    /// Whether the value at `range` is null, or a text of nothing but JSON's white space.
    func isBlank(_ range: Range<Int>) -> Bool {
        if source[range.lowerBound] == UInt8(ascii: "n") { return true }
        guard source[range.lowerBound] == UInt8(ascii: "\"") else { return false }
        var bytes = source[range].dropFirst().dropLast()
        while let byte = bytes.popFirst() {
            if byte == UInt8(ascii: " ") { continue }
            guard byte == UInt8(ascii: "\\"), let escape = bytes.popFirst(),
                [UInt8(ascii: "n"), UInt8(ascii: "t"), UInt8(ascii: "r")].contains(escape)
            else { return false }
        }
        return true
    }

    /// The kind of the value that comes next.
    mutating func peekKind() -> JSONKind {
        // Checked text holds no other token here; see above.
        let text = source
        return (try? scanner.peekKind(text.span)) ?? .null
    }

    /// Steps into the object that comes next.
    mutating func enterObject() {
        // As above.
        let text = source
        try? scanner.enterObject(text.span)
    }

    /// Steps into the array that comes next.
    mutating func enterArray() {
        // As above.
        let text = source
        try? scanner.enterArray(text.span)
    }

    /// The name of the next member, or `nil` at the end of the object.
    ///
    /// Names over 64 bytes come out empty: no field is called that, and none of them is worth a
    /// copy.
    mutating func nextMember() -> String? {
        // As above.
        let text = source
        guard let key = try? scanner.nextMember(text.span) else { return nil }
        return key.count <= 64 ? self.text(key) : ""
    }

    /// Whether the array has another element.
    mutating func nextElement() -> Bool {
        // As above.
        let text = source
        return (try? scanner.nextElement(text.span)) == true
    }

    /// Passes over the next value and says where it stands.
    @discardableResult
    mutating func skip() -> Range<Int> {
        // As above.
        let text = source
        return (try? scanner.skipValue(text.span)) ?? scanner.offset..<scanner.offset
    }

    /// The text of the string that comes next, if it is one of at most 64 bytes; passes over any
    /// value.
    mutating func shortString() -> String? {
        let isString = peekKind() == .string
        let range = skip()
        return isString ? shortText(range) : nil
    }

    /// The text of the string at `range`, if it is one of at most 64 bytes.
    func shortText(_ range: Range<Int>) -> String? {
        range.count <= 66 ? text((range.lowerBound + 1)..<(range.upperBound - 1)) : nil
    }

    /// What stands between the quotes of a string.
    private func text(_ range: Range<Int>) -> String {
        let raw = source[range]
        guard raw.contains(UInt8(ascii: "\\")) else { return String(decoding: raw, as: UTF8.self) }
        var text: [UInt8] = []
        appendUnescaped(source.span, range, to: &text)
        return String(decoding: text, as: UTF8.self)
    }
}
