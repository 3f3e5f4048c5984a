// Finding line ends quickly, and copying spans into arrays: what the decoders share.

extension UInt8 {
    static let lineFeed: UInt8 = 0x0A
    static let carriageReturn: UInt8 = 0x0D
}

/// The first place at or after `start` where `one` or `other` stands; `nil` if there is none.
///
/// Thirty-two bytes at a time while neither is among them, then eight, as in Alan Mycroft's test
/// for a zero byte: `(x - 01…) & ~x & 80…` has the high bit set in the lowest zero byte of `x`
/// (higher bits may be wrong, so only the lowest counts).
@inline(__always)
func firstIndex(of one: UInt8, or other: UInt8, in bytes: Span<UInt8>, from start: Int) -> Int? {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let high: UInt64 = 0x8080_8080_8080_8080
    let count = bytes.count
    var i = start
    let firsts = SIMD32<UInt8>(repeating: one)
    let seconds = SIMD32<UInt8>(repeating: other)
    while i &+ 32 <= count {
        // Safe, as below.
        let block = unsafe bytes.bytes.unsafeLoadUnaligned(
            fromByteOffset: i, as: SIMD32<UInt8>.self)
        if hasAny(block .== firsts .| block .== seconds) { break }
        i &+= 32
    }
    while i &+ 8 <= count {
        // Safe: the loop's condition keeps all eight bytes inside the span.
        let word = unsafe UInt64(
            littleEndian: bytes.bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self))
        let first = word ^ (ones &* UInt64(one))
        let second = word ^ (ones &* UInt64(other))
        let found = (((first &- ones) & ~first) | ((second &- ones) & ~second)) & high
        if found != 0 { return i &+ found.trailingZeroBitCount >> 3 }
        i &+= 8
    }
    while i < count {
        if bytes[i] == one || bytes[i] == other { return i }
        i &+= 1
    }
    return nil
}

/// Whether any lane is set. The library's `any` is a call for each block, and dearer than the rest.
@inline(__always)
private func hasAny(_ mask: SIMDMask<SIMD32<Int8>>) -> Bool {
    // Safe: both are 32 bytes without padding, and every pattern of bits is a number.
    let words = unsafe unsafeBitCast(mask, to: SIMD4<UInt64>.self)
    return words[0] | words[1] | words[2] | words[3] != 0
}

extension [UInt8] {
    /// Appends a part of `span`.
    @inline(__always)
    mutating func appendBytes(of span: Span<UInt8>, _ range: Range<Int>) {
        unsafe span.extracting(range).withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
    }
}
