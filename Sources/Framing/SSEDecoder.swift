// Server-sent events out of a byte stream (WHATWG HTML, section 9.2.6), as a proxy needs them.

/// What an event stream was found to hold.
public enum SSEItem: Sendable, Equatable {
    /// An event: its `data:` lines, joined by `\n`.
    case data
    /// A comment line, without its colon. Servers send them to keep a connection alive.
    case comment
    /// A line that is no field of the standard: no colon in it, or an unknown name before the
    /// colon.
    ///
    /// The standard ignores such lines. But servers that fail in the middle of a stream write their
    /// complaint into it as plain text, and it had better be heard (wire notes of llama-server,
    /// section 7: `proxy error: Failed to read connection`).
    case stray
    /// At the end of the stream: an event without the blank line that completes it. The standard
    /// throws it away; whether it counts is for the dialect to say.
    case unterminated
}

/// Cuts a byte stream into server-sent events, however the network cut it into reads.
///
/// Lines end with `\n`, `\r` or `\r\n`; a byte order mark at the start is skipped; `id` and `retry`
/// are read over. An event of one `data:` line that lies whole in one read, with its blank line, is
/// handed out as a part of that read; only what is cut, or joined of several lines, is copied.
public struct SSEDecoder: Sendable {
    /// Why the bytes are refused.
    public enum Failure: Error, Equatable, Sendable {
        /// An event in assembly (its data, its name and the line being read) is longer than
        /// `limit` bytes.
        case eventTooLong(limit: Int)

        /// The limit that was passed, in bytes.
        public var limit: Int {
            switch self {
            case .eventTooLong(let limit): limit
            }
        }
    }

    /// Which bytes an item's range is a range of.
    @usableFromInline enum Place { case input, carry, assembly }

    @usableFromInline struct Found {
        @usableFromInline let item: SSEItem
        @usableFromInline let place: Place
        @usableFromInline let range: Range<Int>
    }

    private let limit: Int
    /// The beginning of a line whose end has not come.
    @usableFromInline var carry: [UInt8] = []
    /// The data of the event so far, unless it is one line of the present read: see `dataInInput`.
    @usableFromInline var assembly: [UInt8] = []
    /// The value of the event's `event:` line.
    @usableFromInline var name: [UInt8] = []
    /// The event's only data line so far, as long as the read that holds it is at hand.
    private var dataInInput: Range<Int>?
    private var hasData = false
    /// The last read ended with `\r`: a `\n` at the start of the next belongs to it.
    private var mayBeginWithLineFeed = false
    private var isFirstLine = true
    // Set while the handler reads the arrays, which therefore are emptied one step late.
    private var carryIsSpent = false
    private var eventIsSpent = false

    /// Makes a decoder that refuses events of more than `limit` bytes.
    public init(limit: Int) { self.limit = limit }

    /// Takes the next bytes, and hands everything that is now complete to `emit`.
    ///
    /// `name` is the value of the event's `event:` line, for `.data` and `.unterminated`; else, and
    /// without such a line, it is empty. The spans are valid only during the call.
    @inlinable
    public mutating func feed<Refusal: Error>(
        _ bytes: Span<UInt8>,
        _ emit: (_ item: SSEItem, _ name: Span<UInt8>, _ data: Span<UInt8>) throws(Refusal) -> Void
    ) throws(FeedError<Failure, Refusal>) {
        var i = 0
        while true {
            let next: Found?
            do { next = try self.next(bytes, &i) } catch { throw .decoder(error) }
            guard let found = next else { return }
            try hand(found, of: bytes, to: emit)
        }
    }

    /// The stream has ended: hands out the line without an end and the event without its blank
    /// line (as `.unterminated`), if there are any.
    @inlinable
    public mutating func finish<Refusal: Error>(
        _ emit: (_ item: SSEItem, _ name: Span<UInt8>, _ data: Span<UInt8>) throws(Refusal) -> Void
    ) throws(FeedError<Failure, Refusal>) {
        while let found = nextAtEnd() {
            try hand(found, of: Span(), to: emit)
        }
    }

    // MARK: - Parts

    @inlinable
    func hand<Refusal: Error>(
        _ found: Found, of bytes: Span<UInt8>,
        to emit: (SSEItem, Span<UInt8>, Span<UInt8>) throws(Refusal) -> Void
    ) throws(FeedError<Failure, Refusal>) {
        let isEvent = found.item == .data || found.item == .unterminated
        let name = name.span.extracting(first: isEvent ? name.count : 0)
        do throws(Refusal) {
            switch found.place {
            case .input: try emit(found.item, name, bytes.extracting(found.range))
            case .carry: try emit(found.item, name, carry.span.extracting(found.range))
            case .assembly: try emit(found.item, name, assembly.span.extracting(found.range))
            }
        } catch { throw .handler(error) }
    }

    /// The next item of `bytes`; `nil` once all of them are taken.
    @usableFromInline
    mutating func next(_ bytes: Span<UInt8>, _ i: inout Int) throws(Failure) -> Found? {
        dropWhatIsSpent()
        if let found = nextPlainEvent(bytes, &i) { return found }
        while i < bytes.count {
            if mayBeginWithLineFeed {
                mayBeginWithLineFeed = false
                if bytes[i] == .lineFeed {
                    i &+= 1
                    continue
                }
            }
            let start = i
            guard
                let end = firstIndex(of: .lineFeed, or: .carriageReturn, in: bytes, from: start)
            else {
                i = bytes.count
                try keep(bytes, start..<bytes.count)
                break
            }
            i = end &+ 1
            mayBeginWithLineFeed = bytes[end] == .carriageReturn
            if let found = try takeLine(bytes, start..<end) { return found }
        }
        saveData(bytes)
        return nil
    }

    /// The quick way for what nearly all events are: one line `data: …` and a blank one, both ended
    /// by `\n` and both here. `nil` leaves everything to the general way.
    @inline(__always)
    private mutating func nextPlainEvent(_ bytes: Span<UInt8>, _ i: inout Int) -> Found? {
        guard bytes.count &- i >= 8, !hasData, !isFirstLine, !mayBeginWithLineFeed, carry.isEmpty,
            name.isEmpty
        else { return nil }
        // Safe: eight bytes are there.
        let word = unsafe UInt64(
            littleEndian: bytes.bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self))
        guard word & 0xFFFF_FFFF_FFFF == 0x20_3A61_7461_64,  // "data: ", read backwards
            let end = firstIndex(of: .lineFeed, or: .carriageReturn, in: bytes, from: i &+ 6),
            end &+ 1 < bytes.count, bytes[end] == .lineFeed, bytes[end &+ 1] == .lineFeed,
            end &- i <= limit
        else { return nil }
        let range = (i &+ 6)..<end
        i = end &+ 2
        return Found(item: .data, place: .input, range: range)
    }

    /// What is left at the end: first the line without an end, then the event without one.
    @usableFromInline
    mutating func nextAtEnd() -> Found? {
        dropWhatIsSpent()
        if !carry.isEmpty, let found = takeCarriedLine() { return found }
        guard hasData else { return nil }
        hasData = false
        eventIsSpent = true
        return Found(item: .unterminated, place: .assembly, range: 0..<assembly.count)
    }

    private mutating func takeLine(
        _ bytes: Span<UInt8>, _ line: Range<Int>
    ) throws(Failure) -> Found? {
        if !carry.isEmpty {
            try keep(bytes, line)
            return takeCarriedLine()
        }
        try checkLength(line.count)
        let field = SSELine(bytes, line, isFirst: isFirstLine)
        isFirstLine = false
        switch field.kind {
        case .blank: return endEvent()
        case .comment: return Found(item: .comment, place: .input, range: field.value)
        case .stray: return Found(item: .stray, place: .input, range: field.value)
        case .ignored: break
        case .event:
            name.removeAll(keepingCapacity: true)
            name.appendBytes(of: bytes, field.value)
        case .data:
            if hasData {
                saveData(bytes)
                assembly.append(.lineFeed)
                assembly.appendBytes(of: bytes, field.value)
            } else {
                hasData = true
                dataInInput = field.value
            }
        }
        return nil
    }

    private mutating func takeCarriedLine() -> Found? {
        let field = SSELine(carry.span, 0..<carry.count, isFirst: isFirstLine)
        isFirstLine = false
        carryIsSpent = true
        switch field.kind {
        case .comment: return Found(item: .comment, place: .carry, range: field.value)
        case .stray: return Found(item: .stray, place: .carry, range: field.value)
        case .blank, .ignored: break
        case .event:
            name.removeAll(keepingCapacity: true)
            name.append(contentsOf: carry[field.value])
        case .data:
            if hasData { assembly.append(.lineFeed) }
            hasData = true
            assembly.append(contentsOf: carry[field.value])
        }
        dropWhatIsSpent()
        return nil
    }

    /// A blank line: the event is complete, if there was data at all.
    private mutating func endEvent() -> Found? {
        eventIsSpent = true
        guard hasData else {
            dropWhatIsSpent()
            return nil
        }
        hasData = false
        guard let range = dataInInput else {
            return Found(item: .data, place: .assembly, range: 0..<assembly.count)
        }
        dataInInput = nil
        return Found(item: .data, place: .input, range: range)
    }

    /// Copies the data line of the present read, before that read is gone or another line joins.
    private mutating func saveData(_ bytes: Span<UInt8>) {
        guard let range = dataInInput else { return }
        dataInInput = nil
        assembly.appendBytes(of: bytes, range)
    }

    /// Copies the beginning of a line, checked first, so that no more than the limit is ever held.
    private mutating func keep(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(Failure) {
        try checkLength(carry.count &+ range.count)
        carry.appendBytes(of: bytes, range)
    }

    /// Whether a line of `count` bytes is still within the limit, beside what the event holds. All
    /// of it counts the same whether it was copied or not, so that no cut changes the verdict.
    private func checkLength(_ count: Int) throws(Failure) {
        let held = (dataInInput?.count ?? assembly.count) &+ name.count
        guard count <= limit &- held else { throw .eventTooLong(limit: limit) }
    }

    private mutating func dropWhatIsSpent() {
        if carryIsSpent {
            carryIsSpent = false
            carry.removeAll(keepingCapacity: true)
        }
        if eventIsSpent {
            eventIsSpent = false
            assembly.removeAll(keepingCapacity: true)
            name.removeAll(keepingCapacity: true)
        }
    }
}
