// Lines out of a byte stream: newline-delimited JSON, for one.

/// Cuts a byte stream into lines, however the network cut it into reads.
///
/// A line ends with `\n`; a `\r` right before it belongs to the end. Lines may be empty. A line
/// that lies whole in one read is handed out as a part of that read; only a line cut over reads is
/// copied.
public struct LineSplitter: Sendable {
    /// Why the bytes are refused.
    public enum Failure: Error, Equatable, Sendable {
        /// A line, its end not counted, is longer than `limit` bytes.
        case lineTooLong(limit: Int)

        /// The limit that was passed, in bytes.
        public var limit: Int {
            switch self {
            case .lineTooLong(let limit): limit
            }
        }
    }

    /// Where the next line lies.
    @usableFromInline enum Line {
        case input(Range<Int>)
        case carry(Range<Int>)
    }

    private let limit: Int
    /// The beginning of a line whose end has not come: at most `limit` bytes, and a `\r`.
    @usableFromInline var carry: [UInt8] = []
    // Set while the handler reads `carry`, which therefore is emptied one step late.
    private var carryIsSpent = false

    /// Makes a splitter that refuses lines of more than `limit` bytes.
    public init(limit: Int) { self.limit = limit }

    /// Takes the next bytes, and hands each line that is now complete to `emit`, without its end.
    ///
    /// The span given to `emit` is valid only during the call.
    @inlinable
    public mutating func feed<Refusal: Error>(
        _ bytes: Span<UInt8>, _ emit: (_ line: Span<UInt8>) throws(Refusal) -> Void
    ) throws(FeedError<Failure, Refusal>) {
        var i = 0
        while true {
            let line: Line?
            do { line = try next(bytes, &i) } catch { throw .decoder(error) }
            do throws(Refusal) {
                switch line {
                case nil: return
                case .input(let range): try emit(bytes.extracting(range))
                case .carry(let range): try emit(carry.span.extracting(range))
                }
            } catch { throw .handler(error) }
        }
    }

    /// The stream has ended: hands out the bytes after the last `\n`, if there are any.
    @inlinable
    public mutating func finish<Refusal: Error>(
        _ emit: (_ line: Span<UInt8>) throws(Refusal) -> Void
    ) throws(FeedError<Failure, Refusal>) {
        guard let range = takeRest() else { return }
        do throws(Refusal) {
            try emit(carry.span.extracting(range))
        } catch { throw .handler(error) }
    }

    // MARK: - Parts

    @usableFromInline
    mutating func next(_ bytes: Span<UInt8>, _ i: inout Int) throws(Failure) -> Line? {
        dropSpentCarry()
        let start = i
        guard
            let end = firstIndex(of: .lineFeed, or: .lineFeed, in: bytes, from: start)
        else {
            i = bytes.count
            try keep(bytes, start..<bytes.count)
            return nil
        }
        i = end &+ 1
        if carry.isEmpty {
            let hasReturn = end > start && bytes[end &- 1] == .carriageReturn
            let line = start..<(hasReturn ? end &- 1 : end)
            guard line.count <= limit else { throw .lineTooLong(limit: limit) }
            return .input(line)
        }
        try keep(bytes, start..<end)
        let line = contentsOfCarry()
        guard line.count <= limit else { throw .lineTooLong(limit: limit) }
        carryIsSpent = true
        return .carry(line)
    }

    /// What is left at the end. A last `\r` goes too: it is a line end that was cut.
    @usableFromInline
    mutating func takeRest() -> Range<Int>? {
        dropSpentCarry()
        guard !carry.isEmpty else { return nil }
        carryIsSpent = true
        return contentsOfCarry()
    }

    /// Copies the beginning of a line, checked first, so that no more than the limit is ever held.
    private mutating func keep(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(Failure) {
        guard !range.isEmpty else { return }
        // One byte more than the limit may still become a line of just the limit, if it is a `\r`.
        let excess = carry.count &+ range.count &- limit
        guard excess <= 0 || excess == 1 && bytes[range.upperBound &- 1] == .carriageReturn else {
            throw .lineTooLong(limit: limit)
        }
        carry.appendBytes(of: bytes, range)
    }

    private func contentsOfCarry() -> Range<Int> {
        0..<(carry.last == .carriageReturn ? carry.count &- 1 : carry.count)
    }

    private mutating func dropSpentCarry() {
        guard carryIsSpent else { return }
        carryIsSpent = false
        carry.removeAll(keepingCapacity: true)
    }
}
