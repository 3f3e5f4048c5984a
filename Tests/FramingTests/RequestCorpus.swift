// Reads the tables of Tests/Fixtures/requests; their README says how they are written.

import Framing
import TestSupport

/// One connection's bytes and what should come of them.
struct RequestCase {
    let name: String
    let bytes: [UInt8]
    /// The expected lines, their escapes resolved; see `RequestRun.lines`.
    let expected: [[UInt8]]
}

/// The limits the tables are written for.
let corpusLimits = RequestLimits(requestLine: 100, head: 400, headFields: 10, body: 50)

/// The tables, by file name.
func requestTables() throws -> [String] {
    try fixtureNames(in: "requests").filter { $0.hasSuffix(".txt") }
}

/// The cases of one table.
func requestCases(in table: String) throws -> [RequestCase] {
    struct Malformed: Error { let line: Substring }
    var cases: [RequestCase] = []
    var name: Substring?
    var bytes: [UInt8] = []
    var expected: [[UInt8]] = []
    func finish() {
        if let name { cases.append(.init(name: String(name), bytes: bytes, expected: expected)) }
        (name, bytes, expected) = (nil, [], [])
    }
    let text = String(decoding: try fixture("requests/" + table), as: UTF8.self)
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
        let content = line.dropFirst(2)
        if !line.hasPrefix(" ") {
            finish()
            name = line
        } else if content == ">" {
            continue
        } else if content.hasPrefix("> ") {
            bytes += unescaped(content.dropFirst(2))
        } else if let mark = content.first, "=!?".contains(mark) {
            expected.append(unescaped(content))
        } else {
            throw Malformed(line: line)
        }
    }
    finish()
    return cases
}

/// The bytes meant by a line of a table.
func unescaped(_ text: Substring) -> [UInt8] {
    var rest = text.unicodeScalars[...]
    return unescaped(&rest)
}

/// Resolves escapes up to the end or, inside a repetition, up to its closing brace.
private func unescaped(_ rest: inout Substring.UnicodeScalarView, inBraces: Bool = false) -> [UInt8]
{
    var bytes: [UInt8] = []
    while let scalar = rest.popFirst() {
        switch scalar {
        case "⏎": bytes += [0x0D, 0x0A]
        case "}" where inBraces: return bytes
        case "\\": bytes += escape(&rest)
        default: bytes += Array(String(scalar).utf8)
        }
    }
    return bytes
}

/// What a backslash and the characters after it stand for.
private func escape(_ rest: inout Substring.UnicodeScalarView) -> [UInt8] {
    switch rest.popFirst() {
    case "r": return [0x0D]
    case "n": return [0x0A]
    case "t": return [0x09]
    case "0": return [0x00]
    case "s": return [0x20]
    case "x":
        let digits = String(rest.prefix(2))
        rest.removeFirst(2)
        return UInt8(digits, radix: 16).map { [$0] } ?? []
    case "{":
        let digits = String(rest.prefix { $0 != ":" })
        rest.removeFirst(digits.unicodeScalars.count + 1)
        let text = unescaped(&rest, inBraces: true)
        return Array(repeatElement(text, count: Int(digits) ?? 0).joined())
    case let other: return other.map { Array(String($0).utf8) } ?? []
    }
}
