// A request at one of the doors beside chat, completions and embeddings: checked once, then read in
// place.

public import JSON

/// A path whose requests and answers are relayed in their own protocol.
public enum Door: String, CaseIterable, Sendable {
    /// OpenAI's Responses.
    case responses = "/v1/responses"
    /// Anthropic's Messages.
    case messages = "/v1/messages"
    /// How many tokens a request to Messages has.
    case countTokens = "/v1/messages/count_tokens"
    /// Which documents answer a question best (Jina's and Cohere's form).
    case rerank = "/v1/rerank"
    /// llama-server's own: text to tokens.
    case tokenize = "/tokenize"
    /// llama-server's own: tokens to text.
    case detokenize = "/detokenize"

    /// The path upstream.
    public var path: String { rawValue }

    /// Whether its answers are streams of typed events, at least from the upstream.
    public var hasEvents: Bool { self == .responses || self == .messages }
}

/// The body of a request at a door, known to be well formed and of the right types.
///
/// `null` means absent, and of duplicate keys the last one counts.
public struct DoorRequest: CheckedRequest {
    private let object: RequestObject
    /// Where it came in.
    public let door: Door

    /// Checks `body`: JSON, UTF-8, depth, and the type of every field the proxy reads or every
    /// server needs.
    ///
    /// - Throws: `invalid_json`, `missing_field` or `invalid_value`, the latter two with `param`.
    public init(reading body: [UInt8], at door: Door) throws(APIError) {
        self.door = door
        object = try RequestObject(reading: body, Self.fields(of: door))
        switch door {
        case .responses: try checkInput()
        case .messages, .countTokens: try checkMessages()
        case .rerank: try checkDocuments()
        case .tokenize, .detokenize: break
        }
    }

    /// Responses can also be asked with a stored prompt or conversation alone.
    private func checkInput() throws(APIError) {
        guard let input = object["input"] else {
            let others = ["prompt", "conversation", "previous_response_id"]
            guard others.contains(where: { object[$0] != nil }) else {
                throw .missingField("input")
            }
            return
        }
        guard input.kind == .string || input.kind == .array else {
            throw .invalidValue("input", "must be a string or an array")
        }
    }

    private func checkMessages() throws(APIError) {
        guard let messages = object["messages"] else { throw .missingField("messages") }
        guard messages.kind == .array, !messages.elements.isEmpty else {
            throw .invalidValue("messages", "must be an array that is not empty")
        }
        for (index, message) in messages.elements.enumerated() {
            let path = "messages[\(index)]"
            guard message.kind == .object else { throw .invalidValue(path, "must be an object") }
            guard let role = message["role"], !role.isNull else {
                throw .missingField("\(path).role")
            }
            guard role.kind == .string else {
                throw .invalidValue("\(path).role", "must be a string")
            }
        }
    }

    private func checkDocuments() throws(APIError) {
        guard object["query"] != nil else { throw .missingField("query") }
        guard let documents = object["documents"] ?? object["texts"] else {
            throw .missingField("documents")
        }
        guard documents.kind == .array, !documents.elements.isEmpty else {
            throw .invalidValue("documents", "must be an array that is not empty")
        }
    }

    /// The names of all fields whose types are checked at a door.
    public static func knownFields(of door: Door) -> [String] { fields(of: door).map(\.name) }

    private static func fields(of door: Door) -> [ChatRequest.Field] {
        switch door {
        case .responses:
            [
                .init("instructions", .string), .init("max_output_tokens", .tokenLimit),
                .init("model", .string), .init("parallel_tool_calls", .bool),
                .init("reasoning", .object), .init("stream", .bool), .init("temperature", .number),
                .init("text", .object), .init("tool_choice", .stringOrObject),
                .init("tools", .array), .init("top_p", .number),
            ]
        case .messages, .countTokens:
            [
                .init("max_tokens", .tokenLimit), .init("model", .string),
                .init("stop_sequences", .stringOrStrings), .init("stream", .bool),
                .init("temperature", .number), .init("thinking", .object),
                .init("tool_choice", .object), .init("tools", .array), .init("top_k", .integer),
                .init("top_p", .number),
            ]
        case .rerank: [.init("model", .string), .init("query", .string), .init("top_n", .integer)]
        case .tokenize: [.init("model", .string)]
        case .detokenize: [.init("model", .string), .init("tokens", .array)]
        }
    }
}

// The body as a request writer reads it.
extension DoorRequest {
    /// The whole body.
    public var json: JSONText { object.json }
    /// The top-level members in the client's order, duplicates included.
    public var members: [JSONText.Member] { object.members }
    /// The names of `members`, escapes undone.
    public var names: [String] { object.names }
    /// Whether the member at `index` is the one that counts for its name.
    public func isLast(_ index: Int) -> Bool { object.isLast(index) }
    /// The value of a top-level field; `nil` if it is absent or null.
    public subscript(field: String) -> JSONText? { object[field] }

    /// Whether the answer is to be a stream of events. The default is no.
    public var isStream: Bool { door.hasEvents && self["stream"]?.bool == true }
}
