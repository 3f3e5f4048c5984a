// An upstream's answer in, the client's chunks out, whatever the upstream speaks.

public import Chat
internal import Framing

/// How an upstream writes its stream.
public enum UpstreamDialect: Sendable, Equatable, CaseIterable {
    /// Server-sent events with `chat.completion.chunk` objects: llama-server and its kind.
    case openAI
    /// Newline-delimited JSON of Ollama's native `/api/chat`.
    case ollama
}

/// Turns the body of an upstream's streamed answer into the one normalised stream.
///
/// The bytes come as the network cut them. When a call throws, everything valid before the bad
/// frame is already in the sink; the decoder is then spent. Nothing throws once the answer is
/// complete: what an upstream does after that is its own affair.
public struct StreamDecoder: Sendable {
    // What a token touches stands first, so that it lies together in memory.
    private let dialect: UpstreamDialect
    /// Whether the end was written to the sink. Bytes after that are ignored.
    public private(set) var isDone = false
    /// Upstream data events seen so far. Comments (llama-server's pings) do not count, so that
    /// deadlines between tokens are not fed by them.
    public private(set) var dataEvents = 0
    /// What an OpenAI-compatible upstream's body is.
    private var form = BodyForm.undecided(held: [])
    private var events: SSEDecoder
    private var openAI: OpenAIStream
    // None or one: the dialect that is not spoken takes no room in sessions, of which there are
    // many.
    private var ollama: [Ollama]
    private let eventLimit: Int

    private struct Ollama: Sendable {
        var records: LineSplitter
        var stream: OllamaStream
    }

    private enum BodyForm: Sendable {
        /// Only white space has come. It is kept: in an event stream, it may be part of a line.
        case undecided(held: [UInt8])
        /// What was asked for.
        case events
        /// One JSON object instead.
        case whole(OpenAIWholeAnswer)
    }

    /// Makes a decoder for one answer. A frame of more than `eventLimit` bytes is refused.
    public init(_ dialect: UpstreamDialect, _ options: StreamOptions, eventLimit: Int) {
        self.dialect = dialect
        self.eventLimit = eventLimit
        events = SSEDecoder(limit: eventLimit)
        openAI = OpenAIStream(options)
        // In one step: a struct that is changed once more is copied.
        ollama =
            dialect == .ollama
            ? [Ollama(records: LineSplitter(limit: eventLimit), stream: OllamaStream(options))]
            : []
    }

    /// Whether every choice has finished (OpenAI) or `done: true` came (Ollama): from here on the
    /// answer is complete, however the connection ends.
    public var isAnswerComplete: Bool {
        switch dialect {
        case .openAI: openAI.writer.isComplete
        case .ollama: ollama[0].stream.writer.isComplete
        }
    }

    /// Tokens of the prompt and of all choices, as far as the upstream has told.
    public var usage: (promptTokens: Int, completionTokens: Int)? {
        let counts =
            switch dialect {
            case .openAI: openAI.writer.usage.counts
            case .ollama: ollama[0].stream.writer.usage.counts
            }
        return counts.map { ($0.prompt, $0.completion) }
    }

    /// What each event is compared with, for who wants to have it at hand.
    public var learned: [[UInt8]] { openAI.learned }

    /// Takes the next bytes of the upstream's body.
    public mutating func feed(
        _ bytes: Span<UInt8>, into sink: inout ChunkSink
    ) throws(DialectError) {
        guard !isDone else { return }
        defer { noteProgress() }
        do throws(DialectError) {
            switch dialect {
            case .openAI:
                if case .events = form {
                    try openAI.feed(bytes, through: &events, into: &sink)
                } else {
                    try feedBeginning(bytes, &sink)
                }
            case .ollama: try Self.feed(&ollama[0], bytes, &sink)
            }
        } catch {
            try pardon(error, &sink)
        }
    }

    /// The upstream's body ended, or its connection broke: writes what completes a complete answer
    /// (usage, `[DONE]`), or throws `.endedEarly`.
    public mutating func finish(into sink: inout ChunkSink) throws(DialectError) {
        guard !isDone else { return }
        defer { noteProgress() }
        do throws(DialectError) {
            switch dialect {
            case .openAI:
                if case .whole(let answer) = form {
                    return try finish(answer, &sink)
                }
                if case .undecided(let held) = form {
                    try openAI.feed(held.span, through: &events, into: &sink)
                }
                try openAI.takeRest(of: &events, into: &sink)
                try openAI.finish(into: &sink)
            case .ollama:
                try Self.finish(&ollama[0], &sink)
            }
        } catch {
            try pardon(error, &sink)
        }
    }

    // MARK: - Parts

    /// Kept here, because reading them off a stream's state would copy that.
    private mutating func noteProgress() {
        switch dialect {
        case .openAI: (dataEvents, isDone) = (openAI.dataEvents, openAI.isDone)
        case .ollama:
            (dataEvents, isDone) = (ollama[0].stream.dataEvents, ollama[0].stream.writer.isDone)
        }
    }

    private static func feed(
        _ ollama: inout Ollama, _ bytes: Span<UInt8>, _ sink: inout ChunkSink
    ) throws(DialectError) {
        try ollama.stream.feed(bytes, through: &ollama.records, into: &sink)
    }

    private static func finish(
        _ ollama: inout Ollama, _ sink: inout ChunkSink
    ) throws(DialectError) {
        try ollama.stream.takeRest(of: &ollama.records, into: &sink)
        try ollama.stream.finish(into: &sink)
    }

    /// Takes bytes as long as the body may be, or is, one JSON object.
    private mutating func feedBeginning(
        _ bytes: Span<UInt8>, _ sink: inout ChunkSink
    ) throws(DialectError) {
        switch form {
        case .events: try openAI.feed(bytes, through: &events, into: &sink)
        case .whole: try takeOfWhole(bytes, &sink)
        case .undecided(let held) where held.isEmpty: try decide(bytes, &sink)
        case .undecided(var held):
            held.append(bytes)
            try decide(held.span, &sink)
        }
    }

    /// Finds out what a body is that begins with `bytes`.
    private mutating func decide(
        _ bytes: Span<UInt8>, _ sink: inout ChunkSink
    ) throws(DialectError) {
        switch OpenAIWholeAnswer.beginning(of: bytes) {
        case .undecided:
            var held: [UInt8] = []
            held.append(bytes)
            form = .undecided(held: held)
        case .events:
            form = .events
            try openAI.feed(bytes, through: &events, into: &sink)
        case .object(let start):
            form = .whole(OpenAIWholeAnswer(limit: eventLimit))
            try takeOfWhole(bytes.extracting(start..<bytes.count), &sink)
        }
    }

    private mutating func takeOfWhole(
        _ bytes: Span<UInt8>, _ sink: inout ChunkSink
    ) throws(DialectError) {
        guard case .whole(var answer) = form else { return }
        // Emptied first, so that the bytes grow in place.
        form = .events
        defer { form = .whole(answer) }
        try answer.take(bytes)
        if answer.isClosed { try openAI.take(answer, into: &sink) }
    }

    private mutating func finish(
        _ answer: OpenAIWholeAnswer, _ sink: inout ChunkSink
    ) throws(DialectError) {
        // A closed one was taken as soon as it was.
        guard !answer.isClosed else { return try openAI.finish(into: &sink) }
        throw .endedEarly
    }

    /// A fault after the end of the answer is none: the end is written, and the rest ignored.
    /// Before it, all text that came is delivered first.
    private mutating func pardon(
        _ error: DialectError, _ sink: inout ChunkSink
    ) throws(DialectError) {
        guard isAnswerComplete else {
            switch dialect {
            case .openAI: openAI.abandon(into: &sink)
            case .ollama: ollama[0].stream.abandon(into: &sink)
            }
            throw error
        }
        switch dialect {
        case .openAI: try openAI.finish(into: &sink)
        case .ollama: try ollama[0].stream.finish(into: &sink)
        }
    }
}
