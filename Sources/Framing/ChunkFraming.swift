// Wraps what is sent to a client into HTTP chunks (RFC 9112, section 7.1), without copying it.

/// Writes a chunk around a payload: its size into room left in front, its end behind.
///
///     var buffer = [UInt8](repeating: 0, count: ChunkFraming.headroom)
///     buffer += payload
///     let start = ChunkFraming.frame(&buffer)      // send buffer[start...]
public enum ChunkFraming {
    /// Bytes that must be free in front of the payload: eight hexadecimal digits and CRLF.
    public static let headroom = 10

    /// The chunk that ends a body, without trailers.
    public static let lastChunk: [UInt8] = Array("0\r\n\r\n".utf8)

    /// Makes a chunk of everything in `buffer` after the headroom, and returns where it starts. The
    /// chunk ends where the buffer ends, so that `lastChunk` may be appended.
    ///
    /// No payload makes no chunk: one of size 0 would end the body. The payload must be shorter
    /// than 4 GiB.
    public static func frame(_ buffer: inout [UInt8]) -> Int {
        precondition(buffer.count >= headroom, "no room for the chunk size")
        var rest = UInt32(buffer.count - headroom)
        guard rest > 0 else { return buffer.count }
        var position = headroom - 1
        buffer[position] = .lineFeed
        position -= 1
        buffer[position] = .carriageReturn
        while rest > 0 {
            position -= 1
            let digit = UInt8(truncatingIfNeeded: rest & 15)
            buffer[position] =
                digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
            rest >>= 4
        }
        buffer.append(.carriageReturn)
        buffer.append(.lineFeed)
        return position
    }
}
