// The line before each chunk of an upstream's body (RFC 9112, section 7.1).

import HTTPTypes

/// Reads `1a2b;name=value` CRLF byte by byte. Extensions are read over; so is the white space that
/// some old servers put behind the size.
struct ChunkSizeLine: Equatable {
    private enum Part { case digits, blank, extensions, lineFeed }

    /// Nobody has a use for extensions; a line of this length is no honest one.
    private static let lengthLimit = 1024
    /// So many digits cannot overflow; leading zeros count.
    private static let digitLimit = 15

    private var part = Part.digits
    private var size = 0
    private var digits = 0
    private var length = 0

    /// Whether no byte of the line has come.
    var isEmpty: Bool { length == 0 }

    /// Takes one byte; gives the size with the last one.
    mutating func take(_ byte: UInt8) throws(ResponseRefusal) -> Int? {
        length += 1
        guard length <= Self.lengthLimit else { throw .chunkSize }
        switch (part, byte) {
        case (.lineFeed, .lineFeed): return size
        case (.lineFeed, _): throw .chunkSize
        case (.digits, _) where Self.digit(byte) != nil:
            digits += 1
            guard digits <= Self.digitLimit else { throw .chunkSize }
            size = size << 4 | (Self.digit(byte) ?? 0)
        case (_, _) where digits == 0: throw .chunkSize
        case (_, .carriageReturn): part = .lineFeed
        case (.digits, UInt8(ascii: ";")), (.blank, UInt8(ascii: ";")): part = .extensions
        case (.digits, _) where byte.isHTTPWhitespace: part = .blank
        case (.blank, _) where byte.isHTTPWhitespace: break
        case (.extensions, _) where byte.isHTTPFieldContent: break
        default: throw .chunkSize
        }
        return nil
    }

    @inline(__always)
    static func digit(_ byte: UInt8) -> Int? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(byte - UInt8(ascii: "A")) + 10
        default: nil
        }
    }
}
