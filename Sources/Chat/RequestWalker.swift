// Walks a JSON text member by member, without building views of it.

import JSON

/// A cursor over JSON. Where `JSONScanner` would throw, this one notes the fault and stops; that
/// cannot happen in text that was checked before.
struct RequestWalker {
    // Methods take a copy of the reference: a span borrowed from `self` would bar the scanner from
    // moving.
    let source: [UInt8]
    private var scanner: JSONScanner
    /// What is wrong with the text. What was read behind this means nothing.
    private(set) var fault: JSONError?

    /// Makes a walker that stands before `value`.
    init(before value: JSONText) {
        self.init(in: value.source, at: value.range.lowerBound)
    }

    /// Makes a walker that stands before the value at `offset` of a checked text.
    init(in source: [UInt8], at offset: Int) {
        self.source = source
        scanner = JSONScanner(at: offset, depthLimit: .max)
    }

    /// Makes a walker that checks a text on its way: it must pass over all of it, and `finish`.
    init(checking source: [UInt8], depthLimit: Int) {
        self.source = source
        scanner = JSONScanner(depthLimit: depthLimit)
    }

    /// A place to go back to.
    var mark: JSONScanner {
        get { scanner }
        set { scanner = newValue }
    }

    /// Where it stands; after `peekKind`, at the first byte of the value that comes next.
    var offset: Int { scanner.offset }

    /// Whether the value at `range` is null, or a text of nothing but JSON's white space.
    func isBlank(_ range: Range<Int>) -> Bool {
        guard let first = source[range].first else { return false }
        if first == UInt8(ascii: "n") { return true }
        guard first == UInt8(ascii: "\"") else { return false }
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
        let text = source
        do { return try scanner.peekKind(text.span) } catch { note(error) }
        return .null
    }

    /// Steps into the object that comes next.
    mutating func enterObject() {
        let text = source
        do { try scanner.enterObject(text.span) } catch { note(error) }
    }

    /// Steps into the array that comes next.
    mutating func enterArray() {
        let text = source
        do { try scanner.enterArray(text.span) } catch { note(error) }
    }

    /// Where the key of the next member stands, without its quotes; `nil` at the end of the object.
    mutating func nextKey() -> Range<Int>? {
        let text = source
        do { return try scanner.nextMember(text.span) } catch { note(error) }
        return nil
    }

    /// The name of the next member, or `nil` at the end of the object.
    ///
    /// Names over 64 bytes come out empty: no field is called that, and none of them is worth a
    /// copy.
    mutating func nextMember() -> String? {
        guard let key = nextKey() else { return nil }
        return key.count <= 64 ? self.text(key) : ""
    }

    /// Whether the array has another element.
    mutating func nextElement() -> Bool {
        let text = source
        do { return try scanner.nextElement(text.span) } catch { note(error) }
        return false
    }

    /// Passes over the next value and says where it stands.
    @discardableResult
    mutating func skip() -> Range<Int> {
        let text = source
        do { return try scanner.skipValue(text.span) } catch { note(error) }
        return scanner.offset..<scanner.offset
    }

    /// Checks that nothing but white space follows.
    mutating func finish() {
        let text = source
        do { try scanner.finish(text.span) } catch { note(error) }
    }

    /// The first fault is the text's; what follows from it is not.
    private mutating func note(_ error: JSONError) { fault = fault ?? error }

    /// The text of the string that comes next, if it is one of at most 64 bytes; passes over any
    /// value.
    mutating func shortString() -> String? {
        let isString = peekKind() == .string
        let range = skip()
        return isString ? shortText(range) : nil
    }

    /// The text of the string at `range`, if it is one of at most 64 bytes.
    func shortText(_ range: Range<Int>) -> String? {
        (2...66).contains(range.count)
            ? text((range.lowerBound + 1)..<(range.upperBound - 1)) : nil
    }

    /// What stands between the quotes of a string, escapes undone.
    func text(_ range: Range<Int>) -> String {
        let raw = source[range]
        guard raw.contains(UInt8(ascii: "\\")) else { return String(decoding: raw, as: UTF8.self) }
        var text: [UInt8] = []
        appendUnescaped(source.span, range, to: &text)
        return String(decoding: text, as: UTF8.self)
    }
}
