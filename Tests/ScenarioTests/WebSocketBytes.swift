// A client's side of WebSocket frames, written apart from the server's own so that it can contradict
// them.

/// Masked frames on their way out, plain ones on their way in (RFC 6455, section 5.2).
enum WebSocketBytes {
    struct Frame {
        var opcode: UInt8
        var data: [UInt8]
        /// Where it ends among the bytes it was read from.
        var end: Int
    }

    /// A text message in one frame.
    static func text(_ text: [UInt8]) -> [UInt8] {
        let mask: [UInt8] = [0x12, 0x34, 0x56, 0x78]
        var bytes: [UInt8] = [0x81]
        switch text.count {
        case ..<126: bytes.append(0x80 | UInt8(text.count))
        case ..<65536: bytes += [0xFE, UInt8(text.count >> 8), UInt8(text.count & 255)]
        default:
            bytes += [0xFF, 0, 0, 0, 0]
            bytes += [24, 16, 8, 0].map { UInt8(text.count >> $0 & 255) }
        }
        return bytes + mask + zip(text, text.indices).map { $0 ^ mask[$1 % 4] }
    }

    /// The whole frames at the beginning of `bytes`.
    static func frames(in bytes: [UInt8]) -> [Frame] {
        var frames: [Frame] = []
        var i = 0
        while i + 2 <= bytes.count {
            var (start, length) = (i + 2, Int(bytes[i + 1]))
            if length >= 126 {
                let size = length == 126 ? 2 : 8
                guard start + size <= bytes.count else { break }
                length = bytes[start..<(start + size)].reduce(0) { $0 << 8 | Int($1) }
                start += size
            }
            guard start + length <= bytes.count else { break }
            let data = Array(bytes[start..<(start + length)])
            frames.append(Frame(opcode: bytes[i] & 0x0F, data: data, end: start + length))
            i = start + length
        }
        return frames
    }
}
