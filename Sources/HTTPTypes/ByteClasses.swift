// Which bytes may stand where in an HTTP/1 head (RFC 9110 section 5.6, RFC 9112).

extension UInt8 {
    /// `tchar` of RFC 9110 section 5.6.2: what names and methods are made of.
    @inlinable public var isHTTPToken: Bool {
        // One bit for each ASCII character: a letter, a digit, or one of !#$%&'*+-.^_`|~
        isIn(low: 0x03FF_6CFA_0000_0000, high: 0x57FF_FFFF_C7FF_FFFE)
    }

    /// What may stand in a field line: visible ASCII, space, tab and `obs-text` (RFC 9110 section
    /// 5.5).
    ///
    /// NUL, CR, LF and the other controls are outside: the section calls them dangerous, because
    /// readers disagree about where they end a line.
    @inlinable public var isHTTPFieldContent: Bool {
        self >= 0x20 ? self != 0x7F : self == 0x09
    }

    /// What a request target may be made of: visible ASCII but `#`.
    ///
    /// A little wider than RFC 3986, which has no `|`, `^` or `{`: browsers send those unescaped in
    /// queries, and none of them can be taken for the end of anything.
    @inlinable public var isHTTPTarget: Bool {
        self > 0x20 && self < 0x7F && self != UInt8(ascii: "#")
    }

    /// A character of a registered name (RFC 3986 section 3.2.2) that stands for itself.
    @inlinable public var isRegisteredName: Bool {
        // A letter, a digit, or one of -._~!$&'()*+,;=
        isIn(low: 0x2BFF_7FD2_0000_0000, high: 0x47FF_FFFE_87FF_FFFE)
    }

    /// SP or HTAB, the "optional white space" of RFC 9110 section 5.6.3.
    @inlinable public var isHTTPWhitespace: Bool {
        self == 0x20 || self == 0x09
    }

    /// `0` to `9`.
    @inlinable public var isDigit: Bool {
        self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9")
    }

    /// The value of a hexadecimal digit of either case; `nil` for anything else.
    @inlinable public var hexDigitValue: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// The lower-case form of an ASCII letter; other bytes as they are.
    @inlinable public var asciiLowercased: UInt8 {
        self >= UInt8(ascii: "A") && self <= UInt8(ascii: "Z") ? self | 0x20 : self
    }

    @inlinable func isIn(low: UInt64, high: UInt64) -> Bool {
        switch self >> 6 {
        case 0: low &>> UInt64(self) & 1 == 1
        case 1: high &>> UInt64(self) & 1 == 1
        default: false
        }
    }
}
