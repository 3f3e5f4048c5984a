// Reads JSON text (RFC 8259) in place, one token at a time, without building anything.

/// What is wrong with a JSON text. Offsets count bytes from the start of the text.
public enum JSONError: Error, Equatable, Sendable {
    /// A byte that cannot stand here.
    case unexpected(offset: Int)
    /// The text stops in the middle of a value.
    case endedEarly
    /// Arrays and objects are nested deeper than the caller allows.
    case tooDeep(limit: Int)
    /// Bytes inside a string that are not UTF-8 (RFC 3629: no overlong forms, no surrogates).
    case invalidUTF8(offset: Int)
}

/// What a value is, told by its first byte.
public enum JSONKind: Sendable, Equatable {
    case object, array, string, number, bool, null
}

/// A cursor over JSON text.
///
/// The bytes are passed to every call instead of being kept, so the scanner is an ordinary value
/// and nothing is copied. Every method checks all it passes over: grammar, UTF-8, depth. A scanner
/// that has thrown is spent.
///
///     var scanner = JSONScanner(depthLimit: 128)
///     try scanner.enterObject(bytes)
///     while let key = try scanner.nextMember(bytes) { let value = try scanner.skipValue(bytes) … }
public struct JSONScanner: Sendable {
    /// Where the next token begins, or white space before it.
    public var offset: Int
    /// Whether a string scanned so far held a byte over 0x7F: most texts do not, and need no second
    /// look.
    public private(set) var hasNonASCII = false
    /// Whether a string scanned so far held an escape.
    public private(set) var hasEscapes = false
    /// Whether there were line breaks or tabs between the tokens so far.
    public private(set) var hasControls = false

    private let depthLimit: Int
    private var depth = 0
    private var atStart = false

    /// Makes a scanner at `offset`. `depthLimit` bounds nested arrays and objects; it has no
    /// default, so that the caller thinks of it.
    public init(at offset: Int = 0, depthLimit: Int) {
        self.offset = offset
        self.depthLimit = depthLimit
    }

    /// The kind of the value that comes next; skips white space before it.
    @inline(__always)
    public mutating func peekKind(_ bytes: Span<UInt8>) throws(JSONError) -> JSONKind {
        switch try peek(bytes) {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        default: throw .unexpected(offset: offset)
        }
    }

    /// Steps into an object; `nextMember` follows.
    public mutating func enterObject(_ bytes: Span<UInt8>) throws(JSONError) {
        try enter(bytes, UInt8(ascii: "{"))
    }

    /// Steps into an array; `nextElement` follows.
    public mutating func enterArray(_ bytes: Span<UInt8>) throws(JSONError) {
        try enter(bytes, UInt8(ascii: "["))
    }

    /// Steps into a container whose first byte, at which the scanner stands, has told what it is.
    @inline(__always)
    mutating func enterContainer() throws(JSONError) {
        guard depth < depthLimit else { throw .tooDeep(limit: depthLimit) }
        offset &+= 1
        depth &+= 1
        atStart = true
    }

    /// The next key of the object stepped into, without its quotes and still escaped; `nil` once
    /// the object has ended. The value must be read or skipped before the next call.
    public mutating func nextMember(_ bytes: Span<UInt8>) throws(JSONError) -> Range<Int>? {
        try nextMemberHere(bytes)
    }

    /// The same where a call would cost too much.
    @inline(__always)
    mutating func nextMemberHere(_ bytes: Span<UInt8>) throws(JSONError) -> Range<Int>? {
        guard try advance(bytes, closing: UInt8(ascii: "}")) else { return nil }
        let key = try scanStringHere(bytes)
        try expect(bytes, UInt8(ascii: ":"))
        _ = try peek(bytes)
        return key
    }

    /// Whether the array stepped into has another element, which must then be read or skipped.
    public mutating func nextElement(_ bytes: Span<UInt8>) throws(JSONError) -> Bool {
        guard try advance(bytes, closing: UInt8(ascii: "]")) else { return false }
        _ = try peek(bytes)
        return true
    }

    /// Passes over one value of any kind and says where it stands, without white space around it.
    @discardableResult
    public mutating func skipValue(_ bytes: Span<UInt8>) throws(JSONError) -> Range<Int> {
        let kind = try peekKind(bytes)
        let start = offset
        try skipValue(kind, bytes)
        return start..<offset
    }

    /// Passes over a value whose first byte, at which the scanner stands, has told what it is.
    @inline(__always)
    mutating func skipValue(_ kind: JSONKind, _ bytes: Span<UInt8>) throws(JSONError) {
        switch kind {
        case .string: _ = try scanString(bytes)
        case .number: try scanNumber(bytes)
        case .bool: try scanWord(bytes, bytes[offset] == UInt8(ascii: "t") ? "true" : "false")
        case .null: try scanWord(bytes, "null")
        case .object, .array: try skipContainers(bytes)
        }
    }

    /// Reads a string; the range excludes the quotes, and the bytes in it are still escaped.
    public mutating func scanString(_ bytes: Span<UInt8>) throws(JSONError) -> Range<Int> {
        try scanStringHere(bytes)
    }

    /// The same where a call would cost too much.
    @inline(__always)
    private mutating func scanStringHere(_ bytes: Span<UInt8>) throws(JSONError) -> Range<Int> {
        try expect(bytes, UInt8(ascii: "\""))
        let start = offset
        var i = start
        // Most strings are names and words: plain, and closed within a few times eight bytes.
        let near = min(bytes.count, start &+ 32) &- 8
        while i <= near {
            // Safe: `near` keeps all eight bytes inside the span.
            let word = unsafe bytes.bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
            let found = Self.special(word)
            guard found != 0 else {
                i &+= 8
                continue
            }
            i &+= found.trailingZeroBitCount >> 3
            guard bytes[i] == UInt8(ascii: "\"") else { break }
            offset = i &+ 1
            atStart = false
            return start..<i
        }
        return try scanRest(bytes, start, i)
    }

    /// Reads what is left from `i` of the string that begins at `start`.
    @inline(never)
    private mutating func scanRest(
        _ bytes: Span<UInt8>, _ start: Int, _ position: Int
    ) throws(JSONError) -> Range<Int> {
        var i = position
        let count = bytes.count
        // The text may well be long.
        i = Self.skipPlainBlocks(bytes, i)
        while true {
            // Eight bytes at a time while none of them is a quote, a backslash, a control or over
            // 0x7F; from the third time on in blocks.
            var words = 2
            while i &+ 8 <= count {
                if words == 0 { i = Self.skipPlainBlocks(bytes, i) }
                words &-= 1
                guard i &+ 8 <= count else { break }
                let word = unsafe bytes.bytes.unsafeLoadUnaligned(
                    fromByteOffset: i, as: UInt64.self)
                let found = Self.special(word)
                if found != 0 {
                    i &+= found.trailingZeroBitCount >> 3
                    break
                }
                i &+= 8
            }
            guard i < count else { throw .endedEarly }
            let byte = bytes[i]
            switch byte {
            case UInt8(ascii: "\""):
                offset = i &+ 1
                atStart = false
                return start..<i
            case UInt8(ascii: "\\"):
                hasEscapes = true
                i = try Self.skipEscape(bytes, i)
            case 0..<0x20: throw .unexpected(offset: i)
            case 0x20..<0x80: i &+= 1
            default:
                hasNonASCII = true
                i = try Self.skipCharacter(bytes, i)
            }
        }
    }

    /// Checks that nothing but white space follows.
    public mutating func finish(_ bytes: Span<UInt8>) throws(JSONError) {
        skipWhitespace(bytes)
        guard offset == bytes.count else { throw .unexpected(offset: offset) }
    }

    // MARK: - Parts

    /// The high bit of each byte that a string scan must look at: quote, backslash, control, over
    /// 0x7F. Bits above the lowest set one may be wrong (a borrow runs upwards), so only the lowest
    /// counts.
    @inline(__always)
    private static func special(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let high: UInt64 = 0x8080_8080_8080_8080
        let quote = word ^ (ones &* 0x22)
        let backslash = word ^ (ones &* 0x5C)
        let isQuote = (quote &- ones) & ~quote
        let isBackslash = (backslash &- ones) & ~backslash
        let isControl = (word &- (ones &* 0x20)) & ~word
        return (isQuote | isBackslash | isControl | word) & high
    }

    /// Whether a string has none of those in its eight bytes from `i`, which must be there.
    @inline(__always)
    static func isPlain(_ bytes: Span<UInt8>, _ i: Int) -> Bool {
        // Safe: the caller's promise.
        special(unsafe bytes.bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)) == 0
    }

    /// Passes over blocks of 32 bytes that a string scan need not look at.
    @inline(__always)
    private static func skipPlainBlocks(_ bytes: Span<UInt8>, _ start: Int) -> Int {
        var i = start
        let quote = SIMD32<Int8>(repeating: 0x22)
        let backslash = SIMD32<Int8>(repeating: 0x5C)
        // As signed numbers, bytes over 0x7F are below the controls.
        let controls = SIMD32<Int8>(repeating: 0x20)
        while i &+ 32 <= bytes.count {
            // Safe: the loop's condition keeps all of the block inside the span.
            let block = unsafe bytes.bytes.unsafeLoadUnaligned(
                fromByteOffset: i, as: SIMD32<Int8>.self)
            let mask = block .== quote .| block .== backslash .| block .< controls
            // Safe: both are 32 bytes without padding, and every pattern of bits is a number. The
            // library's `any` is a call for each block, and dearer than the rest.
            let words = unsafe unsafeBitCast(mask, to: SIMD4<UInt64>.self)
            if words[0] | words[1] | words[2] | words[3] != 0 { break }
            i &+= 32
        }
        return i
    }

    private mutating func enter(_ bytes: Span<UInt8>, _ opening: UInt8) throws(JSONError) {
        try expect(bytes, opening)
        guard depth < depthLimit else { throw .tooDeep(limit: depthLimit) }
        depth &+= 1
        atStart = true
    }

    /// Moves to the next member or element; `false` when the container was closed.
    @inline(__always)
    private mutating func advance(_ bytes: Span<UInt8>, closing: UInt8) throws(JSONError) -> Bool {
        let byte = try peek(bytes)
        if byte == closing {
            offset &+= 1
            depth &-= 1
            atStart = false
            return false
        }
        if atStart {
            atStart = false
            return true
        }
        guard byte == UInt8(ascii: ",") else { throw .unexpected(offset: offset) }
        offset &+= 1
        return true
    }

    /// Passes over nested containers without recursion, so that depth costs no stack: one bit a
    /// level says whether the level is an object.
    private mutating func skipContainers(_ bytes: Span<UInt8>) throws(JSONError) {
        var levels = ContainerStack()
        repeat {
            switch try peekKind(bytes) {
            case .object:
                try enterObject(bytes)
                levels.push(isObject: true)
            case .array:
                try enterArray(bytes)
                levels.push(isObject: false)
            default: try skipValue(bytes)
            }
            while !levels.isEmpty {
                let hasMore =
                    levels.isInObject ? try nextMember(bytes) != nil : try nextElement(bytes)
                if hasMore { break }
                levels.pop()
            }
        } while !levels.isEmpty
    }

    private mutating func scanNumber(_ bytes: Span<UInt8>) throws(JSONError) {
        var i = offset
        if bytes[i] == UInt8(ascii: "-") { i &+= 1 }
        guard i < bytes.count else { throw .endedEarly }
        i = bytes[i] == UInt8(ascii: "0") ? i &+ 1 : try Self.skipDigits(bytes, i)
        if i < bytes.count, bytes[i] == UInt8(ascii: ".") {
            i = try Self.skipDigits(bytes, i &+ 1)
        }
        if i < bytes.count, bytes[i] | 0x20 == UInt8(ascii: "e") {
            i &+= 1
            if i < bytes.count, bytes[i] == UInt8(ascii: "+") || bytes[i] == UInt8(ascii: "-") {
                i &+= 1
            }
            i = try Self.skipDigits(bytes, i)
        }
        offset = i
        atStart = false
    }

    @inline(__always)
    private static func skipDigits(_ bytes: Span<UInt8>, _ start: Int) throws(JSONError) -> Int {
        var i = start
        while i < bytes.count, bytes[i] &- UInt8(ascii: "0") < 10 { i &+= 1 }
        guard i > start else { throw i == bytes.count ? .endedEarly : .unexpected(offset: i) }
        return i
    }

    private mutating func scanWord(
        _ bytes: Span<UInt8>, _ word: StaticString
    ) throws(JSONError) {
        for position in 0..<word.utf8CodeUnitCount {
            guard offset < bytes.count else { throw .endedEarly }
            let wanted = unsafe word.utf8Start[position]
            guard bytes[offset] == wanted else {
                throw .unexpected(offset: offset)
            }
            offset &+= 1
        }
        atStart = false
    }

    @inline(__always)
    private mutating func expect(_ bytes: Span<UInt8>, _ byte: UInt8) throws(JSONError) {
        guard try peek(bytes) == byte else { throw .unexpected(offset: offset) }
        offset &+= 1
    }

    /// The first byte that is not white space; the scanner then stands on it.
    @inline(__always)
    private mutating func peek(_ bytes: Span<UInt8>) throws(JSONError) -> UInt8 {
        skipWhitespace(bytes)
        guard offset < bytes.count else { throw .endedEarly }
        return bytes[offset]
    }

    @inline(__always)
    private mutating func skipWhitespace(_ bytes: Span<UInt8>) {
        while offset < bytes.count {
            let byte = bytes[offset]
            // Compact texts have no white space at all: one comparison tells.
            guard byte <= 0x20 else { return }
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            if byte < 0x20 { hasControls = true }
            offset &+= 1
        }
    }

    private static func skipEscape(
        _ bytes: Span<UInt8>, _ backslash: Int
    ) throws(JSONError) -> Int {
        guard backslash &+ 1 < bytes.count else { throw .endedEarly }
        switch bytes[backslash &+ 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"),
            UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return backslash &+ 2
        case UInt8(ascii: "u"):
            for i in (backslash &+ 2)..<(backslash &+ 6) {
                guard i < bytes.count else { throw .endedEarly }
                guard hexValue(bytes[i]) != nil else { throw .unexpected(offset: i) }
            }
            return backslash &+ 6
        default: throw .unexpected(offset: backslash &+ 1)
        }
    }

    /// Passes over one character of two to four bytes (RFC 3629, section 4).
    private static func skipCharacter(
        _ bytes: Span<UInt8>, _ start: Int
    ) throws(JSONError) -> Int {
        let length = characterLength(bytes, start)
        if length > 0 { return start &+ length }
        throw length == 0 ? .invalidUTF8(offset: start) : .endedEarly
    }
}

/// Which of the open containers are objects, a bit each, so that a walk needs no recursion and,
/// down to 64 levels, no allocation.
private struct ContainerStack {
    private var near: UInt64 = 0
    private var far: [UInt64] = []
    private var depth = 0

    var isEmpty: Bool { depth == 0 }
    var isInObject: Bool { near & 1 == 1 }

    mutating func push(isObject: Bool) {
        if depth > 0, depth % 64 == 0 { far.append(near) }
        near = near << 1 | (isObject ? 1 : 0)
        depth += 1
    }

    mutating func pop() {
        depth -= 1
        if depth > 0, depth % 64 == 0, let saved = far.popLast() {
            near = saved
        } else {
            near >>= 1
        }
    }
}
