// A JSON text and where each value in it stands, found in the one pass that checks it.

/// A checked JSON text with a list of its values, down to a given depth.
///
/// For short texts of which nearly every value is looked at. Reading a value is a step through the
/// list: nothing is scanned twice, and a value is a number, so that handing it on costs nothing.
/// Of duplicate keys the last one counts.
public struct JSONIndex: Sendable {
    /// One value of the index that named it.
    public struct Value: Sendable, Equatable {
        @usableFromInline let position: Int

        @inlinable init(position: Int) { self.position = position }
    }

    /// In 32 bytes: the list of a usual event is small.
    @usableFromInline struct Node: Sendable {
        /// The first eight bytes of the key: with the length they tell nearly every name.
        @usableFromInline let keyWord: UInt64
        @usableFromInline let kind: JSONKind
        /// Whether a later member of the same object has the same key.
        @usableFromInline var isOverridden = false
        /// Where the key stands, without its quotes and still escaped.
        @usableFromInline let keyStart: UInt32
        @usableFromInline let keyEnd: UInt32
        let start: UInt32
        private var end: UInt32
        /// Where the list goes on behind this value and all in it; while a container is being read,
        /// where the one around it stands.
        private var nextNode: UInt32

        init(_ kind: JSONKind, key: Range<Int>, _ keyWord: UInt64, _ range: Range<Int>, next: Int) {
            self.keyWord = keyWord
            self.kind = kind
            keyStart = UInt32(truncatingIfNeeded: key.lowerBound)
            keyEnd = UInt32(truncatingIfNeeded: key.upperBound)
            start = UInt32(truncatingIfNeeded: range.lowerBound)
            end = UInt32(truncatingIfNeeded: range.upperBound)
            nextNode = UInt32(truncatingIfNeeded: next)
        }

        /// The container ends; says where the one around it stands.
        mutating func close(at end: Int, next: Int) -> Int {
            let parent = Int(nextNode)
            self.end = UInt32(truncatingIfNeeded: end)
            nextNode = UInt32(truncatingIfNeeded: next)
            return parent
        }

        @usableFromInline var next: Int { Int(nextNode) }
        @usableFromInline var key: Range<Int> { Int(keyStart)..<Int(keyEnd) }
        @usableFromInline var range: Range<Int> { Int(start)..<Int(end) }
    }

    /// The text.
    public private(set) var bytes: [UInt8]
    // Each value comes right before those in it.
    @usableFromInline let nodes: [Node]
    /// Whether a string has an escape: a key then may be another way to write a name.
    public let hasEscapes: Bool
    private let hasControls: Bool

    /// Checks that `bytes` are exactly one JSON value in UTF-8, nested no deeper than `depthLimit`.
    /// What lies deeper than `indexedDepth` containers is checked, but not listed. A text of 4 GiB
    /// is refused.
    public init(_ bytes: [UInt8], depthLimit: Int = 128, indexedDepth: Int) throws(JSONError) {
        guard bytes.count < UInt32.max else { throw .unexpected(offset: Int(UInt32.max)) }
        var scanner = JSONScanner(depthLimit: depthLimit)
        var nodes: [Node] = []
        nodes.reserveCapacity(31)  // a kibibyte: more is dearer to allocate
        try Self.list(bytes.span, &scanner, indexedDepth, &nodes)
        try scanner.finish(bytes.span)
        self.bytes = bytes
        self.nodes = nodes
        hasEscapes = scanner.hasEscapes
        hasControls = scanner.hasControls
    }

    /// Makes spaces of the line breaks and tabs between tokens: in strings there are none.
    public mutating func blankControls() {
        guard hasControls else { return }
        for i in bytes.indices where bytes[i] < 0x20 { bytes[i] = 0x20 }
    }

    // MARK: - Values

    /// The value that is the whole text.
    public var root: Value { Value(position: 0) }

    /// What `value` is.
    @inlinable
    public func kind(of value: Value) -> JSONKind { nodes[value.position].kind }

    /// Where `value` stands, without white space around it.
    @inlinable
    public func range(of value: Value) -> Range<Int> { nodes[value.position].range }

    /// The range between the quotes of a string: its text, still escaped.
    public func contents(of string: Value) -> Range<Int> {
        let range = nodes[string.position].range
        return (range.lowerBound + 1)..<(range.upperBound - 1)
    }

    /// The bytes of `value` as they stand.
    public func bytes(of value: Value) -> ArraySlice<UInt8> { bytes[range(of: value)] }

    /// `value` with all that `JSONText` can tell of it.
    public func text(of value: Value) -> JSONText {
        let node = nodes[value.position]
        return JSONText(source: bytes, range: node.range, kind: node.kind)
    }

    // MARK: - Parts of values

    /// The members of an object or the elements of an array, in their order; empty for any other
    /// kind.
    public func parts(of container: Value) -> Parts {
        Parts(
            nodes: nodes, position: container.position &+ 1, end: nodes[container.position].next,
            withOverridden: false)
    }

    /// The members of an object in their order, duplicates included; empty for any other kind.
    public func members(of object: Value) -> Parts {
        let node = nodes[object.position]
        let end = node.kind == .object ? node.next : 0
        return Parts(
            nodes: nodes, position: object.position &+ 1, end: end, withOverridden: true)
    }

    /// The elements of an array in their order; empty for any other kind.
    public func elements(of array: Value) -> Parts {
        let node = nodes[array.position]
        let end = node.kind == .array ? node.next : 0
        return Parts(
            nodes: nodes, position: array.position &+ 1, end: end, withOverridden: false)
    }

    /// How many members an object has, those of duplicate keys counted each.
    public func memberCount(of object: Value) -> Int {
        let end = nodes[object.position].next
        var count = 0
        var position = object.position &+ 1
        while position < end {
            count &+= 1
            position = nodes[position].next
        }
        return count
    }

    /// The value of the member `name`; `nil` if there is none.
    @inlinable @inline(__always)
    public func member(_ name: StaticString, of object: Value) -> Value? {
        let end = nodes[object.position].next
        var position = object.position &+ 1
        while position < end {
            let member = Value(position: position)
            if isNamed(member, name), !nodes[position].isOverridden { return member }
            position = nodes[position].next
        }
        return nil
    }

    /// Whether the key of `member` is `name`, byte for byte once escapes are undone. `name` itself
    /// has no backslash.
    @inlinable @inline(__always)
    public func isNamed(_ member: Value, _ name: StaticString) -> Bool {
        isNamed(self.name(of: member), name)
    }

    /// A key, for comparisons with several names.
    public struct Name: Sendable {
        @usableFromInline let word: UInt64
        @usableFromInline let start: Int
        @usableFromInline let count: Int

        @inlinable init(_ node: Node) {
            word = node.keyWord
            start = Int(node.keyStart)
            count = Int(node.keyEnd &- node.keyStart)
        }
    }

    /// The key of `member`.
    @inlinable @inline(__always)
    public func name(of member: Value) -> Name { Name(nodes[member.position]) }

    /// Whether `key` is `name`, as above.
    @inlinable @inline(__always)
    public func isNamed(_ key: Name, _ name: StaticString) -> Bool {
        // Nearly always length and first bytes tell.
        if key.count == name.utf8CodeUnitCount {
            guard key.word == firstWord(of: name) else { return false }
            return name.utf8CodeUnitCount <= 8 || stands(name, at: key.start)
        }
        return hasEscapes && isEscaped(key.start..<(key.start &+ key.count), name)
    }

    /// The key of `member` as it stands, quotes included.
    public func key(of member: Value) -> Range<Int> {
        let key = nodes[member.position].key
        return (key.lowerBound &- 1)..<(key.upperBound &+ 1)
    }

    /// Walks over the parts of a value.
    public struct Parts: Sequence, IteratorProtocol {
        private let nodes: [Node]
        private var position: Int
        private let end: Int
        private let withOverridden: Bool

        fileprivate init(nodes: [Node], position: Int, end: Int, withOverridden: Bool) {
            (self.nodes, self.position, self.end) = (nodes, position, end)
            self.withOverridden = withOverridden
        }

        /// The next part that counts.
        public mutating func next() -> Value? {
            while position < end {
                let part = position
                position = nodes[part].next
                if withOverridden || !nodes[part].isOverridden { return Value(position: part) }
            }
            return nil
        }
    }

    // MARK: - Reading

    /// Lists the value that comes next and those in it, down to `levels` containers.
    private static func list(
        _ bytes: Span<UInt8>, _ scanner: inout JSONScanner, _ levels: Int, _ nodes: inout [Node]
    ) throws(JSONError) {
        var key = 0..<0
        // The container whose parts are being listed, and how many are open.
        var container = 0
        var isInObject = false
        var depth = 0
        while true {
            let kind = try scanner.peekKind(bytes)
            let start = scanner.offset
            let word = firstWord(of: bytes, key)
            if kind == .object || kind == .array, depth < levels {
                nodes.append(Node(kind, key: key, word, start..<start, next: container))
                container = nodes.count &- 1
                isInObject = kind == .object
                depth &+= 1
                try scanner.enterContainer()
            } else {
                try scanner.skipValue(kind, bytes)
                let next = nodes.count &+ 1
                nodes.append(Node(kind, key: key, word, start..<scanner.offset, next: next))
            }
            while true {
                guard depth > 0 else { return }
                if isInObject {
                    if let member = try scanner.nextMemberHere(bytes) {
                        key = member
                        break
                    }
                    override(membersOf: container, bytes, scanner.hasEscapes, &nodes)
                } else if try scanner.nextElement(bytes) {
                    key = 0..<0
                    break
                }
                container = nodes[container].close(at: scanner.offset, next: nodes.count)
                isInObject = nodes[container].kind == .object
                depth &-= 1
            }
        }
    }

    /// Marks the members that others override, of the object that was listed last.
    @inline(__always)
    private static func override(
        membersOf object: Int, _ bytes: Span<UInt8>, _ hasEscapes: Bool, _ nodes: inout [Node]
    ) {
        var count = 0
        var met: UInt64 = 0
        var mayRepeat = hasEscapes
        var position = object &+ 1
        while position < nodes.count {
            // A bit for length and first bytes: only keys with the same can be the same.
            let length = UInt64(nodes[position].keyEnd &- nodes[position].keyStart)
            let hash = (nodes[position].keyWord ^ length) &* 0x9E37_79B9_7F4A_7C15
            let bit: UInt64 = 1 << (hash >> 58)
            mayRepeat = mayRepeat || met & bit != 0
            met |= bit
            count &+= 1
            position = nodes[position].next
        }
        if mayRepeat { override(count, membersOf: object, bytes, hasEscapes, &nodes) }
    }

    /// Marks the members of an object that others override.
    @inline(never)
    private static func override(
        _ count: Int, membersOf object: Int, _ bytes: Span<UInt8>, _ hasEscapes: Bool,
        _ nodes: inout [Node]
    ) {
        guard count > 1 else { return }
        if count <= 16, !hasEscapes {
            var position = nodes[object &+ 1].next
            while position < nodes.count {
                override(from: object &+ 1, to: position, bytes, &nodes)
                position = nodes[position].next
            }
            return
        }
        // A set keeps an object of many members from costing their square.
        var last: [[UInt8]: Int] = [:]
        var position = object &+ 1
        while position < nodes.count {
            var key: [UInt8] = []
            appendUnescaped(bytes, nodes[position].key, to: &key)
            if let overridden = last.updateValue(position, forKey: key) {
                nodes[overridden].isOverridden = true
            }
            position = nodes[position].next
        }
    }

    /// Marks the members before `end` that have the key of the member there.
    private static func override(
        from start: Int, to end: Int, _ bytes: Span<UInt8>, _ nodes: inout [Node]
    ) {
        let (word, key) = (nodes[end].keyWord, nodes[end].key)
        var position = start
        while position < end {
            if nodes[position].keyWord == word, isEqual(bytes, key, nodes[position].key) {
                nodes[position].isOverridden = true
            }
            position = nodes[position].next
        }
    }

    /// Whether two ranges hold the same bytes.
    private static func isEqual(
        _ bytes: Span<UInt8>, _ range: Range<Int>, _ other: Range<Int>
    ) -> Bool {
        guard range.count == other.count else { return false }
        for i in 0..<range.count {
            guard bytes[range.lowerBound &+ i] == bytes[other.lowerBound &+ i] else {
                return false
            }
        }
        return true
    }

    /// Whether `name`, of eight bytes or more, stands at `start`.
    @usableFromInline
    func stands(_ name: StaticString, at start: Int) -> Bool {
        let count = name.utf8CodeUnitCount
        guard count >= 8, count <= bytes.count &- start else { return false }
        let span = bytes.span
        // Safe: a literal lives as long as the program.
        let wanted = unsafe Span(_unsafeStart: name.utf8Start, count: count)
        var i = 0
        while true {
            // Safe: `i` is at most eight below the count, of which there are so many in both.
            let word = unsafe span.bytes.unsafeLoadUnaligned(
                fromByteOffset: start &+ i, as: UInt64.self)
            let wantedWord = unsafe wanted.bytes.unsafeLoadUnaligned(
                fromByteOffset: i, as: UInt64.self)
            guard word == wantedWord else { return false }
            if i == count &- 8 { return true }
            // The last eight may overlap those before.
            i = min(i &+ 8, count &- 8)
        }
    }

    /// Whether a key with escapes is another way to write `name`.
    @usableFromInline
    func isEscaped(_ key: Range<Int>, _ name: StaticString) -> Bool {
        // An escape is longer than what it stands for.
        guard key.count > name.utf8CodeUnitCount else { return false }
        var decoded: [UInt8] = []
        appendUnescaped(bytes.span, key, to: &decoded)
        var wanted: [UInt8] = []
        wanted.append(name)
        return decoded == wanted
    }
}

/// The first eight bytes of a name, or all of it, the first one lowest.
@inlinable @inline(__always)
func firstWord(of name: StaticString) -> UInt64 {
    var word: UInt64 = 0
    for i in 0..<min(8, name.utf8CodeUnitCount) {
        // Safe: `i` is below the count of the literal.
        word |= unsafe UInt64(name.utf8Start[i]) << UInt64(8 &* i)
    }
    return word
}

/// The same of a key.
@inline(__always)
private func firstWord(of bytes: Span<UInt8>, _ key: Range<Int>) -> UInt64 {
    if key.lowerBound &+ 8 <= bytes.count {
        // Safe: eight bytes are there.
        let word = unsafe UInt64(
            littleEndian: bytes.bytes.unsafeLoadUnaligned(
                fromByteOffset: key.lowerBound, as: UInt64.self))
        // Shifts by 64 and more leave nothing.
        return word & ~(UInt64.max << UInt64(8 &* key.count))
    }
    var word: UInt64 = 0
    for i in 0..<min(8, key.count) {
        word |= UInt64(bytes[key.lowerBound &+ i]) << UInt64(8 &* i)
    }
    return word
}
