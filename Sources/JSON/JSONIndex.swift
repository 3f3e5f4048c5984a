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

    /// In 24 bytes: the list of a usual event is small.
    @usableFromInline struct Node: Sendable {
        @usableFromInline let kind: JSONKind
        /// Whether a later member of the same object has the same key.
        @usableFromInline var isOverridden = false
        /// Where the key stands, without its quotes and still escaped.
        @usableFromInline let keyStart: UInt32
        @usableFromInline let keyEnd: UInt32
        let start: UInt32
        private var end: UInt32
        /// Where the list goes on behind this value and all in it.
        private var nextNode: UInt32

        init(_ kind: JSONKind, key: Range<Int>, at start: Int) {
            self.kind = kind
            keyStart = UInt32(truncatingIfNeeded: key.lowerBound)
            keyEnd = UInt32(truncatingIfNeeded: key.upperBound)
            self.start = UInt32(truncatingIfNeeded: start)
            end = self.start
            nextNode = 0
        }

        mutating func end(at end: Int, next: Int) {
            self.end = UInt32(truncatingIfNeeded: end)
            nextNode = UInt32(truncatingIfNeeded: next)
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
    @usableFromInline let hasEscapes: Bool
    private let hasControls: Bool

    /// Checks that `bytes` are exactly one JSON value in UTF-8, nested no deeper than `depthLimit`.
    /// What lies deeper than `indexedDepth` containers is checked, but not listed. A text of 4 GiB
    /// is refused.
    public init(_ bytes: [UInt8], depthLimit: Int = 128, indexedDepth: Int) throws(JSONError) {
        guard bytes.count < UInt32.max else { throw .unexpected(offset: Int(UInt32.max)) }
        var scanner = JSONScanner(depthLimit: depthLimit)
        var nodes: [Node] = []
        nodes.reserveCapacity(40)
        try Self.list(0..<0, &scanner, bytes.span, indexedDepth, &nodes)
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
        Parts(nodes: nodes, position: container.position &+ 1, end: nodes[container.position].next)
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
        // Nearly always the length tells.
        let node = nodes[member.position]
        if Int(node.keyEnd &- node.keyStart) == name.utf8CodeUnitCount {
            return begins(Int(node.keyStart), with: name)
        }
        return hasEscapes && isEscaped(node.key, name)
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

        fileprivate init(nodes: [Node], position: Int, end: Int) {
            (self.nodes, self.position, self.end) = (nodes, position, end)
        }

        /// The next part that counts.
        public mutating func next() -> Value? {
            while position < end {
                let part = position
                position = nodes[part].next
                if !nodes[part].isOverridden { return Value(position: part) }
            }
            return nil
        }
    }

    // MARK: - Reading

    /// Lists the value that comes next and those in it. Recursion is as deep as the list.
    @inline(__always)
    private static func list(
        _ key: Range<Int>, _ scanner: inout JSONScanner, _ bytes: Span<UInt8>, _ levels: Int,
        _ nodes: inout [Node]
    ) throws(JSONError) {
        let kind = try scanner.peekKind(bytes)
        var node = Node(kind, key: key, at: scanner.offset)
        if levels > 0, kind == .object || kind == .array {
            try listContainer(node, &scanner, bytes, levels, &nodes)
        } else {
            try scanner.skipValue(kind, bytes)
            node.end(at: scanner.offset, next: nodes.count &+ 1)
            nodes.append(node)
        }
    }

    private static func listContainer(
        _ node: Node, _ scanner: inout JSONScanner, _ bytes: Span<UInt8>, _ levels: Int,
        _ nodes: inout [Node]
    ) throws(JSONError) {
        let position = nodes.count
        nodes.append(node)
        if node.kind == .object {
            var count = 0
            try scanner.enterObject(bytes)
            while let key = try scanner.nextMember(bytes) {
                try list(key, &scanner, bytes, levels &- 1, &nodes)
                count &+= 1
            }
            override(count, membersOf: position, bytes, scanner.hasEscapes, &nodes)
        } else {
            try scanner.enterArray(bytes)
            while try scanner.nextElement(bytes) {
                try list(0..<0, &scanner, bytes, levels &- 1, &nodes)
            }
        }
        nodes[position].end(at: scanner.offset, next: nodes.count)
    }

    /// Marks the members of an object that others override.
    private static func override(
        _ count: Int, membersOf object: Int, _ bytes: Span<UInt8>, _ hasEscapes: Bool,
        _ nodes: inout [Node]
    ) {
        guard count > 1 else { return }
        if count <= 16, !hasEscapes {
            var met: UInt64 = 0
            var position = object &+ 1
            while position < nodes.count {
                // A bit for length and first byte: only keys with the same can be the same.
                let key = nodes[position].key
                let first = key.isEmpty ? 0 : Int(bytes[key.lowerBound])
                let bit: UInt64 = 1 << ((first &* 7 &+ key.count) & 63)
                if met & bit != 0 { override(key, from: object &+ 1, to: position, bytes, &nodes) }
                met |= bit
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
        _ key: Range<Int>, from start: Int, to end: Int, _ bytes: Span<UInt8>,
        _ nodes: inout [Node]
    ) {
        var position = start
        while position < end {
            if isEqual(bytes, key, nodes[position].key) { nodes[position].isOverridden = true }
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

    @usableFromInline
    func begins(_ start: Int, with name: StaticString) -> Bool {
        let span = bytes.span
        let wanted = unsafe name.utf8Start
        for i in 0..<name.utf8CodeUnitCount {
            // Safe: `i` is below the count of the literal.
            guard unsafe span[start &+ i] == wanted[i] else { return false }
        }
        return true
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
