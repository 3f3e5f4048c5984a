// Tells when the arguments of a tool call, arriving in pieces, are a complete JSON object.

internal import JSON

/// Follows the nesting of an object whose text arrives in pieces, without checking its grammar.
struct ToolCallArgumentsTracker: Sendable {
    private var nesting = JSONNesting()
    /// Whether every bracket that was opened has been closed, and there was one.
    var isComplete: Bool { nesting.isClosed }

    /// Takes the next piece: JSON text, itself escaped as the inside of a JSON string. Allocates
    /// nothing, for long arguments come in one piece a token.
    mutating func take(_ escaped: Span<UInt8>) {
        var i = 0
        while i < escaped.count {
            guard escaped[i] == UInt8(ascii: "\\"), i + 1 < escaped.count else {
                nesting.take(escaped[i])
                i += 1
                continue
            }
            switch escaped[i + 1] {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): nesting.take(escaped[i + 1])
            case UInt8(ascii: "u"):
                // Rare, and never a bracket or a quote but for odd writers.
                takeUnicodeEscape(escaped, i)
                i += 4
            // White space or a slash: it changes nothing, but ends an escape of the inner text.
            default: nesting.take(UInt8(ascii: " "))
            }
            i += 2
        }
    }

    private mutating func takeUnicodeEscape(_ escaped: Span<UInt8>, _ start: Int) {
        var plain: [UInt8] = []
        appendUnescaped(escaped, start..<min(start + 6, escaped.count), to: &plain)
        for byte in plain { nesting.take(byte) }
    }
}
