// JSON as a tree, read by a parser of its own, so that tests do not judge our scanner by itself.

/// A JSON value. Members keep their order, and compare in any order.
public indirect enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    /// A number, as it is written.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([JSONMember])

    /// Reads exactly one value; `nil` if the bytes are anything else, or not UTF-8.
    public init?(_ bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes)
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        var parser = Parser(rest: Array(text.unicodeScalars)[...])
        guard let value = parser.value() else { return nil }
        parser.skipSpace()
        guard parser.rest.isEmpty else { return nil }
        self = value
    }

    /// The value of a member; `nil` if there is none, or this is no object.
    public subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.key == key }?.value
    }

    /// The text of a string.
    public var string: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// The value of an integer.
    public var int: Int? {
        guard case .number(let text) = self else { return nil }
        return Int(text)
    }

    /// The value of a number.
    public var double: Double? {
        guard case .number(let text) = self else { return nil }
        return Double(text)
    }

    /// The elements of an array; empty for anything else.
    public var elements: [JSONValue] {
        guard case .array(let elements) = self else { return [] }
        return elements
    }

    /// The keys of an object in their order; empty for anything else.
    public var keys: [String] {
        guard case .object(let members) = self else { return [] }
        return members.map(\.key)
    }

    /// Equal in meaning: members in any order, numbers by value.
    public static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): return true
        case (.bool(let a), .bool(let b)): return a == b
        case (.number(let a), .number(let b)): return a == b || Double(a) == Double(b)
        case (.string(let a), .string(let b)): return a.utf8.elementsEqual(b.utf8)
        case (.array(let a), .array(let b)): return a == b
        case (.object(let a), .object(let b)):
            guard a.count == b.count else { return false }
            return a.allSatisfy { member in
                b.contains { $0.key == member.key && $0.value == member.value }
            }
        default: return false
        }
    }
}

/// A member of an object.
public struct JSONMember: Sendable, Equatable {
    /// The key, escapes undone.
    public let key: String
    /// The value.
    public let value: JSONValue

    /// Makes a member.
    public init(_ key: String, _ value: JSONValue) {
        self.key = key
        self.value = value
    }
}

/// Reads by the grammar of RFC 8259, one method a rule.
private struct Parser {
    var rest: ArraySlice<Unicode.Scalar>

    mutating func skipSpace() {
        while let first = rest.first, " \t\n\r".unicodeScalars.contains(first) {
            rest.removeFirst()
        }
    }

    mutating func value() -> JSONValue? {
        skipSpace()
        switch rest.first {
        case "{": return object()
        case "[": return array()
        case "\"": return string().map(JSONValue.string)
        case "t": return word("true") ? .bool(true) : nil
        case "f": return word("false") ? .bool(false) : nil
        case "n": return word("null") ? .null : nil
        default: return number()
        }
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard rest.first == scalar else { return false }
        rest.removeFirst()
        return true
    }

    private mutating func word(_ word: String) -> Bool {
        word.unicodeScalars.allSatisfy { take($0) }
    }

    private mutating func object() -> JSONValue? {
        var members: [JSONMember] = []
        guard take("{") else { return nil }
        skipSpace()
        if take("}") { return .object([]) }
        repeat {
            skipSpace()
            guard let key = string() else { return nil }
            skipSpace()
            guard take(":"), let value = value() else { return nil }
            members.append(JSONMember(key, value))
            skipSpace()
        } while take(",")
        return take("}") ? .object(members) : nil
    }

    private mutating func array() -> JSONValue? {
        var elements: [JSONValue] = []
        guard take("[") else { return nil }
        skipSpace()
        if take("]") { return .array([]) }
        repeat {
            guard let value = value() else { return nil }
            elements.append(value)
            skipSpace()
        } while take(",")
        return take("]") ? .array(elements) : nil
    }

    private mutating func number() -> JSONValue? {
        var text = ""
        while let first = rest.first, "+-.eE0123456789".unicodeScalars.contains(first) {
            text.unicodeScalars.append(first)
            rest.removeFirst()
        }
        return Double(text) == nil ? nil : .number(text)
    }

    private mutating func string() -> String? {
        var units: [UInt16] = []
        guard take("\"") else { return nil }
        while let first = rest.popFirst() {
            switch first {
            case "\"": return String(decoding: units, as: UTF16.self)
            case "\\":
                guard let unit = escape() else { return nil }
                units.append(unit)
            case _ where first.value < 0x20: return nil
            default: units.append(contentsOf: String(first).utf16)
            }
        }
        return nil
    }

    private mutating func escape() -> UInt16? {
        switch rest.popFirst() {
        case "n": return 10
        case "t": return 9
        case "r": return 13
        case "b": return 8
        case "f": return 12
        case "u":
            let digits = String(String.UnicodeScalarView(rest.prefix(4)))
            rest = rest.dropFirst(4)
            return digits.count == 4 ? UInt16(digits, radix: 16) : nil
        case let plain? where "\"\\/".unicodeScalars.contains(plain): return UInt16(plain.value)
        case _?, nil: return nil
        }
    }
}
