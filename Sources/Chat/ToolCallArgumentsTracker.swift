// Tells when the arguments of a tool call, arriving in pieces, are a complete JSON object.

internal import JSON

/// Follows the nesting of an object whose text arrives in pieces, without checking its grammar.
struct ToolCallArgumentsTracker: Sendable {
    private var depth = 0
    private var isInString = false
    private var isAfterBackslash = false
    /// Whether every bracket that was opened has been closed, and there was one.
    private(set) var isComplete = false

    /// Takes the next piece: JSON text, itself escaped as the inside of a JSON string.
    mutating func take(_ escaped: Span<UInt8>) {
        var text: [UInt8] = []
        appendUnescaped(escaped, 0..<escaped.count, to: &text)
        for byte in text { take(byte) }
    }

    private mutating func take(_ byte: UInt8) {
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
