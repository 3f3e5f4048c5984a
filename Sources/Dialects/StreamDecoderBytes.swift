// Comparisons of bytes, quick enough for every token.

/// Whether the bytes of `range` are those of `literal`.
@inline(__always)
func equal(_ bytes: Span<UInt8>, _ range: Range<Int>, _ literal: StaticString) -> Bool {
    guard range.count == literal.utf8CodeUnitCount else { return false }
    // Safe: a literal lives as long as the program.
    let wanted = unsafe Span(_unsafeStart: literal.utf8Start, count: literal.utf8CodeUnitCount)
    return stands(wanted, in: bytes, at: range.lowerBound)
}

/// Whether `part` stands in `bytes` at `start`.
@inline(__always)
func stands(_ part: Span<UInt8>, in bytes: Span<UInt8>, at start: Int) -> Bool {
    guard start >= 0, part.count <= bytes.count &- start else { return false }
    var i = 0
    while i &+ 32 <= part.count {
        // Safe: the loop's condition keeps the block inside `part`, and the check above that inside
        // `bytes`.
        let left = unsafe part.bytes.unsafeLoadUnaligned(
            fromByteOffset: i, as: SIMD4<UInt64>.self)
        let right = unsafe bytes.bytes.unsafeLoadUnaligned(
            fromByteOffset: start &+ i, as: SIMD4<UInt64>.self)
        let difference = left ^ right
        guard difference[0] | difference[1] | difference[2] | difference[3] == 0 else {
            return false
        }
        i &+= 32
    }
    while i &+ 8 <= part.count {
        let left = unsafe part.bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
        let right = unsafe bytes.bytes.unsafeLoadUnaligned(
            fromByteOffset: start &+ i, as: UInt64.self)
        guard left == right else { return false }
        i &+= 8
    }
    while i < part.count {
        guard part[i] == bytes[start &+ i] else { return false }
        i &+= 1
    }
    return true
}

/// Whether there is a byte below 0x20. Valid JSON has them only between its tokens.
func hasControl(_ bytes: Span<UInt8>) -> Bool {
    let ones: UInt64 = 0x0101_0101_0101_0101
    var i = 0
    while i &+ 8 <= bytes.count {
        let word = unsafe bytes.bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
        if (word &- ones &* 0x20) & ~word & (ones &* 0x80) != 0 { return true }
        i &+= 8
    }
    while i < bytes.count {
        if bytes[i] < 0x20 { return true }
        i &+= 1
    }
    return false
}

/// Whether there is no byte over 0x7F.
func isASCII(_ bytes: Span<UInt8>) -> Bool {
    var i = 0
    while i &+ 8 <= bytes.count {
        // Safe: the loop's condition keeps all eight bytes inside the span.
        let word = unsafe bytes.bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
        if word & 0x8080_8080_8080_8080 != 0 { return false }
        i &+= 8
    }
    while i < bytes.count {
        if bytes[i] >= 0x80 { return false }
        i &+= 1
    }
    return true
}

/// Whether the text ends with what may be the first half of a surrogate pair (`\ud83e`). Cheap and
/// sometimes wrong: it does not ask whether the backslash is itself escaped.
@inline(__always)
func mayEndInsideCharacter(_ bytes: Span<UInt8>, _ text: Range<Int>) -> Bool {
    text.count >= 6 && bytes[text.upperBound &- 6] == UInt8(ascii: "\\")
        && bytes[text.upperBound &- 5] == UInt8(ascii: "u")
}
