// A line of the log in the making.

/// The bytes of a line. A string that grows by parts costs several times as much.
struct LogLine {
    private var bytes: [UInt8] = []

    init() { bytes.reserveCapacity(512) }

    /// What was written.
    var text: String { String(decoding: bytes, as: UTF8.self) }

    mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
    }

    /// Words that need no escape.
    mutating func append(plain text: String) {
        var text = text
        text.withUTF8 { unsafe bytes.append(contentsOf: $0) }
    }

    /// A number, filled up with zeros to so many digits.
    mutating func append(_ number: Int, digits: Int = 1) {
        let text = String(number)
        for _ in 0..<max(0, digits - text.utf8.count) { bytes.append(UInt8(ascii: "0")) }
        append(plain: text)
    }

    /// A number with one digit after its point. The counts it is made of are an upstream's, which
    /// may say anything.
    mutating func append(oneDecimal number: Double) {
        let tenths = Int(min(number, 1e15) * 10 + 0.5)
        append(tenths / 10)
        append(".")
        append(tenths % 10)
    }

    /// A JSON string, quotes included.
    mutating func append(quoted text: String) {
        append("\"")
        append(escaped: text, inQuotes: true)
        append("\"")
    }

    /// Control characters as JSON escapes them, so that nobody's words can forge a line of the log.
    /// U+2028 and U+2029 are with them: some readers split lines there.
    mutating func append(escaped text: String, inQuotes: Bool = false) {
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C }) {
            return append(plain: text)
        }
        // Scalars and not characters: a quote with an accent on it is a quote to every reader.
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x22, 0x5C:
                if inQuotes { append("\\") }
                bytes.append(UInt8(truncatingIfNeeded: scalar.value))
            case 0..<0x20, 0x7F...0x9F, 0x2028, 0x2029:
                append("\\u")
                let digits = String(scalar.value, radix: 16)
                for _ in 0..<(4 - digits.utf8.count) { append("0") }
                append(plain: digits)
            default:
                bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
            }
        }
    }
}
