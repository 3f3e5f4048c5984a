// The opening of a WebSocket: what a client must send, and what proves that we understood.

internal import HTTPTypes

/// The handshake of RFC 6455, sections 1.3 and 4.2.
public enum WebSocketHandshake {
    /// The only version there is.
    public static let version = "13"

    /// The value of `Sec-WebSocket-Accept` for that of `Sec-WebSocket-Key`; `nil` if the key is not
    /// 16 bytes in base64.
    public static func accept(key: String) -> String? {
        let key = Array(key.utf8)
        guard key.count == 24, key.suffix(2) == Array("==".utf8), key.prefix(22).allSatisfy(isDigit)
        else { return nil }
        return base64(SHA1.digest(key + Array("258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8)))
    }

    /// What a client offers in `Sec-WebSocket-Protocol`, in its order.
    public static func protocols(_ field: String) -> [String] {
        var names: [String] = []
        Array(field.utf8).span.forEachListElement { names.append($0.text) }
        return names
    }

    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    private static func isDigit(_ byte: UInt8) -> Bool { alphabet.contains(byte) }

    /// 20 bytes in base64 (RFC 4648, section 4): six groups of three and one of two.
    private static func base64(_ digest: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: digest.count, by: 3) {
            let group = digest[start..<min(start + 3, digest.count)]
            let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for digit in 0..<4 {
                let isPadding = digit > group.count
                text.append(
                    isPadding ? UInt8(ascii: "=") : alphabet[bits >> (18 - 6 * digit) & 63])
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
