// The settings of one server behind Sluice.

/// One server behind Sluice, as the operator describes it.
public struct BackendSettings: Sendable, Equatable {
    /// The name in logs, metrics and `x-sluice-backend`: unique, letters, digits, `.`, `_`, `-`.
    public var name: String
    /// What the server speaks.
    public var kind: BackendKind
    /// Where it is.
    public var url: BackendURL
    /// Sent as `Authorization: Bearer`.
    public var key: Secret?
    /// The path of a PEM file with the authorities to trust; `nil`: those of the system. For https
    /// only.
    public var ca: String?
    /// How many requests it may have at once.
    public var slots: Slots
    /// A fixed list of models, which replaces discovery; `nil`: ask the server.
    public var models: [String]?
    /// What becomes of the role `developer`.
    public var developerRole: DeveloperRole
    /// The time limits that differ for this server; see `Configuration.timeouts(for:)`.
    public var timeouts: [TimeoutOverride]

    /// A backend with the defaults of everything but name, kind and place.
    public init(name: String, kind: BackendKind = .auto, url: BackendURL) {
        self.name = name
        self.kind = kind
        self.url = url
        slots = .auto
        developerRole = .system
        timeouts = []
    }
}

/// What a server speaks.
public enum BackendKind: String, Sendable, Hashable, CaseIterable {
    /// llama-server of llama.cpp.
    case llamaServer = "llama-server"
    /// Ollama through its own API.
    case ollama
    /// Any other server with OpenAI's API.
    case openai
    /// Not said: the server is asked.
    case auto
}

/// How many requests a backend may have at once.
public enum Slots: Sendable, Hashable {
    /// llama-server: what `/props` says; Ollama: one for each model; others: no limit.
    case auto
    /// So many.
    case count(Int)
}

/// What becomes of messages with the role `developer`, which most chat templates do not know.
public enum DeveloperRole: String, Sendable, CaseIterable {
    /// They become `system` messages.
    case system
    /// They stay.
    case keep
}

/// One time limit that is another for one backend.
public struct TimeoutOverride: Sendable, Equatable {
    /// Which limit.
    public var timeout: Timeout
    /// The limit for this backend; `nil` is `off`.
    public var limit: Duration?

    /// Sets `timeout` to `limit`.
    public init(_ timeout: Timeout, _ limit: Duration?) {
        self.timeout = timeout
        self.limit = limit
    }
}
