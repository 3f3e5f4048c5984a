// Durations, sizes and numbers as they are written in the configuration and on the command line.

/// A text that is no value of its type. The message says what would be one.
public struct ValueError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong, and what would be right.
    public let description: String

    /// Tells what is wrong, and what would be right.
    public init(_ description: String) { self.description = description }
}

/// Reads `250ms`, `5s`, `10m`, `1h`, or whole seconds; `off` is `nil`.
public func parseDuration(_ text: String) throws(ValueError) -> Duration? {
    if text == "off" { return nil }
    let milliseconds = product(of: text, units: durationUnits + [("", 1000)])
    guard let milliseconds else {
        throw ValueError("\(quoted(text)) is not a duration; write it like 250ms, 5s, 10m or 1h")
    }
    return .milliseconds(milliseconds)
}

/// Reads `64KiB`, `16MiB`, `1GiB`, or whole bytes.
public func parseSize(_ text: String) throws(ValueError) -> Int {
    guard let bytes = product(of: text, units: sizeUnits + [("B", 1), ("", 1)]) else {
        throw ValueError("\(quoted(text)) is not a size; write it like 512, 64KiB, 16MiB or 1GiB")
    }
    return bytes
}

/// Reads a whole number that is not negative.
public func parseCount(_ text: String) throws(ValueError) -> Int {
    guard let count = product(of: text, units: [("", 1)]) else {
        throw ValueError("\(quoted(text)) is not a whole number; write digits only")
    }
    return count
}

/// Reads one of the words of an enumeration, and suggests the nearest one.
public func parseChoice<Choice>(_ text: String, as type: Choice.Type) throws(ValueError) -> Choice
where Choice: RawRepresentable<String> & CaseIterable {
    if let choice = Choice(rawValue: text) { return choice }
    let words = Choice.allCases.map(\.rawValue)
    throw ValueError("\(quoted(text)) is not known; write \(alternatives(words))")
}

/// Writes a duration in the largest unit that holds it whole: `10m`, `90s`; `nil` is `off`.
public func durationText(_ duration: Duration?) -> String {
    guard let duration else { return "off" }
    let (seconds, attoseconds) = duration.components
    // Beyond what can be written in a file; but no value may stop the program when it is shown.
    guard abs(seconds) < 1 << 50 else { return "\(seconds)s" }
    let milliseconds = Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000)
    if milliseconds == 0 { return "0s" }
    return text(of: milliseconds, units: durationUnits)
}

/// Writes a size in the largest unit that holds it whole: `256KiB`, `1000`.
public func sizeText(_ bytes: Int) -> String {
    bytes == 0 ? "0" : text(of: bytes, units: sizeUnits + [("", 1)])
}

// The largest unit first: the writers take the first that fits.
private let durationUnits = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)]
private let sizeUnits = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]

/// The number at the start of `text` times its unit; `nil` if there is no number, no such unit, or
/// no such `Int`.
private func product(of text: String, units: [(name: String, factor: Int)]) -> Int? {
    let digits = text.utf8.prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
    let unit = text.utf8.dropFirst(digits.count)
    guard let number = Int(Substring(digits)),
        let factor = units.first(where: { $0.name.utf8.elementsEqual(unit) })?.factor
    else { return nil }
    let (product, isTooLarge) = number.multipliedReportingOverflow(by: factor)
    return isTooLarge ? nil : product
}

private func text(of number: Int, units: [(name: String, factor: Int)]) -> String {
    for (name, factor) in units where number % factor == 0 { return "\(number / factor)\(name)" }
    return "\(number)"
}

/// `a`, `a or b`, `a, b or c`.
package func alternatives(_ words: [String]) -> String {
    guard let last = words.last, words.count > 1 else { return words.first ?? "" }
    return words.dropLast().joined(separator: ", ") + " or " + last
}

/// A value as it was found, in quotes, for a message: controls shown as `?`, cut after 60
/// characters.
package func quoted(_ text: String) -> String {
    let shown = text.prefix(60).map { character in
        character.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F } ? "?" : character
    }
    return "\"" + String(shown) + (shown.count < text.count ? "…" : "") + "\""
}
