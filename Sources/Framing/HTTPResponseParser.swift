// Reads an upstream's answer off the bytes of its connection (RFC 9112).

/// A pull parser for one answer: body bytes come out as ranges of what went in.
///
///     var i = 0
///     reading: while true {
///         switch parser.next(bytes, &i) {
///         case .needMore: break reading           // all of `bytes` was taken
///         case .head(let head): …
///         case .body(let range): …                // bytes[range]
///         case .end, .refused: …                  // both are final
///         }
///     }
///
/// Interim answers (1xx) and trailers are read over. What it refuses, and why, says
/// `ResponseRefusal`.
public struct HTTPResponseParser: Sendable {
    /// What was found.
    public enum Step: Sendable, Equatable {
        /// All bytes are taken; the answer goes on in the next ones.
        case needMore
        /// The head of the final answer.
        case head(ResponseHead)
        /// The next part of the body, as a range of the bytes passed in; never empty.
        case body(Range<Int>)
        /// The answer is complete. Bytes may be left: nobody asked for them.
        case end
        /// The answer cannot be read; close the connection.
        case refused(ResponseRefusal)
    }

    /// What the closing of the connection means for the answer.
    public enum Closing: Sendable, Equatable {
        /// The answer was complete, or ends just here because it has no length.
        case complete
        /// Not one byte had come: on a connection used before, the request may be sent again.
        case nothingReceived
        /// The head was not complete, or only interim answers had come.
        case cutInHead
        /// The body was not complete.
        case cutInBody
    }

    private enum State: Equatable {
        /// Lines of a head are collected.
        case head
        /// So many bytes of a body with a length are still to come.
        case sized(Int)
        case untilClose
        /// In a chunk-size line: what of the size was read, and how far the line is.
        case chunkSize(ChunkSizeLine)
        /// So many bytes of a chunk are still to come.
        case chunk(Int)
        /// Between a chunk's data and its CRLF.
        case chunkReturn
        case chunkLineFeed
        /// Lines after the last chunk are read over, up to a blank one. `lineLength` counts the
        /// present line without line ends.
        case trailers(lineLength: Int)
        case ended
        case refused(ResponseRefusal)
    }

    /// More interim answers than any server has reason to send; Node and Go stop at about as many.
    private static let interimLimit = 16

    // First, as a token touches nothing else.
    private var state = State.head
    private let headLimit: Int
    private let isHEAD: Bool
    /// The head so far, and how much of its last line that holds.
    private var text: [UInt8] = []
    private var lineBytes = 0
    private var trailerBytes = 0
    private var interimAnswers = 0
    private var hasBytes = false
    private var keepsAlive = false
    private var hasLeftover = false

    /// Makes a parser for the answer to one request. `headLimit` bounds the bytes of a head, and
    /// those of the trailers; `isHEAD` says that the request was HEAD, so that no body follows.
    public init(headLimit: Int, isHEAD: Bool = false) {
        self.headLimit = headLimit
        self.isHEAD = isHEAD
    }

    /// Whether another request may go over this connection: the answer is complete, nothing came
    /// after it, and the upstream did not say that it will close.
    public var mayReuseConnection: Bool { state == .ended && keepsAlive && !hasLeftover }

    /// Reads on from `i`, and moves `i` behind what was taken.
    public mutating func next(_ bytes: Span<UInt8>, _ i: inout Int) -> Step {
        if let data = nextWholeChunk(bytes, &i) { return .body(data) }
        if i < bytes.count { hasBytes = true }
        do throws(ResponseRefusal) {
            return try step(bytes, &i)
        } catch {
            state = .refused(error)
            return .refused(error)
        }
    }

    /// The upstream has closed the connection.
    public mutating func connectionClosed() -> Closing {
        switch state {
        case .head: return hasBytes ? .cutInHead : .nothingReceived
        case .untilClose:
            state = .ended
            return .complete
        case .ended: return .complete
        // After a refusal nobody should ask; whatever came was no whole answer.
        case .sized, .chunkSize, .chunk, .chunkReturn, .chunkLineFeed, .trailers, .refused:
            return .cutInBody
        }
    }

    // MARK: - Parts

    /// The quick way for what nearly every token is: a chunk that is here from its size to the
    /// CRLF behind it, written plainly. `nil` leaves everything to the general way.
    @inline(__always)
    private mutating func nextWholeChunk(_ bytes: Span<UInt8>, _ start: inout Int) -> Range<Int>? {
        guard case .chunkSize(let line) = state, line.isEmpty else { return nil }
        var i = start
        var size = 0
        // So many digits that a chunk of that size would never fit into one read.
        let limit = min(bytes.count, start &+ 6)
        while i < limit, let digit = ChunkSizeLine.digit(bytes[i]) {
            size = size << 4 | digit
            i &+= 1
        }
        let end = i &+ 2 &+ size
        guard size > 0, end &+ 2 <= bytes.count, bytes[i] == .carriageReturn,
            bytes[i &+ 1] == .lineFeed, bytes[end] == .carriageReturn,
            bytes[end &+ 1] == .lineFeed
        else { return nil }
        start = end &+ 2
        return (i &+ 2)..<end
    }

    private mutating func step(
        _ bytes: Span<UInt8>, _ i: inout Int
    ) throws(ResponseRefusal) -> Step {
        while true {
            switch state {
            case .refused(let refusal): return .refused(refusal)
            case .ended:
                if i < bytes.count { hasLeftover = true }
                return .end
            case .sized(0): state = .ended
            case .chunk(0): state = .chunkReturn
            case _ where i == bytes.count: return .needMore
            case .head: if let head = try collectHead(bytes, &i) { return .head(head) }
            case .sized(let rest):
                let range = i..<(i &+ min(rest, bytes.count &- i))
                state = .sized(rest &- range.count)
                i = range.upperBound
                return .body(range)
            case .untilClose:
                defer { i = bytes.count }
                return .body(i..<bytes.count)
            case .chunk(let rest):
                let range = i..<(i &+ min(rest, bytes.count &- i))
                state = .chunk(rest &- range.count)
                i = range.upperBound
                return .body(range)
            case .chunkSize, .chunkReturn, .chunkLineFeed, .trailers:
                state = try stateAfter(bytes[i])
                i &+= 1
            }
        }
    }

    /// What stands between the data of chunks, byte by byte: there is little of it.
    ///
    /// Here a lone `\n` is refused: two readers who disagree about it disagree about the body.
    private mutating func stateAfter(_ byte: UInt8) throws(ResponseRefusal) -> State {
        switch state {
        case .chunkSize(var line):
            guard let size = try line.take(byte) else { return .chunkSize(line) }
            return size > 0 ? .chunk(size) : .trailers(lineLength: 0)
        case .chunkReturn:
            guard byte == .carriageReturn else { throw .chunkEnd }
            return .chunkLineFeed
        case .chunkLineFeed:
            guard byte == .lineFeed else { throw .chunkEnd }
            return .chunkSize(ChunkSizeLine())
        case .trailers(let lineLength):
            trailerBytes += 1
            guard trailerBytes <= headLimit else { throw .headTooLong(limitBytes: headLimit) }
            switch byte {
            case .lineFeed: return lineLength == 0 ? .ended : .trailers(lineLength: 0)
            case .carriageReturn: return .trailers(lineLength: lineLength)
            default: return .trailers(lineLength: lineLength + 1)
            }
        case .head, .sized, .untilClose, .chunk, .ended, .refused: return state
        }
    }

    /// Collects lines up to the blank one, or what there is of them; gives the head once that has
    /// come.
    private mutating func collectHead(
        _ bytes: Span<UInt8>, _ i: inout Int
    ) throws(ResponseRefusal) -> ResponseHead? {
        let start = i
        var isComplete = false
        while !isComplete, i < bytes.count {
            let end = firstIndex(of: .lineFeed, or: .lineFeed, in: bytes, from: i)
            isComplete = end.map { isBlankLine(bytes, i..<$0) } ?? false
            lineBytes = end == nil ? lineBytes + bytes.count - i : 0
            i = end.map { $0 &+ 1 } ?? bytes.count
        }
        try keep(bytes, start..<i)
        return isComplete ? try takeHead() : nil
    }

    /// Whether a line that goes on with these bytes, and ends there, is blank.
    private func isBlankLine(_ bytes: Span<UInt8>, _ rest: Range<Int>) -> Bool {
        switch (lineBytes, rest.count) {
        case (0, 0): true
        case (0, 1): bytes[rest.lowerBound] == .carriageReturn
        case (1, 0): text.last == .carriageReturn
        default: false
        }
    }

    private mutating func takeHead() throws(ResponseRefusal) -> ResponseHead? {
        let head = try ResponseHead(text, isAnswerToHEAD: isHEAD)
        text = []
        guard head.status >= 200 else {
            guard head.status != 101 else { throw .switchedProtocols }
            interimAnswers += 1
            guard interimAnswers <= Self.interimLimit else {
                throw .tooManyInterimAnswers(limit: Self.interimLimit)
            }
            return nil
        }
        keepsAlive = head.keepsAlive
        switch head.body {
        case .none: state = .ended
        case .length(let length): state = .sized(length)
        case .chunked: state = .chunkSize(ChunkSizeLine())
        case .untilClose: state = .untilClose
        }
        return head
    }

    private mutating func keep(
        _ bytes: Span<UInt8>, _ range: Range<Int>
    ) throws(ResponseRefusal) {
        // A server that does not speak HTTP, TLS say, is told at once, not when it has sent a line.
        let name: StaticString = "HTTP/"
        var i = range.lowerBound
        while i < range.upperBound, text.count + i - range.lowerBound < name.utf8CodeUnitCount {
            // Safe: below the count of the literal.
            let wanted = unsafe name.utf8Start[text.count + i - range.lowerBound]
            guard bytes[i] == wanted else { throw .statusLine }
            i += 1
        }
        guard range.count <= headLimit - text.count else {
            throw .headTooLong(limitBytes: headLimit)
        }
        text.appendBytes(of: bytes, range)
    }
}
