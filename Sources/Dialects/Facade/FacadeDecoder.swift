// An upstream's answer in, Ollama's records out, whatever the upstream speaks.

public import Chat
internal import Framing
import JSON

/// What an answer in Ollama's form has to know of its request.
public struct OllamaAnswer: Sendable {
    /// What was asked for.
    public let endpoint: OllamaRequest.Endpoint
    /// The `model` of the answer: the name the client asked for.
    public let model: String
    /// Nanoseconds since 1970.
    let clock: @Sendable () -> Int
    private let isText: Bool
    private let inputCount: Int

    /// What the answer to `request` looks like. `clock` says when it is, in nanoseconds since 1970.
    public init(_ request: OllamaRequest, model: String, clock: @escaping @Sendable () -> Int) {
        endpoint = request.endpoint
        self.model = model
        self.clock = clock
        isText = request.isText
        inputCount = request.inputCount
    }

    /// A decoder for one answer: of frames of at most `limits.event` bytes, or of one document of at
    /// most `limits.completion`.
    public func makeDecoder(
        _ dialect: UpstreamDialect, _ options: StreamOptions,
        limits: (event: Int, completion: Int)
    ) -> any AnswerDecoder {
        guard endpoint.hasStream else {
            return FacadeEmbeddingDecoder(
                dialect, self, count: inputCount, limitBytes: limits.completion)
        }
        guard dialect == .openAI else {
            return OllamaRelayDecoder(model: model, eventLimit: limits.event)
        }
        var options = options
        // Thoughts have one place here; whether they are shown at all is the operator's setting.
        if options.reasoning != .none { options.reasoning = .reasoningContent }
        options.includeUsage = true
        let source: any AnswerDecoder =
            isText
            ? TextCompletionDecoder(
                dialect, options, choicesPerPrompt: 1, eventLimit: limits.event)
            : StreamDecoder(dialect, options, eventLimit: limits.event)
        return FacadeDecoder(source, self, limitBytes: limits.completion)
    }

    /// What puts the records together for a client that wants no stream.
    public func makeAssembler(limitBytes: Int) -> any AnswerAssembler {
        guard endpoint.hasStream else { return EmbeddingAssembler() }
        return OllamaAssembler(limitBytes: limitBytes)
    }

    /// The answer to a request that only loads or unloads a model, from a server that has its
    /// models anyway.
    public func loaded(unloads: Bool) -> [UInt8] {
        var json: [UInt8] = [UInt8(ascii: "{")]
        if endpoint != .embeddings {
            json.append(#""model":"#)
            json.appendJSONString(model)
            json.append(UInt8(ascii: ","))
        }
        var time = FacadeTime()
        switch endpoint {
        case .embed: json.append(#""embeddings":[]}"#)
        case .embeddings: json.append(#""embedding":[]}"#)
        case .chat, .generate:
            json.append(#""created_at":"#)
            time.append(clock(), to: &json)
            json.append(
                endpoint == .chat
                    ? #","message":{"role":"assistant","content":""},"done":true"#
                    : #","response":"","done":true"#)
            json.append(unloads ? #","done_reason":"unload"}"# : #","done_reason":"load"}"#)
        }
        return json
    }
}

extension StreamDecoder: AnswerDecoder {}

/// Turns the stream of a server of OpenAI's kind into Ollama's records, over the normalised chunks.
struct FacadeDecoder: AnswerDecoder {
    private var source: any AnswerDecoder
    private var records: FacadeRecords
    private let clock: @Sendable () -> Int
    /// Chunks on their way through.
    private var chunks = ChunkSink(framing: .lines, headroom: 0)
    /// What is wrong with a complete answer: calls that cannot be told in Ollama's form.
    private var fault: DialectError?

    init(_ source: any AnswerDecoder, _ answer: OllamaAnswer, limitBytes: Int) {
        self.source = source
        records = FacadeRecords(answer, limitBytes: limitBytes)
        clock = answer.clock
    }

    var dataEvents: Int { mutating get { source.dataEvents } }
    var isAnswerComplete: Bool { mutating get { fault == nil && source.isAnswerComplete } }
    var isDone: Bool { records.isDone }
    var usage: (promptTokens: Int, completionTokens: Int)? { mutating get { source.usage } }

    mutating func feed(
        _ bytes: Span<UInt8>, into sink: inout ChunkSink
    ) throws(DialectError) {
        guard !isDone else { return }
        do {
            try source.feed(bytes, into: &chunks)
        } catch {
            // What came before the fault is delivered before it is told.
            try writeRecords(into: &sink)
            throw error
        }
        try writeRecords(into: &sink)
    }

    mutating func finish(into sink: inout ChunkSink) throws(DialectError) {
        guard !isDone else { return }
        if let fault { throw fault }
        do {
            try source.finish(into: &chunks)
        } catch {
            try writeRecords(into: &sink)
            throw error
        }
        try writeRecords(into: &sink)
    }

    mutating func appendFailure(_ error: APIError, into sink: inout ChunkSink) {
        sink.appendOllamaFailure(error)
    }

    private mutating func writeRecords(into sink: inout ChunkSink) throws(DialectError) {
        let isComplete = source.isDone
        guard isComplete || !chunks.isEmpty else { return }
        let now = clock()
        // Taken out while they are read, and put back empty with their memory.
        var lines: [UInt8] = []
        swap(&lines, &chunks.bytes)
        defer {
            swap(&lines, &chunks.bytes)
            chunks.reset()
        }
        do {
            try records.take(lines: lines.span, now: now, into: &sink)
        } catch {
            fault = error
            throw error
        }
        if isComplete { records.finish(now: now, into: &sink) }
    }
}

extension ChunkSink {
    /// Appends Ollama's error object as a record of its own.
    mutating func appendOllamaFailure(_ error: APIError) {
        beginEvent()
        error.appendOllamaJSON(to: &bytes)
        endEvent()
    }
}
