// The rules of the gate: takes a client's bytes apart into requests, or refuses them (RFC 9112).

import HTTPTypes

/// A strict parser for the requests of one connection, one after the other.
///
/// It is pulled: give it what was read and call `next` until it needs more. Where a read ended
/// makes no difference to what comes out. What the standard lets a lenient reader repair is
/// refused, because the server behind may repair it differently, and then a second request hides in
/// the first.
///
///     var i = 0
///     while true {
///         switch parser.next(bytes, &i) {
///         case .head(let head): …
///         case .body(let range): body.append(bytes: bytes.extracting(range))
///         case .end: …            // may stop here and go on from `i` when the answer is out
///         case .refused(let refusal): …
///         case .needMore: return  // `i` is at the end of `bytes`
///         }
///     }
public struct HTTPRequestParser: Sendable {
    /// What was found next.
    public enum Step: Equatable, Sendable {
        /// All bytes given were taken; nothing of them needs to be kept.
        case needMore
        /// A request's head, complete and checked. Its body follows, then `end`.
        case head(RequestHead)
        /// Bytes of the body, without chunk framing, as a range of the bytes given. Never empty.
        case body(Range<Int>)
        /// The request is complete; what follows is the next one.
        case end
        /// The connection cannot be used any more. Every later step says the same.
        case refused(RequestRefusal)
    }

    private enum State {
        /// Before or inside a request line, after so many ignored empty lines.
        case requestLine(emptyLines: Int)
        /// Inside the fields of a head.
        case fields
        /// So many bytes of a body of known length are still to come.
        case body(remaining: Int)
        /// Inside the line with a chunk's size.
        case chunkLine
        /// So many bytes of a chunk are still to come.
        case chunk(remaining: Int)
        /// After a chunk's data; its CRLF is to come.
        case chunkEnd
        /// After the last chunk: trailer fields, or the empty line that ends the body.
        case trailers
        /// The last byte was taken; `end` is to be told.
        case complete
        /// Refused for good.
        case refused(RequestRefusal)
    }

    /// RFC 9112 section 2.2 asks to ignore "at least one" empty line before a request line: old
    /// clients sent one after a body. Two allow for a client that ends its body with one and begins
    /// its request with another.
    private static let toleratedEmptyLines = 2

    /// Extensions of all chunks of a body may take this much and one byte more for each byte of
    /// data, so that a body of tiny chunks is no way to keep us reading what is thrown away.
    private static let freeExtensionBytes = 16 * 1024

    private let limits: RequestLimits
    private var state = State.requestLine(emptyLines: 0)
    private var line = RequestLineCollector()
    private var builder: RequestHeadBuilder
    private var chunks = ChunkedBody()

    /// What has been seen of a chunked body.
    private struct ChunkedBody {
        var dataBytes = 0
        var extensionBytes = 0
        var trailerBytes = 0
        var trailerCount = 0
    }

    /// Makes a parser for the first request of a connection.
    public init(limits: RequestLimits) {
        self.limits = limits
        builder = RequestHeadBuilder(limits: limits)
    }

    /// Whether it stands between two requests and not one byte of the next has come. An ignored
    /// empty line is no part of a request.
    public var isIdle: Bool {
        if case .requestLine = state { line.isEmpty } else { false }
    }

    /// Whether a head has begun and is not complete.
    public var isReadingHead: Bool {
        switch state {
        case .requestLine: !line.isEmpty
        case .fields: true
        case .body, .chunkLine, .chunk, .chunkEnd, .trailers, .complete, .refused: false
        }
    }

    /// Whether the head was told and bytes of its body are still to come.
    public var isReadingBody: Bool {
        switch state {
        case .body, .chunkLine, .chunk, .chunkEnd, .trailers: true
        case .requestLine, .fields, .complete, .refused: false
        }
    }

    /// How many bytes of a body of declared length are still to come; 0 in every other state.
    public var bodyBytesToCome: Int {
        if case .body(let remaining) = state { remaining } else { 0 }
    }

    /// So many of `bodyBytesToCome` were read without being passed through here: a large body is
    /// better read to where it stays.
    public mutating func skipBody(_ count: Int) {
        guard case .body(let remaining) = state, count <= remaining else { return }
        state = count == remaining ? .complete : .body(remaining: remaining - count)
    }

    /// The `Origin` of the request that is being read, or was refused, once its line was read: a
    /// page may read also a refusal.
    public var origin: String? { builder.origin }

    /// The next step in `bytes` from `i`, which moves over what was taken.
    ///
    /// The cost is linear in the bytes however they are cut; what is kept between calls is within
    /// the limits.
    public mutating func next(_ bytes: Span<UInt8>, _ i: inout Int) -> Step {
        do throws(RequestRefusal) {
            while true {
                if let step = try advance(bytes, &i) { return step }
            }
        } catch {
            state = .refused(error)
            return .refused(error)
        }
    }

    /// One state's work: a step to tell, or `nil` if the next state should have its turn.
    private mutating func advance(
        _ bytes: Span<UInt8>, _ i: inout Int
    ) throws(RequestRefusal) -> Step? {
        switch state {
        case .requestLine, .fields, .chunkLine, .chunkEnd, .trailers:
            switch try line.collect(bytes, &i, room: roomForLine) {
            case .nothing: return .needMore
            case .inPlace(let range): return try takeLine(bytes.extracting(range))
            case .carried:
                let carried = line.take()
                return try takeLine(carried.span)
            }
        case .body(let remaining), .chunk(let remaining):
            return takeData(bytes, &i, remaining)
        case .complete:
            builder = RequestHeadBuilder(limits: limits)
            chunks = ChunkedBody()
            state = .requestLine(emptyLines: 0)
            return .end
        case .refused(let refusal):
            return .refused(refusal)
        }
    }

    private var roomForLine: RequestLineCollector.Room {
        switch state {
        case .fields: builder.roomForField
        case .chunkLine:
            .init(bytes: RequestChunkLine.limitBytes, excess: .chunkExtensionTooLong)
        case .chunkEnd: .init(bytes: 0, excess: .malformedChunkEnd)
        case .trailers:
            .init(
                bytes: limits.head - chunks.trailerBytes - 2,
                excess: .headTooLarge(limitBytes: limits.head))
        case .requestLine, .body, .chunk, .complete, .refused:
            .init(
                bytes: limits.requestLine,
                excess: .requestLineTooLong(limitBytes: limits.requestLine))
        }
    }

    private mutating func takeLine(_ line: Span<UInt8>) throws(RequestRefusal) -> Step? {
        switch state {
        case .requestLine(let emptyLines): try takeRequestLine(line, after: emptyLines)
        case .fields: return try takeField(line)
        case .chunkLine: try takeChunkLine(line)
        case .chunkEnd: state = .chunkLine
        case .trailers: try takeTrailer(line)
        case .body, .chunk, .complete, .refused: break  // these read no lines
        }
        return nil
    }

    private mutating func takeRequestLine(
        _ line: Span<UInt8>, after emptyLines: Int
    ) throws(RequestRefusal) {
        if line.isEmpty {
            guard emptyLines < Self.toleratedEmptyLines else { throw .emptyLines }
            state = .requestLine(emptyLines: emptyLines + 1)
        } else {
            try builder.readRequestLine(line)
            state = .fields
        }
    }

    private mutating func takeField(_ line: Span<UInt8>) throws(RequestRefusal) -> Step? {
        guard line.isEmpty else {
            try builder.readField(line)
            return nil
        }
        let head = try builder.finish()
        state =
            switch head.body {
            case .none: .complete
            case .length(let length): .body(remaining: length)
            case .chunked: .chunkLine
            }
        return .head(head)
    }

    private mutating func takeChunkLine(_ line: Span<UInt8>) throws(RequestRefusal) {
        let chunk = try RequestChunkLine(line)
        chunks.extensionBytes += chunk.extensionBytes
        guard chunks.extensionBytes <= Self.freeExtensionBytes + chunks.dataBytes else {
            throw .chunkExtensionTooLong
        }
        guard chunk.size <= UInt64(max(0, limits.body - chunks.dataBytes)) else {
            throw .bodyTooLarge(limitBytes: limits.body)
        }
        chunks.dataBytes += Int(chunk.size)
        state = chunk.size == 0 ? .trailers : .chunk(remaining: Int(chunk.size))
    }

    /// Trailers are held to the rules of fields and dropped: merged into a head (RFC 9110 section
    /// 6.5.1 warns of it) they could bring in credentials or a second `Host` after the checks.
    private mutating func takeTrailer(_ line: Span<UInt8>) throws(RequestRefusal) {
        guard !line.isEmpty else {
            state = .complete
            return
        }
        chunks.trailerBytes += line.count + 2
        chunks.trailerCount += 1
        guard chunks.trailerCount <= limits.headFields else {
            throw .tooManyFields(limit: limits.headFields)
        }
        _ = try RequestFieldLine(line)
    }

    private mutating func takeData(
        _ bytes: Span<UInt8>, _ i: inout Int, _ remaining: Int
    ) -> Step {
        guard i < bytes.count else { return .needMore }
        let taken = i..<min(bytes.count, i + remaining)
        i = taken.upperBound
        let left = remaining - taken.count
        if case .chunk = state {
            state = left == 0 ? .chunkEnd : .chunk(remaining: left)
        } else {
            state = left == 0 ? .complete : .body(remaining: left)
        }
        return .body(taken)
    }
}
