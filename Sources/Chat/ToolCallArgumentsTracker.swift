// Tells when the arguments of a tool call, arriving in pieces, are a complete JSON object.

internal import JSON

/// Follows the nesting of an object whose text arrives in pieces, without checking its grammar.
struct ToolCallArgumentsTracker: Sendable {
    private var depth = 0
    private var isInString = false
    private var isAfterBackslash = false
    /// Whether every bracket that was opened has been closed, and there was one.
    private(set) var isComplete = false

    /// Takes the next piece: JSON text, itself escaped as the inside of a JSON string. Allocates
    /// nothing, for long arguments come in one piece a token.
    mutating func take(_ escaped: Span<UInt8>) {
        var i = 0
        while i < escaped.count {
            guard escaped[i] == UInt8(ascii: "\\"), i + 1 < escaped.count else {
                take(character: escaped[i])
                i += 1
                continue
            }
            switch escaped[i + 1] {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): take(character: escaped[i + 1])
            case UInt8(ascii: "u"):
                // Rare, and never a bracket or a quote but for odd writers.
                takeUnicodeEscape(escaped, i)
                i += 4
            // White space or a slash: it changes nothing, but ends an escape of the inner text.
            default: take(character: UInt8(ascii: " "))
            }
            i += 2
        }
    }

    private mutating func takeUnicodeEscape(_ escaped: Span<UInt8>, _ start: Int) {
        var plain: [UInt8] = []
        appendUnescaped(escaped, start..<min(start + 6, escaped.count), to: &plain)
        for byte in plain { take(character: byte) }
    }

    private mutating func take(character byte: UInt8) {
        if isInString {
            if isAfterBackslash {
                isAfterBackslash = false
            } else if byte == UInt8(ascii: "\\") {
                isAfterBackslash = true
            } else if byte == UInt8(ascii: "\"") {
                isInString = false
            }
            return
        }
        switch byte {
        case UInt8(ascii: "\""): isInString = true
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            depth += 1
            isComplete = false
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
            depth -= 1
            isComplete = depth <= 0
        default: break
        }
    }
}
