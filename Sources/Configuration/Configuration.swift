// Every setting of Sluice as a plain value. A `Configuration()` is what runs when nothing is set.

/// All settings of one Sluice, checked or not; `faults()` tells what does not fit.
///
/// The names are those of the configuration file in camel case (`default_model` is `defaultModel`),
/// the sections of the file are structs (`timeouts`, `limits`). The table of all settings is
/// `Setting.all`.
public struct Configuration: Sendable, Equatable {
    /// Where to listen, at least one address.
    public var listen: [ListenAddress] = [.standard]
    /// How many event loops, each in its own thread.
    public var workers = 1
    /// The servers behind Sluice in the order of the file. Empty: `localBackends` are looked for.
    public var backends: [BackendSettings] = []
    /// Aliases, pools and parameter rules in the order of the file; their names are unique.
    public var models: [ModelRule] = []
    /// The model of requests that name none.
    public var defaultModel: String?
    /// Who may use Sluice: the keys of the file, then those of `keysFile`. Empty: everybody.
    public var keys: [KeySettings] = []
    /// A file of further keys. They are already in `keys`; the path is kept for messages.
    public var keysFile: String?
    /// Where the token counts of keys survive a restart.
    public var stateFile: String?
    /// Origins of web pages that may call Sluice, beside the local ones; `*` stands for any.
    public var corsOrigins: [String] = []
    /// Names that the `Host` field may hold, beside those of this machine.
    public var allowedHosts: [String] = []
    /// The field in which reasoning text leaves.
    public var reasoning = ReasoningField.reasoningContent
    /// How long to wait for what.
    public var timeouts = Timeouts()
    /// The pause between two comments on a silent stream; `nil`: no comments.
    public var keepAliveInterval: Duration? = .seconds(10)
    /// How much of what.
    public var limits = Limits()
    /// Certificate and key, if Sluice speaks TLS itself.
    public var tls: TLSSettings?
    /// What the log looks like.
    public var log = LogSettings()
    /// Whether `/ui` is there.
    public var ui = true
    /// Whether a foreign address may be served without keys. Only the command line can say so: a
    /// file that is copied from machine to machine must not carry it along.
    public var insecureNoAuth = false

    /// The configuration of an empty file.
    public init() {}

    /// The time limits that hold for requests to `backend`: the general ones, but for what it
    /// overrides.
    public func timeouts(for backend: BackendSettings) -> Timeouts {
        var result = timeouts
        for override in backend.timeouts { result[override.timeout] = override.limit }
        return result
    }
}

/// The field of a delta or message that carries reasoning text.
public enum ReasoningField: String, Sendable, CaseIterable {
    /// `reasoning_content`, as llama-server and DeepSeek write it.
    case reasoningContent = "reasoning_content"
    /// `reasoning`, as OpenRouter and newer vLLM write it.
    case reasoning
    /// Both fields with the same text.
    case both
    /// Reasoning is left out.
    case none
}

/// A certificate chain and its private key, both PEM files.
public struct TLSSettings: Sendable, Equatable {
    /// The path of the certificate chain.
    public var certificate: String
    /// The path of the private key.
    public var key: String

    /// Names the two files.
    public init(certificate: String, key: String) {
        self.certificate = certificate
        self.key = key
    }
}

/// What the log looks like, and how much of it there is.
public struct LogSettings: Sendable, Equatable {
    /// Text for people or JSON for machines.
    public var format = LogFormat.text
    /// The least important lines that are still written.
    public var level = LogLevel.info

    /// Text at `info`.
    public init() {}
}

/// The two shapes of a log line.
public enum LogFormat: String, Sendable, CaseIterable {
    /// `key=value` pairs.
    case text
    /// One JSON object a line.
    case json
}

/// How important a log line is, the most important first.
public enum LogLevel: String, Sendable, CaseIterable {
    /// Something failed that an operator must mend.
    case error
    /// Something is odd, and Sluice goes on.
    case warning
    /// Normal running: one line per request.
    case info
    /// For finding faults.
    case debug
}

/// A text that must not be shown: printing, interpolating or dumping it gives three asterisks.
public struct Secret: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// The text itself.
    public let text: String

    /// Hides `text`.
    public init(_ text: String) { self.text = text }

    /// Three asterisks.
    public var description: String { "***" }
    /// Three asterisks.
    public var debugDescription: String { "***" }
    /// Nothing to see.
    public var customMirror: Mirror { Mirror(self, children: [] as [Mirror.Child]) }
}
