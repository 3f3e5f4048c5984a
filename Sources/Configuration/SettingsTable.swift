// The table of all settings, in the order of the documentation. Defaults and ranges are read from
// the values themselves, so they cannot differ from them.

extension Setting {
    /// Every setting. docs/SETTINGS.md and config/sluice.example.yaml are tested against it.
    public static let all: [Setting] =
        general + backends + models + keys + access + timeouts + limits + rest

    private static let standard = Configuration()

    private static let general = [
        Setting(
            "listen", .other("address, or a list"), standard.listen[0].description,
            "Where clients reach Sluice: host:port, \"[::1]:8484\" or unix:/path."),
        Setting(
            "workers", .count(Ranges.workers), "\(standard.workers)",
            "Event loops, each in its own thread; one is enough for thousands of streams."),
    ]

    private static let backends =
        [
            Setting(
                "backends[].name", .text, nil,
                "Its name in logs, metrics and x-sluice-backend: letters, digits, dots, dashes.",
                isRequired: true),
            Setting(
                "backends[].kind", .choice(words(BackendKind.self)), BackendKind.auto.rawValue,
                "What the server speaks; auto asks it."),
            Setting(
                "backends[].url", .other("URL"), nil,
                "Where it is: http://host:port, https://host:port/prefix or unix:/path.",
                isRequired: true),
            Setting(
                "backends[].key", .secret, nil,
                "Sent to the server as Authorization: Bearer."),
            Setting(
                "backends[].ca", .path, nil,
                "A PEM file of the authorities to trust instead of the system's; https only."),
            Setting(
                "backends[].slots", .other("auto, or a number"), "auto",
                "Requests at one time; auto asks llama-server, is one per model for Ollama, "
                    + "and no limit for others."),
            Setting(
                "backends[].models", .other("list of names"), nil,
                "A fixed list of its models; without it the server is asked."),
            Setting(
                "backends[].developer_role", .choice(words(DeveloperRole.self)),
                DeveloperRole.system.rawValue,
                "Whether messages of the role developer become system messages."),
        ]
        + Timeout.upstream.map { timeout in
            Setting(
                "backends[].timeouts.\(timeout.rawValue)",
                .duration(timeout.range, mayBeOff: timeout.mayBeOff), nil,
                "Replaces timeouts.\(timeout.rawValue) for this server.")
        }

    private static let models = [
        Setting(
            "models.*.backends", .other("list of names"), "[]",
            "The backends that may serve this name; none named means all."),
        Setting(
            "models.*.model", .text, nil,
            "The name the backends know the model by; without it the name clients use."),
        Setting(
            "models.*.fallback", .other("list of names"), "[]",
            "Models to try, in this order, if no backend can serve this one."),
        Setting(
            "models.*.think_tags", .flag, "false",
            "Whether <think> tags in the text are taken for reasoning."),
        Setting(
            "models.*.default", .other("map of fields"), "{}",
            "Request fields for clients that do not send them."),
        Setting(
            "models.*.set", .other("map of fields"), "{}",
            "Request fields that replace what clients send."),
        Setting(
            "models.*.cap", .other("map of numbers"), "{}",
            "The most that a number in a request may be."),
        Setting(
            "models.*.drop", .other("list of names"), "[]",
            "Request fields that are taken out."),
        Setting(
            "default_model", .text, nil,
            "The model of requests that name none; without it the only model there is."),
    ]

    private static let keys = [
        Setting(
            "keys[].name", .text, nil,
            "The name of the key in logs and metrics: letters, digits, dots, dashes.",
            isRequired: true),
        Setting(
            "keys[].key", .secret, nil,
            "What the client sends as Authorization: Bearer or x-api-key.", isRequired: true),
        Setting(
            "keys[].models", .other("list of names"), "[\"*\"]",
            "The models the key may use, as names or patterns with *."),
        Setting(
            "keys[].max_in_flight", .count(Ranges.quota), nil,
            "Requests at one time; absent: no limit."),
        Setting(
            "keys[].requests_per_minute", .count(Ranges.quota), nil,
            "Requests in a minute; absent: no limit."),
        Setting(
            "keys[].tokens_per_day", .count(Ranges.tokens), nil,
            "Tokens, in and out, in a day; absent: no limit."),
        Setting(
            "keys[].priority", .choice(words(KeyPriority.self)),
            KeyPriority.interactive.rawValue,
            "Whose requests leave the queue first: batch waits for interactive."),
        Setting(
            "keys[].ui", .flag, nil,
            "Whether the key may look at everybody's requests at /ui, and stop them; absent: if it may use all models."
        ),
    ]

    private static let access = [
        Setting("keys_file", .path, nil, "A file of further keys, one \"name key\" a line."),
        Setting("state_file", .path, nil, "Where the token counts of keys survive a restart."),
        Setting(
            "cors_origins", .other("list of origins"), "[]",
            "Web pages that may call Sluice, as https://host; local ones always may, * is any."),
        Setting(
            "allowed_hosts", .other("list of host names"), "[]",
            "Names in the Host field that are accepted beside those of this machine."),
        Setting(
            "reasoning", .choice(words(ReasoningField.self)), standard.reasoning.rawValue,
            "The field in which reasoning text is sent to clients."),
    ]

    private static let timeouts =
        Timeout.allCases.map { timeout in
            Setting(
                "timeouts.\(timeout.rawValue)",
                .duration(timeout.range, mayBeOff: timeout.mayBeOff),
                durationText(standard.timeouts[timeout]), timeout.meaning)
        } + [
            Setting(
                "keep_alive_interval", .duration(Ranges.keepAlive, mayBeOff: true),
                durationText(standard.keepAliveInterval),
                "The pause between two comment lines on a stream that is silent.")
        ]

    private static let limits = Limit.allCases.map { limit in
        Setting(
            "limits.\(limit.rawValue)", limit.isSize ? .size(limit.range) : .count(limit.range),
            limit.isSize ? sizeText(standard.limits[limit]) : "\(standard.limits[limit])",
            limit.meaning)
    }

    private static let rest = [
        Setting(
            "tls.certificate", .path, nil, "The PEM file of the certificate chain.",
            isRequired: true),
        Setting("tls.key", .path, nil, "The PEM file of the private key.", isRequired: true),
        Setting(
            "log.format", .choice(words(LogFormat.self)), standard.log.format.rawValue,
            "Log lines for people or for machines."),
        Setting(
            "log.level", .choice(words(LogLevel.self)), standard.log.level.rawValue,
            "The least important lines that are still written."),
        Setting("ui", .flag, "\(standard.ui)", "Whether the pages under /ui are there."),
    ]

    private static func words<Choice>(_ type: Choice.Type) -> [String]
    where Choice: RawRepresentable<String> & CaseIterable {
        Choice.allCases.map(\.rawValue)
    }
}

/// The ranges of the settings that belong to no section.
enum Ranges {
    static let workers = 1...256
    static let slots = 1...100_000
    static let quota = 1...1_000_000
    static let tokens = 1...1_000_000_000_000
    static let keepAlive: ClosedRange<Duration> = .milliseconds(10) ... .seconds(3600)
}

extension Timeout {
    var meaning: String {
        switch self {
        case .connect:
            "For a connection to a backend to stand, all its addresses together; each has an even share."
        case .queue: "For a slot of a backend to become free."
        case .headGrace:
            "How long a failure can still become an HTTP status before a streamed answer begins."
        case .firstToken: "From the sending of a request to the first event of its answer."
        case .token: "Between two events of an answer."
        case .total: "From the sending of a request to the end of its answer."
        case .loadWait:
            "How long a model that is being loaded is waited for if no other backend has it."
        case .requestHead:
            "For the head of a request to arrive, and before it for the handshake of TLS."
        case .requestBody: "Between two parts of a request body."
        case .requestTotal: "For a whole request to arrive."
        case .idle: "How long a connection may rest between two requests."
        case .clientStall: "How long a client may take nothing of what is there for it."
        case .drain: "How long streams may go on when Sluice is asked to stop."
        }
    }
}

extension Limit {
    var meaning: String {
        switch self {
        case .requestLine: "The first line of a request."
        case .head: "The head of a request, its first line included."
        case .headFields: "Fields in the head of a request."
        case .body: "The body of one request."
        case .bodies: "All request bodies held at one time."
        case .event: "One event of an upstream's answer."
        case .completion: "An answer that is assembled for a client that does not stream."
        case .upstreamHead: "The head of an upstream's answer."
        case .streamBuffer:
            "Unsent output held for one stream; above it the upstream is not read."
        case .connections: "Client connections at one time."
        case .queue: "Requests that wait for a slot, in each queue; 0: none waits."
        }
    }
}
