// Reading the words of one step: phrases, numbers, durations, texts with escapes.

/// Why a scenario file cannot be read.
struct ScenarioError: Error, CustomStringConvertible {
    var line: Int
    var message: String

    var description: String { "line \(line): \(message)" }
}

/// What is left of a step's text. White space between words does not matter.
struct Words {
    private(set) var rest: Substring
    let line: Int

    init(_ text: some StringProtocol, line: Int) {
        rest = Substring(text).trimmed
        self.line = line
    }

    var isEmpty: Bool { rest.isEmpty }

    /// Everything that is left.
    mutating func remainder() -> String {
        defer { rest = "" }
        return String(rest)
    }

    /// Takes whole words if they are next.
    mutating func take(_ phrase: String) -> Bool {
        guard rest.hasPrefix(phrase) else { return false }
        let after = rest.dropFirst(phrase.count)
        guard after.isEmpty || after.first == " " || phrase.last == ":" else { return false }
        rest = after.trimmed
        return true
    }

    mutating func word() throws(ScenarioError) -> String {
        let word = rest.prefix { $0 != " " }
        guard !word.isEmpty else { throw fail("a word is missing") }
        rest = rest.dropFirst(word.count).trimmed
        return String(word)
    }

    /// Takes a number if one is next.
    mutating func number() -> Int? {
        let word = rest.prefix { $0 != " " }
        guard let number = Int(word) else { return nil }
        rest = rest.dropFirst(word.count).trimmed
        return number
    }

    /// `5 ms`, `50ms`, `1 s`.
    mutating func duration() throws(ScenarioError) -> Duration {
        let digits = rest.prefix(while: \.isNumber)
        guard let count = Int(digits) else { throw fail("a duration is missing") }
        rest = rest.dropFirst(digits.count).trimmed
        if take("ms") { return .milliseconds(count) }
        if take("s") { return .seconds(count) }
        throw fail("a duration needs a unit: ms or s")
    }

    /// `8 MiB`, `64 KiB`, `100 bytes`.
    mutating func size() throws(ScenarioError) -> Int {
        guard let count = number() else { throw fail("a size is missing") }
        for (unit, factor) in [("MiB", 1 << 20), ("KiB", 1 << 10), ("bytes", 1), ("byte", 1)]
        where take(unit) {
            return count * factor
        }
        throw fail("a size needs a unit: bytes, KiB or MiB")
    }

    /// A text in quotes; what follows it is left.
    mutating func quoted() throws(ScenarioError) -> String {
        guard rest.first == "\"" else { throw fail("a text in quotes is missing") }
        let text = rest.dropFirst()
        guard let end = text.firstIndex(of: "\"") else { throw fail("a quote is not closed") }
        rest = text[text.index(after: end)...].trimmed
        return String(text[..<end])
    }

    /// Takes `not before 40 ms` and `within 5 ms` off the end.
    mutating func window() throws(ScenarioError) -> Scenario.Window {
        var window = Scenario.Window()
        if let (before, duration) = try suffix("within") {
            window.within = duration
            rest = before
        }
        if let (before, duration) = try suffix("not before") {
            window.notBefore = duration
            rest = before
        }
        return window
    }

    private func suffix(_ phrase: String) throws(ScenarioError) -> (Substring, Duration)? {
        let words = rest.split(separator: " ")
        let count = phrase.split(separator: " ").count
        for length in [count + 1, count + 2] where words.count >= length {
            let tail = words.suffix(length)
            guard tail.prefix(count).joined(separator: " ") == phrase else { continue }
            var duration = Words(tail.dropFirst(count).joined(separator: " "), line: line)
            guard let found = try? duration.duration(), duration.isEmpty else { continue }
            let start = tail.first.map(\.startIndex) ?? rest.startIndex
            return (rest[..<start].trimmed, found)
        }
        return nil
    }

    func fail(_ message: String) -> ScenarioError { ScenarioError(line: line, message: message) }

    func expectEnd() throws(ScenarioError) {
        if !rest.isEmpty { throw fail("'\(rest)' is not understood") }
    }
}

extension Substring {
    var trimmed: Substring {
        var text = drop { $0 == " " || $0 == "\t" }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }
}

/// Writes `(abc)*1000` out; parentheses without a `*` and a number are themselves.
func repeated(_ text: String) -> String {
    var result = ""
    var rest = text[...]
    while let open = rest.firstIndex(of: "(") {
        result += rest[..<open]
        rest = rest[open...]
        let inner = rest.dropFirst().prefix { $0 != ")" }
        let after = rest[inner.endIndex...].dropFirst()
        let digits = after.dropFirst().prefix(while: \.isNumber)
        if after.first == "*", let count = Int(digits) {
            result += String(repeating: String(inner), count: count)
            rest = after[digits.endIndex...]
        } else {
            result += "("
            rest = rest.dropFirst()
        }
    }
    return result + rest
}

/// The bytes of a text with `\r`, `\n`, `\t`, `\0`, `\\` and `\xNN`, and with repetitions.
func unescaped(_ text: String, line: Int) throws(ScenarioError) -> [UInt8] {
    var bytes: [UInt8] = []
    let written = Array(repeated(text).utf8)
    // Megabytes take their time byte by byte.
    guard written.contains(UInt8(ascii: "\\")) else { return written }
    var rest = written[...]
    while let byte = rest.popFirst() {
        guard byte == UInt8(ascii: "\\") else {
            bytes.append(byte)
            continue
        }
        switch rest.popFirst() {
        case UInt8(ascii: "r"): bytes.append(13)
        case UInt8(ascii: "n"): bytes.append(10)
        case UInt8(ascii: "t"): bytes.append(9)
        case UInt8(ascii: "0"): bytes.append(0)
        case UInt8(ascii: "\\"): bytes.append(UInt8(ascii: "\\"))
        case UInt8(ascii: "x"):
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            guard let value = UInt8(digits, radix: 16), digits.count == 2 else {
                throw ScenarioError(line: line, message: "\\x needs two hexadecimal digits")
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        default:
            throw ScenarioError(
                line: line, message: "unknown escape; there are \\r \\n \\t \\0 \\\\ \\xNN")
        }
    }
    return bytes
}
