// Reading field names and values in place: comparing, trimming, lists, numbers.

extension Span where Element == UInt8 {
    /// Whether these are exactly the bytes of `text`.
    public func equals(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for position in 0..<count {
            guard unsafe self[position] == text.utf8Start[position] else { return false }
        }
        return true
    }

    /// Whether these are the bytes of `lowercased`, letters of either case counting as the same.
    public func equalsIgnoringCase(_ lowercased: StaticString) -> Bool {
        guard count == lowercased.utf8CodeUnitCount else { return false }
        for position in 0..<count {
            let wanted = unsafe lowercased.utf8Start[position]
            guard self[position].asciiLowercased == wanted else { return false }
        }
        return true
    }

    /// Whether this is a token of RFC 9110 section 5.6.2: at least one character, and only
    /// `tchar`s.
    public var isHTTPToken: Bool {
        for position in 0..<count where !self[position].isHTTPToken { return false }
        return count > 0
    }

    /// Where the first `byte` at or after `start` stands.
    public func firstIndex(of byte: UInt8, from start: Int = 0) -> Int? {
        for position in start..<count where self[position] == byte { return position }
        return nil
    }

    /// The first place from `start` on of a byte that no field line may hold; `end` if there is none
    /// before it. Looks at eight bytes at a time.
    public func endOfFieldContent(from start: Int, to end: Int) -> Int {
        let (ones, high): (UInt64, UInt64) = (0x0101_0101_0101_0101, 0x8080_8080_8080_8080)
        var i = start
        while i &+ 8 <= end {
            // Safe: the loop's condition keeps all eight bytes inside the span.
            let word = unsafe UInt64(
                littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self))
            // As in Mycroft's test: what is below 0x20, and what is 0x7F.
            let deletes = word ^ (ones &* 0x7F)
            let found =
                (((word &- ones &* 0x20) & ~word) | ((deletes &- ones) & ~deletes)) & high
            if found != 0 {
                // The lowest is sure, but may be a tab, which is content.
                i &+= found.trailingZeroBitCount >> 3
                if !self[i].isHTTPFieldContent { return i }
                i &+= 1
            } else {
                i &+= 8
            }
        }
        while i < end, self[i].isHTTPFieldContent { i &+= 1 }
        return i
    }

    /// `range` without the optional white space at its ends (RFC 9110 section 5.6.3).
    public func trimmingHTTPWhitespace(_ range: Range<Int>) -> Range<Int> {
        var start = range.lowerBound
        var end = range.upperBound
        while start < end, self[start].isHTTPWhitespace { start += 1 }
        while start < end, self[end - 1].isHTTPWhitespace { end -= 1 }
        return start..<end
    }

    /// Calls `body` with each element of a comma-separated list, trimmed; empty ones are passed
    /// over, as RFC 9110 section 5.6.1.2 asks of recipients. Commas in quoted strings are not
    /// looked for: no list read here (`Connection`, `Upgrade`, `Transfer-Encoding`) may hold them.
    public func forEachListElement<Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Void
    ) throws(Failure) {
        var start = 0
        while start <= count {
            let end = firstIndex(of: UInt8(ascii: ","), from: start) ?? count
            let element = trimmingHTTPWhitespace(start..<end)
            if !element.isEmpty { try body(extracting(element)) }
            start = end + 1
        }
    }

    /// The value of `1*DIGIT`; `nil` for anything else (a sign, white space, nothing at all) and
    /// for what does not fit an `Int`.
    public var decimalValue: Int? {
        var value = 0
        for position in 0..<count {
            guard self[position].isDigit else { return nil }
            let (tens, tooMany) = value.multipliedReportingOverflow(by: 10)
            let (sum, tooMuch) = tens.addingReportingOverflow(
                Int(self[position] - UInt8(ascii: "0")))
            guard !tooMany, !tooMuch else { return nil }
            value = sum
        }
        return count > 0 ? value : nil
    }

    /// The bytes as text; what is not UTF-8 is replaced.
    public var text: String {
        unsafe withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
    }
}

extension Array where Element == UInt8 {
    /// Appends the bytes of a span.
    public mutating func append(bytes: Span<UInt8>) {
        unsafe bytes.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
    }

    /// Appends the bytes of a literal.
    public mutating func append(bytes text: StaticString) {
        unsafe append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
}
