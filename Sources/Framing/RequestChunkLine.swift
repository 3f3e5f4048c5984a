// Takes the line before a chunk of a request's body apart.

import HTTPTypes

/// `chunk-size [ chunk-ext ]` (RFC 9112 section 7.1). Extensions are checked and forgotten: section
/// 7.1.1 asks recipients to ignore those they do not know, and what is not one may be a smuggled
/// request.
struct RequestChunkLine {
    /// Longest such line, without CRLF. Sixteen digits hold any size, and known extensions
    /// (signatures of object stores) take about a hundred bytes.
    static let limitBytes = 1024

    /// How many bytes the chunk has; 0 is the last one.
    let size: UInt64
    /// How many bytes of the line are extensions.
    let extensionBytes: Int

    init(_ line: Span<UInt8>) throws(RequestRefusal) {
        var size: UInt64 = 0
        var digits = 0
        // Nothing is repaired here: a sign, a space or `0x` is read as a size by some and as zero
        // by others, and a zero ends the body.
        while digits < line.count, let value = line[digits].hexDigitValue {
            guard digits < 16 else { throw .malformedChunkSize }
            size = size << 4 | UInt64(value)
            digits += 1
        }
        guard digits > 0 else { throw .malformedChunkSize }
        self.size = size
        extensionBytes = line.count - digits
        guard extensionBytes > 0 else { return }
        guard Self.areExtensions(line.extracting(digits..<line.count)) else {
            throw .malformedChunkExtension
        }
    }

    /// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )`, section 7.1.1.
    private static func areExtensions(_ bytes: Span<UInt8>) -> Bool {
        var i = 0
        while i < bytes.count {
            skipWhitespace(bytes, &i)
            guard skip(UInt8(ascii: ";"), bytes, &i) else { return false }
            skipWhitespace(bytes, &i)
            guard skipToken(bytes, &i) else { return false }
            // White space here belongs to a value or to the next extension; at the end it belongs
            // to nothing.
            var ahead = i
            skipWhitespace(bytes, &ahead)
            guard skip(UInt8(ascii: "="), bytes, &ahead) else { continue }
            i = ahead
            skipWhitespace(bytes, &i)
            guard skipToken(bytes, &i) || skipQuotedString(bytes, &i) else { return false }
        }
        return true
    }

    private static func skipWhitespace(_ bytes: Span<UInt8>, _ i: inout Int) {
        while i < bytes.count, bytes[i].isHTTPWhitespace { i += 1 }
    }

    private static func skip(_ byte: UInt8, _ bytes: Span<UInt8>, _ i: inout Int) -> Bool {
        guard i < bytes.count, bytes[i] == byte else { return false }
        i += 1
        return true
    }

    private static func skipToken(_ bytes: Span<UInt8>, _ i: inout Int) -> Bool {
        let start = i
        while i < bytes.count, bytes[i].isHTTPToken { i += 1 }
        return i > start
    }

    /// A `quoted-string` of RFC 9110 section 5.6.4; the line holds no byte that could not stand in
    /// one.
    private static func skipQuotedString(_ bytes: Span<UInt8>, _ i: inout Int) -> Bool {
        guard skip(UInt8(ascii: "\""), bytes, &i) else { return false }
        while i < bytes.count {
            switch bytes[i] {
            case UInt8(ascii: "\""):
                i += 1
                return true
            case UInt8(ascii: "\\"): i += 2
            default: i += 1
            }
        }
        return false
    }
}
