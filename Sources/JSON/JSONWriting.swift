// Writes JSON into a byte array that the caller keeps and reuses.

extension [UInt8] {
    /// Appends bytes as they are.
    public mutating func append(_ span: Span<UInt8>) {
        // Nothing added to an empty array would write a zero over the zero in the memory that all
        // empty arrays share, which the thread sanitizer rightly reports.
        guard !span.isEmpty else { return }
        append(addingCapacity: span.count) { output in
            // Safe: the room is there, and a span of other memory does not overlap.
            unsafe span.withUnsafeBufferPointer { unsafe output.append(copying: $0) }
        }
    }

    /// Appends a part of `span` as it is.
    @inline(__always)
    public mutating func append(_ span: Span<UInt8>, _ range: Range<Int>) {
        append(span.extracting(range))
    }

    /// Appends a literal as it is.
    @inline(__always)
    public mutating func append(_ literal: StaticString) {
        append(unsafe Span(_unsafeStart: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    /// Appends an integer in decimal digits.
    public mutating func append(decimal number: Int) {
        if 0..<10 ~= number {
            return append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: number))
        }
        var digits: InlineArray<20, UInt8> = InlineArray(repeating: 0)
        var position = 20
        var rest = number.magnitude
        repeat {
            position &-= 1
            digits[position] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
        if number < 0 { append(UInt8(ascii: "-")) }
        append(digits.span, position..<20)
    }

    /// Appends `text` as a JSON string, quotes included.
    public mutating func appendJSONString(_ text: String) {
        var copy = text
        if isEmpty { reserveCapacity(copy.utf8.count + 2) }
        append(UInt8(ascii: "\""))
        copy.withUTF8 { unsafe appendEscaped($0.span) }
        append(UInt8(ascii: "\""))
    }

    /// Appends UTF-8 text as the inside of a JSON string: quotes, backslashes and controls escaped,
    /// and the three line separators (U+0085, U+2028, U+2029) at which some readers of event
    /// streams cut a line.
    public mutating func appendEscaped(_ text: Span<UInt8>) {
        var plainStart = 0
        var i = 0
        while i < text.count {
            // Most texts need no escape at all: eight at a time.
            if i &+ 8 <= text.count, JSONScanner.isPlain(text, i) {
                i &+= 8
                continue
            }
            let byte = text[i]
            let length: Int
            if byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
                length = lineSeparatorLength(text, i)
                if length == 0 {
                    i &+= 1
                    continue
                }
            } else {
                length = 1
            }
            append(text, plainStart..<i)
            appendEscape(text, i, length)
            i &+= length
            plainStart = i
        }
        append(text, plainStart..<text.count)
    }

    /// Appends JSON that is already escaped, but with U+0085, U+2028 and U+2029 escaped too.
    public mutating func appendEscapingLineSeparators(_ json: Span<UInt8>) {
        var plainStart = 0
        var i = 0
        while i < json.count {
            // Most texts have no byte over 0x7F: eight at a time.
            if i &+ 8 <= json.count {
                // Safe: the condition keeps all eight bytes inside the span.
                let word = unsafe json.bytes.unsafeLoadUnaligned(
                    fromByteOffset: i, as: UInt64.self)
                if word & 0x8080_8080_8080_8080 == 0 {
                    i &+= 8
                    continue
                }
            }
            let length = lineSeparatorLength(json, i)
            guard length > 0 else {
                i &+= 1
                continue
            }
            append(json, plainStart..<i)
            appendEscape(json, i, length)
            i &+= length
            plainStart = i
        }
        append(json, plainStart..<json.count)
    }

    private mutating func appendEscape(_ text: Span<UInt8>, _ i: Int, _ length: Int) {
        switch (text[i], length) {
        case (_, 2): append(#"\u0085"#)
        case (_, 3): append(text[i &+ 2] == 0xA8 ? #"\u2028"# : #"\u2029"#)
        case (UInt8(ascii: "\""), _): append(#"\""#)
        case (UInt8(ascii: "\\"), _): append(#"\\"#)
        case (0x0A, _): append(#"\n"#)
        case (0x0D, _): append(#"\r"#)
        case (0x09, _): append(#"\t"#)
        case (let control, _):
            append(#"\u00"#)
            append(hexDigit(control >> 4))
            append(hexDigit(control & 15))
        }
    }
}

/// 2 if U+0085 stands at `i`, 3 for U+2028 and U+2029, else 0.
@inline(__always)
public func lineSeparatorLength(_ text: Span<UInt8>, _ i: Int) -> Int {
    switch text[i] {
    case 0xC2: i &+ 1 < text.count && text[i &+ 1] == 0x85 ? 2 : 0
    case 0xE2:
        i &+ 2 < text.count && text[i &+ 1] == 0x80 && text[i &+ 2] | 1 == 0xA9 ? 3 : 0
    default: 0
    }
}

private func hexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
}

/// Appends the text of a JSON string (the part between its quotes, grammar checked before) with its
/// escapes undone. A lone surrogate becomes U+FFFD.
public func appendUnescaped(_ bytes: Span<UInt8>, _ contents: Range<Int>, to output: inout [UInt8])
{
    var i = contents.lowerBound
    var plainStart = i
    while i < contents.upperBound {
        guard bytes[i] == UInt8(ascii: "\\") else {
            i &+= 1
            continue
        }
        output.append(bytes, plainStart..<i)
        i = appendEscapedCharacter(bytes, i, contents.upperBound, &output)
        plainStart = i
    }
    output.append(bytes, plainStart..<i)
}

/// Appends the character whose escape begins at `backslash`; returns where the text goes on.
private func appendEscapedCharacter(
    _ bytes: Span<UInt8>, _ backslash: Int, _ end: Int, _ output: inout [UInt8]
) -> Int {
    switch bytes[backslash &+ 1] {
    case UInt8(ascii: "n"): output.append(0x0A)
    case UInt8(ascii: "t"): output.append(0x09)
    case UInt8(ascii: "r"): output.append(0x0D)
    case UInt8(ascii: "b"): output.append(0x08)
    case UInt8(ascii: "f"): output.append(0x0C)
    case UInt8(ascii: "u"): return appendUnicodeEscape(bytes, backslash, end, &output)
    case let plain: output.append(plain)
    }
    return backslash &+ 2
}

private func appendUnicodeEscape(
    _ bytes: Span<UInt8>, _ backslash: Int, _ end: Int, _ output: inout [UInt8]
) -> Int {
    var value = codeUnit(bytes, backslash)
    var next = backslash &+ 6
    if value & 0xFC00 == 0xD800, next &+ 6 <= end, bytes[next] == UInt8(ascii: "\\"),
        bytes[next &+ 1] == UInt8(ascii: "u")
    {
        let low = codeUnit(bytes, next)
        if low & 0xFC00 == 0xDC00 {
            value = 0x10000 &+ (value &- 0xD800) << 10 &+ (low &- 0xDC00)
            next &+= 6
        }
    }
    let scalar = Unicode.Scalar(value) ?? "\u{FFFD}"
    output.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
    return next
}

private func codeUnit(_ bytes: Span<UInt8>, _ backslash: Int) -> UInt32 {
    var value: UInt32 = 0
    for i in 2..<6 { value = value << 4 | (hexValue(bytes[backslash &+ i]) ?? 0) }
    return value
}

extension OutputSpan<UInt8> {
    /// Appends bytes; there must be room for them.
    @inline(__always)
    fileprivate mutating func append(copying source: UnsafeBufferPointer<UInt8>) {
        precondition(source.count <= freeCapacity)
        unsafe withUnsafeMutableBufferPointer { buffer, count in
            guard let target = buffer.baseAddress, let start = source.baseAddress else { return }
            unsafe UnsafeMutableRawPointer(target + count).copyMemory(
                from: start, byteCount: source.count)
            count += source.count
        }
    }
}
