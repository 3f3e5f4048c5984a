// An upstream's text completion in, the client's chunks out, whatever the upstream speaks.

public import Chat
internal import Framing

/// Turns the body of an upstream's answer into what the client gets; see `StreamDecoder`, which
/// keeps the same promises for chats.
///
/// Getters are mutating so that a decoder behind this protocol is read where it lies: a plain
/// getter would copy it, with all its buffers' counts, for each question.
public protocol AnswerDecoder: Sendable {
    /// Upstream data events seen so far. Comments do not count.
    var dataEvents: Int { mutating get }
    /// Whether the answer is complete, however the connection ends.
    var isAnswerComplete: Bool { mutating get }
    /// Whether the end was written to the sink. Bytes after that are ignored.
    var isDone: Bool { mutating get }
    /// Tokens of the prompt and of the answer, as far as the upstream has told.
    var usage: (promptTokens: Int, completionTokens: Int)? { mutating get }
    /// Takes the next bytes of the upstream's body.
    mutating func feed(_ bytes: Span<UInt8>, into sink: inout ChunkSink) throws(DialectError)
    /// The upstream's body ended, or its connection broke: writes what completes a complete answer,
    /// or throws `.endedEarly`.
    mutating func finish(into sink: inout ChunkSink) throws(DialectError)
    /// Tells the client in its stream why the answer ends here. Unless a decoder says otherwise,
    /// that is OpenAI's error object as one event.
    mutating func appendFailure(_ error: APIError, into sink: inout ChunkSink)
}

extension AnswerDecoder {
    /// Writes OpenAI's error object as one event.
    public mutating func appendFailure(_ error: APIError, into sink: inout ChunkSink) {
        sink.appendFailure(error)
    }
}

/// Turns the body of an upstream's streamed text completion into the one normalised stream.
public struct TextCompletionDecoder: AnswerDecoder {
    private var events: SSEDecoder
    private var records: LineSplitter
    private var openAI: OpenAICompletionStream
    private var ollama: OllamaCompletionStream
    private let dialect: UpstreamDialect

    /// Makes a decoder for one answer with `options.choiceCount` choices, `choicesPerPrompt` for
    /// each prompt. A frame of more than `eventLimit` bytes is refused.
    public init(
        _ dialect: UpstreamDialect, _ options: StreamOptions, choicesPerPrompt: Int, eventLimit: Int
    ) {
        self.dialect = dialect
        events = SSEDecoder(limit: eventLimit)
        records = LineSplitter(limit: eventLimit)
        let writer = TextCompletionWriter(options, choicesPerPrompt: choicesPerPrompt)
        openAI = OpenAICompletionStream(writer)
        ollama = OllamaCompletionStream(writer)
    }

    /// Upstream data events seen so far. Comments (llama-server's pings) do not count, so that
    /// deadlines between tokens are not fed by them.
    public var dataEvents: Int {
        switch dialect {
        case .openAI: openAI.dataEvents
        case .ollama: ollama.dataEvents
        }
    }

    /// Whether every choice has finished (OpenAI) or `done: true` came (Ollama): from here on the
    /// answer is complete, however the connection ends.
    public var isAnswerComplete: Bool {
        switch dialect {
        case .openAI: openAI.writer.isComplete
        case .ollama: ollama.writer.isComplete
        }
    }

    /// Whether the end was written to the sink. Bytes after that are ignored.
    public var isDone: Bool {
        switch dialect {
        case .openAI: openAI.writer.isDone
        case .ollama: ollama.writer.isDone
        }
    }

    /// Tokens of all prompts and of all choices, as far as the upstream has told.
    public var usage: (promptTokens: Int, completionTokens: Int)? {
        let usage =
            switch dialect {
            case .openAI: openAI.writer.usage
            case .ollama: ollama.writer.usage
            }
        return usage.counts.map { ($0.prompt, $0.completion) }
    }

    /// Takes the next bytes of the upstream's body.
    public mutating func feed(
        _ bytes: Span<UInt8>, into sink: inout ChunkSink
    ) throws(DialectError) {
        guard !isDone else { return }
        do throws(DialectError) {
            switch dialect {
            case .openAI: try openAI.feed(bytes, through: &events, into: &sink)
            case .ollama: try ollama.feed(bytes, through: &records, into: &sink)
            }
        } catch {
            try pardon(error, &sink)
        }
    }

    /// The upstream's body ended, or its connection broke: writes what completes a complete answer
    /// (usage, `[DONE]`), or throws `.endedEarly`.
    public mutating func finish(into sink: inout ChunkSink) throws(DialectError) {
        guard !isDone else { return }
        do throws(DialectError) {
            switch dialect {
            case .openAI:
                try openAI.takeRest(of: &events, into: &sink)
                try openAI.finish(into: &sink)
            case .ollama:
                try ollama.takeRest(of: &records, into: &sink)
                try ollama.finish(into: &sink)
            }
        } catch {
            try pardon(error, &sink)
        }
    }

    // MARK: - Parts

    /// A fault after the end of the answer is none: the end is written, and the rest ignored.
    /// Before it, all text that came is delivered first.
    private mutating func pardon(
        _ error: DialectError, _ sink: inout ChunkSink
    ) throws(DialectError) {
        let isComplete = isAnswerComplete
        switch dialect {
        case .openAI where isComplete: try openAI.finish(into: &sink)
        case .openAI: openAI.abandon(into: &sink)
        case .ollama where isComplete: try ollama.finish(into: &sink)
        case .ollama: ollama.abandon(into: &sink)
        }
        if !isComplete { throw error }
    }
}
