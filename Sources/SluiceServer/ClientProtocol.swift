// What clients speak: how a stream, an error and a silence look to each of them.

internal import Chat
internal import HTTPTransport
internal import JSON

/// The protocol of a request's path.
enum ClientProtocol: Equatable {
    /// OpenAI's, and all of Sluice's own paths.
    case openAI
    /// OpenAI's Responses: typed events.
    case responses
    /// Anthropic's Messages: typed events, and errors of their own shape.
    case messages
    /// Ollama's native API: lines of JSON.
    case ollama
    /// OpenAI's chunks and errors, as the messages of a WebSocket.
    case webSocket

    /// What is spoken at a path.
    init(path: String) {
        // First, for it is asked most often.
        guard path != "/v1/chat/completions" else {
            self = .openAI
            return
        }
        self =
            switch Door(path: path) {
            case .responses: .responses
            case .messages, .countTokens: .messages
            case .rerank, .tokenize, .detokenize: .openAI
            // What is not there is not there in the same words: batches of messages, for one.
            case nil where path.utf8.starts(with: "/v1/messages/".utf8): .messages
            case nil: path.utf8.starts(with: "/api/".utf8) ? .ollama : .openAI
            }
    }

    /// How the chunks of a stream are wrapped.
    var framing: ChunkSink.Framing {
        switch self {
        case .openAI, .responses, .messages: .serverSentEvents
        case .ollama: .lines
        case .webSocket: .messages
        }
    }

    /// Whether a silence may be filled with comments; lines and messages know none.
    var hasComments: Bool { framing == .serverSentEvents }

    /// The head fields of a stream. Proxies in front must neither store nor hold it back.
    func streamFields(_ requestID: String) -> [Reply.HeaderLine] {
        let type =
            framing == .lines ? "application/x-ndjson" : "text/event-stream; charset=utf-8"
        var fields: [Reply.HeaderLine] = []
        // With room for what every answer has besides.
        fields.reserveCapacity(10)
        fields.append(Reply.HeaderLine("Content-Type", type))
        fields.append(Reply.HeaderLine("Cache-Control", "no-cache"))
        fields.append(Reply.HeaderLine("X-Accel-Buffering", "no"))
        fields.append(Reply.HeaderLine("x-request-id", requestID))
        if self == .messages { fields.append(Reply.HeaderLine("request-id", requestID)) }
        return fields
    }

    /// The head fields of a JSON document.
    func documentFields(_ requestID: String) -> [Reply.HeaderLine] {
        [Reply.HeaderLine("Content-Type", "application/json")] + idFields(requestID)
    }

    /// Anthropic's clients look for the id under its own name for it.
    private func idFields(_ requestID: String) -> [Reply.HeaderLine] {
        let field = Reply.HeaderLine("x-request-id", requestID)
        return self == .messages ? [field, Reply.HeaderLine("request-id", requestID)] : [field]
    }

    /// An error as an answer.
    func reply(_ error: APIError, _ requestID: String) -> Reply {
        var fields = documentFields(requestID)
        if let seconds = error.retryAfterSeconds {
            fields.append(Reply.HeaderLine("Retry-After", "\(seconds)"))
        }
        if let retry = error.shouldRetry {
            fields.append(Reply.HeaderLine("x-should-retry", "\(retry)"))
        }
        var body: [UInt8] = []
        switch self {
        case .openAI, .responses, .webSocket: error.appendJSON(to: &body)
        case .messages: error.appendMessagesJSON(requestID: requestID, to: &body)
        case .ollama: error.appendOllamaJSON(to: &body)
        }
        return Reply(status: error.status, fields: fields, body: body)
    }
}
