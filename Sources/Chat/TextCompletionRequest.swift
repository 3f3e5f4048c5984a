// A completion request as the client wrote it: checked once, then read in place.

public import JSON

/// The body of `POST /v1/completions`, known to be well formed and of the right types.
///
/// Values mean what OpenAI's reference says ("Create completion"); `null` means absent, and of
/// duplicate keys the last one counts.
public struct TextCompletionRequest: CheckedRequest {
    private let object: RequestObject
    /// What the prompt is.
    public let prompt: RequestInput

    /// The most choices one request may ask for: OpenAI's own bound of inputs to a request.
    public static let choiceLimit = 2048

    /// Checks `body`: JSON, UTF-8, depth, and the type of every field OpenAI knows.
    ///
    /// - Throws: `invalid_json`, `missing_field` or `invalid_value`, the latter two with `param`.
    public init(reading body: [UInt8]) throws(APIError) {
        object = try RequestObject(reading: body, Self.fields)
        guard let value = object["prompt"] else { throw .missingField("prompt") }
        prompt = try RequestInput(value, "prompt")
        if let logprobs = object["logprobs"]?.int, logprobs < 0 {
            throw .invalidValue("logprobs", "must be at least 0")
        }
        let n = object["n"]?.int ?? 1
        if let best = object["best_of"]?.int, best < n {
            throw .invalidValue("best_of", "must be at least 'n'")
        }
        guard prompt.count * n <= Self.choiceLimit else {
            throw .invalidValue(
                "prompt", "asks for more than \(Self.choiceLimit) choices at once")
        }
    }

    /// The names of all fields whose types are checked.
    public static var knownFields: [String] { fields.map(\.name) + ["prompt"] }

    private static let fields: [ChatRequest.Field] = [
        .init("best_of", .integer), .init("echo", .bool), .init("frequency_penalty", .number),
        .init("logit_bias", .objectOrArray), .init("logprobs", .integer),
        .init("max_tokens", .tokenLimit), .init("model", .string), .init("n", .choiceCount),
        .init("presence_penalty", .number), .init("seed", .integer),
        .init("stop", .stringOrStrings), .init("stream", .bool),
        .init("stream_options", .streamOptions), .init("suffix", .string),
        .init("temperature", .number), .init("top_p", .number), .init("user", .string),
    ]
}

// The body as a request writer reads it.
extension TextCompletionRequest {
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
}

// What routing, the session and the answer need to know.
extension TextCompletionRequest {
    /// Whether the answer is to be a stream of events. OpenAI's default is no.
    public var isStream: Bool { self["stream"]?.bool ?? false }

    /// Whether a stream is to end with a chunk that carries the usage.
    public var includesUsage: Bool { self["stream_options"]?["include_usage"]?.bool ?? false }

    /// How many choices each prompt gets (`n`).
    public var choicesPerPrompt: Int { self["n"]?.int ?? 1 }

    /// How many choices the answer has: `n` for each prompt, those of the first prompt first.
    public var choiceCount: Int { prompt.count * choicesPerPrompt }
}
