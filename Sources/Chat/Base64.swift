// Base64 as JSON carries it.

extension [UInt8] {
    /// Appends `bytes` in base64 with padding (RFC 4648, section 4).
    package mutating func appendBase64(_ bytes: Span<UInt8>) {
        let alphabet = Array(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        reserveCapacity(count + (bytes.count + 2) / 3 * 4)
        var i = 0
        while i < bytes.count {
            let left = bytes.count - i
            var group = UInt32(bytes[i]) << 16
            if left > 1 { group |= UInt32(bytes[i + 1]) << 8 }
            if left > 2 { group |= UInt32(bytes[i + 2]) }
            append(alphabet[Int(group >> 18)])
            append(alphabet[Int(group >> 12 & 63)])
            append(left > 1 ? alphabet[Int(group >> 6 & 63)] : UInt8(ascii: "="))
            append(left > 2 ? alphabet[Int(group & 63)] : UInt8(ascii: "="))
            i += 3
        }
    }
}
