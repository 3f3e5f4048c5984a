// UTF-8 and hexadecimal digits: what scanner, reader and writer share.

/// The length of the UTF-8 character that begins at `start` (RFC 3629, section 4): 1 to 4; 0 if the
/// bytes are no character; -1 if they may become one, but stop too early.
public func characterLength(_ bytes: Span<UInt8>, _ start: Int) -> Int {
    let first = bytes[start]
    let length: Int
    var low: UInt8 = 0x80
    var high: UInt8 = 0xBF
    switch first {
    case 0..<0x80: return 1
    case 0xC2...0xDF: length = 2
    case 0xE0: (length, low) = (3, 0xA0)
    case 0xED: (length, high) = (3, 0x9F)
    case 0xE1...0xEF: length = 3
    case 0xF0: (length, low) = (4, 0x90)
    case 0xF4: (length, high) = (4, 0x8F)
    case 0xF1...0xF3: length = 4
    default: return 0
    }
    for i in 1..<length {
        guard start &+ i < bytes.count else { return -1 }
        guard bytes[start &+ i] >= low, bytes[start &+ i] <= high else { return 0 }
        (low, high) = (0x80, 0xBF)
    }
    return length
}

/// The value of a hexadecimal digit, or `nil`.
@inline(__always)
func hexValue(_ byte: UInt8) -> UInt32? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte &- UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte &- UInt8(ascii: "a") &+ 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte &- UInt8(ascii: "A") &+ 10)
    default: nil
    }
}
