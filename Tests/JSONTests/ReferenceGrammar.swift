// RFC 8259 once more, written to be obviously right instead of fast: the judge in comparisons.

/// Whether the bytes are one JSON value, by recursive descent over Unicode scalars.
struct ReferenceGrammar {
    private var rest: ArraySlice<Unicode.Scalar>

    static func accepts(_ bytes: [UInt8]) -> Bool {
        guard let text = String(validating: bytes, as: UTF8.self) else { return false }
        var grammar = ReferenceGrammar(rest: Array(text.unicodeScalars)[...])
        return grammar.value() && grammar.rest.isEmpty
    }

    /// `ws value ws`
    private mutating func value() -> Bool {
        space()
        let isValue: Bool
        switch rest.first {
        case "{": isValue = list(from: "{", to: "}") { $0.member() }
        case "[": isValue = list(from: "[", to: "]") { $0.value() }
        case "\"": isValue = string()
        case "t": isValue = word("true")
        case "f": isValue = word("false")
        case "n": isValue = word("null")
        default: isValue = number()
        }
        space()
        return isValue
    }

    private mutating func list(
        from opening: Unicode.Scalar, to closing: Unicode.Scalar,
        _ item: (inout ReferenceGrammar) -> Bool
    ) -> Bool {
        guard take(opening) else { return false }
        space()
        if take(closing) { return true }
        repeat {
            guard item(&self) else { return false }
        } while take(",")
        return take(closing)
    }

    private mutating func member() -> Bool {
        space()
        guard string() else { return false }
        space()
        return take(":") && value()
    }

    private mutating func string() -> Bool {
        guard take("\"") else { return false }
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\"": return true
            case "\\":
                guard let escaped = rest.popFirst() else { return false }
                if escaped == "u" {
                    guard rest.count >= 4,
                        rest.prefix(4).allSatisfy({ $0.isASCII && $0.properties.isASCIIHexDigit })
                    else { return false }
                    rest = rest.dropFirst(4)
                } else if !"\"\\/bfnrt".unicodeScalars.contains(escaped) {
                    return false
                }
            case ..<" ": return false
            default: break
            }
        }
        return false
    }

    private mutating func number() -> Bool {
        _ = take("-")
        if !take("0"), !digits() { return false }
        if take("."), !digits() { return false }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            return digits()
        }
        return true
    }

    private mutating func digits() -> Bool {
        let count = rest.prefix { ("0"..."9").contains($0) }.count
        rest = rest.dropFirst(count)
        return count > 0
    }

    private mutating func word(_ word: String) -> Bool {
        guard rest.starts(with: word.unicodeScalars) else { return false }
        rest = rest.dropFirst(word.unicodeScalars.count)
        return true
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard rest.first == scalar else { return false }
        rest = rest.dropFirst()
        return true
    }

    private mutating func space() {
        rest = rest.drop { " \t\n\r".unicodeScalars.contains($0) }
    }
}
