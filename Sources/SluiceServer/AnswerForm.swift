// What a client asked for, as far as a session has to know: a chat, a text, or vectors.

internal import Chat
internal import Dialects

/// The kind and the form of an answer.
struct AnswerForm {
    /// What is made of the upstream's body.
    private enum Kind {
        case chat
        case text(choicesPerPrompt: Int)
        // Boxed, for a chat's session is to be small.
        indirect case embeddings(EmbeddingOptions)
        indirect case door(DoorOptions)
        indirect case ollama(OllamaAnswer)
    }

    private let kind: Kind
    /// Whether the client wants a stream of events, or one document.
    let wantsStream: Bool
    /// Whether it wants the usage at the end of its stream.
    let includesUsage: Bool
    /// How many choices it wants.
    let choiceCount: Int

    init(_ request: ChatRequest) {
        kind = .chat
        wantsStream = request.isStream
        includesUsage = request.includesUsage
        choiceCount = request.choiceCount
    }

    init(_ request: TextCompletionRequest) {
        kind = .text(choicesPerPrompt: request.choicesPerPrompt)
        wantsStream = request.isStream
        includesUsage = request.includesUsage
        choiceCount = request.choiceCount
    }

    init(_ request: EmbeddingRequest, model: String) {
        kind = .embeddings(
            EmbeddingOptions(
                model: model, count: request.input.count, base64: request.wantsBase64))
        wantsStream = false
        includesUsage = false
        choiceCount = 1
    }

    init(_ request: DoorRequest, model: String) {
        kind = .door(DoorOptions(request, model: model))
        wantsStream = request.isStream
        includesUsage = false
        choiceCount = 1
    }

    /// `answer` in Ollama's own form, as a stream or not.
    init(_ answer: OllamaAnswer, wantsStream: Bool) {
        kind = .ollama(answer)
        self.wantsStream = wantsStream
        includesUsage = true
        choiceCount = 1
    }

    /// What OpenAI's ids of such answers begin with.
    var idPrefix: String {
        switch kind {
        case .chat: "chatcmpl-"
        case .text, .embeddings, .ollama: "cmpl-"
        // The bare id of the request, which these protocols tell with an error.
        case .door: ""
        }
    }

    /// What the upstream is told that it may answer with.
    func accept(_ dialect: UpstreamDialect) -> String {
        switch kind {
        case .embeddings: return "application/json"
        case .door(let options):
            return options.door.hasEvents ? "text/event-stream" : "application/json"
        case .ollama(let answer) where !answer.endpoint.hasStream: return "application/json"
        case .chat, .text, .ollama: break
        }
        return dialect == .ollama ? "application/x-ndjson" : "text/event-stream"
    }

    /// What speaks to the client before any upstream was asked: an answer may fail in its stream
    /// while it still waits for a slot, and that is told in the client's protocol.
    func makeIdleDecoder() -> SessionDecoder {
        if case .chat = kind { return .idle }
        let options = StreamOptions(id: "", created: 0, model: "")
        return makeDecoder(.openAI, options, limits: (0, 0))
    }

    /// A decoder for one answer: of events of at most `limits.event` bytes, or of one document of
    /// at most `limits.completion`.
    func makeDecoder(
        _ dialect: UpstreamDialect, _ options: StreamOptions,
        limits: (event: Int, completion: Int)
    ) -> SessionDecoder {
        switch kind {
        case .chat: SessionDecoder(StreamDecoder(dialect, options, eventLimit: limits.event))
        case .text(let choicesPerPrompt):
            SessionDecoder(
                other: TextCompletionDecoder(
                    dialect, options, choicesPerPrompt: choicesPerPrompt, eventLimit: limits.event))
        case .embeddings(let embedding):
            SessionDecoder(
                other: EmbeddingDecoder(dialect, embedding, limitBytes: limits.completion))
        case .door(let door):
            SessionDecoder(other: makeDoorDecoder(door.completed(by: options), limits: limits))
        case .ollama(let answer):
            SessionDecoder(other: answer.makeDecoder(dialect, options, limits: limits))
        }
    }

    /// What puts the lines of the decoder together; `nil` if they leave as they come.
    func makeAssembler(limitBytes: Int) -> (any AnswerAssembler)? {
        guard !wantsStream else { return nil }
        switch kind {
        case .chat: return CompletionAssembler(limitBytes: limitBytes)
        case .text: return TextCompletionAssembler(limitBytes: limitBytes)
        case .embeddings, .door: return EmbeddingAssembler()
        case .ollama(let answer): return answer.makeAssembler(limitBytes: limitBytes)
        }
    }
}

/// The decoder of a session, whatever the client asked for.
///
/// A chat's is asked directly: behind the protocol each chunk would cost twice the instructions
/// (measured: 9,450 a token instead of 4,990).
struct SessionDecoder {
    private let isChat: Bool
    /// Idle unless `isChat`.
    private var chat: StreamDecoder
    private var other: (any AnswerDecoder)?

    /// One for before there is an answer.
    static let idle = SessionDecoder(
        StreamDecoder(.openAI, StreamOptions(id: "", created: 0, model: ""), eventLimit: 0))

    init(_ decoder: StreamDecoder) {
        isChat = true
        chat = decoder
    }

    init(other decoder: any AnswerDecoder) {
        isChat = false
        chat = Self.idle.chat
        other = decoder
    }

    /// Upstream data events seen so far.
    var dataEvents: Int {
        mutating get { isChat ? chat.dataEvents : other?.dataEvents ?? 0 }
    }

    /// Whether the answer is complete, however the connection ends.
    var isAnswerComplete: Bool {
        mutating get { isChat ? chat.isAnswerComplete : other?.isAnswerComplete ?? false }
    }

    /// Whether the end was written to the sink.
    var isDone: Bool {
        mutating get { isChat ? chat.isDone : other?.isDone ?? false }
    }

    /// Tokens of the prompt and of the answer, as far as the upstream has told.
    var usage: (promptTokens: Int, completionTokens: Int)? {
        mutating get { isChat ? chat.usage : other?.usage }
    }

    /// What each event is compared with.
    var learned: [[UInt8]] {
        mutating get { isChat ? chat.learned : [] }
    }

    /// Takes the next bytes of the upstream's body.
    mutating func feed(
        _ bytes: Span<UInt8>, into sink: inout ChunkSink
    ) throws(DialectError) {
        if isChat {
            try chat.feed(bytes, into: &sink)
        } else {
            try other?.feed(bytes, into: &sink)
        }
    }

    /// The upstream's body ended, or its connection broke.
    mutating func finish(into sink: inout ChunkSink) throws(DialectError) {
        if isChat {
            try chat.finish(into: &sink)
        } else {
            try other?.finish(into: &sink)
        }
    }

    /// Tells the client in its stream why the answer ends here.
    mutating func appendFailure(_ error: APIError, into sink: inout ChunkSink) {
        if isChat {
            sink.appendFailure(error)
        } else {
            other?.appendFailure(error, into: &sink)
        }
    }
}
