// For whom a request is written: the kind of backend, its model, and the route's rules.

public import JSON

/// What a backend speaks.
public enum UpstreamKind: String, CaseIterable, Sendable {
    /// llama.cpp's own server.
    case llamaServer = "llama-server"
    /// Any other server of OpenAI's API.
    case openAI = "openai"
    /// Ollama, by its native API.
    case ollama
}

/// The backend, model and rules a request is written for.
public struct RequestTarget: Sendable {
    /// What the backend speaks.
    public var kind: UpstreamKind
    /// The model's name there.
    public var upstreamModel: String
    /// The model's name as the client wrote it.
    public var clientModel: String
    /// Whether `developer` messages keep their role (`developer_role: keep`); else they become
    /// `system`.
    public var keepsDeveloperRole = false
    /// What the route changes in the request.
    public var rules = ParameterRules()
    /// What the model can do; read for Ollama only.
    public var ollama = OllamaCapabilities()

    /// Makes a target without rules whose `developer` messages become `system`.
    public init(kind: UpstreamKind, upstreamModel: String, clientModel: String) {
        self.kind = kind
        self.upstreamModel = upstreamModel
        self.clientModel = clientModel
    }
}

/// What is known of an Ollama model, from its `/api/show`, and of its server's version.
public struct OllamaCapabilities: Sendable, Equatable {
    /// Whether `/api/show` was asked at all. If not, tools and images are sent and Ollama decides,
    /// but `think` is not: it is a 400 for every model without thoughts.
    public var isKnown = false
    /// `capabilities` has `thinking`.
    public var thinking = false
    /// `capabilities` has `tools`.
    public var tools = false
    /// `capabilities` has `vision`.
    public var vision = false
    /// `capabilities` has `audio`.
    public var audio = false
    /// `capabilities` has `insert`: the model can fill in between a prompt and a suffix.
    public var insert = false
    /// The server knows `truncate` and `shift` (0.12.4 and later).
    public var supportsTruncate = true
    /// The server knows `logprobs` (0.12.11 and later).
    public var supportsLogprobs = true
    /// The server has `/v1/responses` (0.13.3 and later).
    public var supportsResponses = true
    /// The server has `/v1/messages` (0.14.0 and later).
    public var supportsMessages = true
    /// The model's engine takes tools and logprobs in one stream. Models with only the GGUF's own
    /// chat template do not (wire notes: "jinja").
    public var takesLogprobsWithTools = false

    /// Makes the capabilities of a model nobody has asked about.
    public init() {}
}

/// What a route changes in the fields of a request (`default`, `set`, `cap`, `drop` in the
/// configuration).
///
/// Fields that only the proxy decides (`model`, `messages`, `stream`, `stream_options`) are left
/// alone. `max_tokens` and `max_completion_tokens` are one field here, and so are
/// `reasoning_effort` and Ollama's `think`.
public struct ParameterRules: Sendable {
    /// A field and its value.
    public struct Setting: Sendable {
        /// The field's name.
        public let name: String
        /// Its value.
        public let value: JSONText
        /// Whether it stood inside Ollama's `options`.
        var isOption = false

        /// Makes a setting.
        public init(_ name: String, _ value: JSONText) {
            self.name = name
            self.value = value
        }
    }

    /// Given to requests that have no such field.
    public var defaults: [Setting] = []
    /// Given to every request.
    public var sets: [Setting] = []
    /// Upper bounds of numbers. A token limit is bounded even where the client set none.
    public var caps: [Setting] = []
    /// Taken out of the client's request, before the others apply.
    public var drops: [String] = []

    /// Makes rules that change nothing.
    public init() {}

    /// Whether they change nothing.
    var isEmpty: Bool { defaults.isEmpty && sets.isEmpty && caps.isEmpty && drops.isEmpty }
}
