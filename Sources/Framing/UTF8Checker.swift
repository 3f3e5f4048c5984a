// Checks UTF-8 that comes in pieces, and says no at the first byte that cannot be right.

/// Where a text stands between two pieces of it (RFC 3629, section 4).
struct UTF8Checker: Sendable {
    /// Bytes that the character begun last still needs.
    private var missing = 0
    /// What the next of them may be; narrower than any continuation byte only behind the first byte
    /// of a character, which is how overlong forms, surrogates and numbers beyond U+10FFFF are kept
    /// out.
    private var next: ClosedRange<UInt8> = Self.continuation
    private static let continuation: ClosedRange<UInt8> = 0x80...0xBF

    /// Whether the text may end here.
    var isBetweenCharacters: Bool { missing == 0 }

    /// Takes the next piece; `false` if the text is not UTF-8 whatever follows.
    mutating func take(_ bytes: Span<UInt8>) -> Bool {
        for i in bytes.indices {
            let byte = bytes[i]
            if missing > 0 {
                guard next.contains(byte) else { return false }
                missing -= 1
                next = Self.continuation
            } else if byte >= 0x80, !begin(byte) {
                return false
            }
        }
        return true
    }

    /// Takes the first byte of a character of several.
    private mutating func begin(_ byte: UInt8) -> Bool {
        switch byte {
        case 0xC2...0xDF: missing = 1
        case 0xE0: (missing, next) = (2, 0xA0...0xBF)
        case 0xED: (missing, next) = (2, 0x80...0x9F)
        case 0xE1...0xEF: missing = 2
        case 0xF0: (missing, next) = (3, 0x90...0xBF)
        case 0xF1...0xF3: missing = 3
        case 0xF4: (missing, next) = (3, 0x80...0x8F)
        default: return false
        }
        return true
    }
}
