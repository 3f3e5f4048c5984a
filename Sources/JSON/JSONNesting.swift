// Follows where an object or array ends whose text arrives a byte at a time.

/// Brackets and strings of a JSON text, without a check of its grammar.
public struct JSONNesting: Sendable {
    private var depth = 0
    private var isInString = false
    private var isAfterBackslash = false
    /// Whether every bracket that was opened has been closed, and there was one.
    public private(set) var isClosed = false

    /// Before the first byte.
    public init() {}

    /// Takes the next byte of the text.
    public mutating func take(_ byte: UInt8) {
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
            isClosed = false
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
            depth -= 1
            isClosed = depth <= 0
        default: break
        }
    }
}
