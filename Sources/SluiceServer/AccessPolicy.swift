// Who may ask, from where, and what browsers are told about it.

internal import Chat
internal import Configuration
internal import HTTPTransport
internal import HTTPTypes

/// Keys, and which web pages may call.
struct AccessPolicy: Sendable {
    private let keys: [KeySettings]
    private let origins: [String]

    init(_ configuration: Configuration) {
        keys = configuration.keys
        origins = configuration.corsOrigins
    }

    /// Why a request may not be answered; `nil` if it may.
    func refuse(_ exchange: Exchange) -> APIError? {
        if let origin = exchange.header("origin"), !isAllowed(origin: origin) {
            return APIError(
                .forbidden,
                "Pages from \(origin) may not call Sluice. Add the origin to cors_origins to allow it."
            )
        }
        guard !keys.isEmpty, exchange.method != .options, !Self.isPublic(exchange.target) else {
            return nil
        }
        guard let offered = Self.key(in: exchange) else {
            return APIError(
                .invalidAPIKey, "A key is required: send it as 'Authorization: Bearer KEY'.")
        }
        return key(equalTo: offered) == nil
            ? APIError(.invalidAPIKey, "The key is not known here.") : nil
    }

    /// Whether the caller may use, and know of, a model.
    func allows(model: String, for exchange: Exchange) -> Bool {
        guard !keys.isEmpty else { return true }
        return Self.key(in: exchange).flatMap(key(equalTo:))?.allows(model: model) ?? false
    }

    private static func isPublic(_ target: String) -> Bool {
        let path = target.prefix { $0 != "?" }
        return path == "/health" || path == "/ready" || path == "/"
    }

    private static func key(in exchange: Exchange) -> String? {
        if let field = exchange.header("authorization") {
            let parts = field.split(separator: " ", maxSplits: 1)
            if parts.count == 2, parts[0].lowercased() == "bearer" { return String(parts[1]) }
        }
        return exchange.header("x-api-key")
    }

    /// Compares with every key, each in a time that depends on the offered key's length alone.
    private func key(equalTo offered: String) -> KeySettings? {
        var found: KeySettings?
        for key in keys where Self.isEqual(Array(key.key.text.utf8), Array(offered.utf8)) {
            found = key
        }
        return found
    }

    private static func isEqual(_ key: [UInt8], _ offered: [UInt8]) -> Bool {
        var difference = key.count ^ offered.count
        for i in offered.indices {
            difference |= Int(offered[i] ^ (key.isEmpty ? 0 : key[i % key.count]))
        }
        return difference == 0 && !key.isEmpty
    }

    // MARK: - Browsers

    /// Loopback pages, desktop applications as Ollama allows them, and what the configuration
    /// names.
    private func isAllowed(origin: String) -> Bool {
        if origins.contains("*") || origins.contains(origin) { return true }
        guard let end = origin.firstRange(of: "://") else { return false }
        let scheme = origin[..<end.lowerBound]
        let authority = origin[end.upperBound...]
        switch scheme {
        case "app", "file", "tauri", "vscode-webview", "vscode-file": return true
        case "http", "https":
            let host =
                authority.hasPrefix("[")
                ? authority.dropFirst().prefix { $0 != "]" } : authority.prefix { $0 != ":" }
            return isLoopback(String(host)) || host.hasSuffix(".localhost")
        default: return false
        }
    }

    /// The fields that let the page at `origin` read the answer; refused origins get none.
    func corsFields(origin: String?) -> [Reply.HeaderLine] {
        guard let origin, isAllowed(origin: origin) else { return [] }
        return [
            Reply.HeaderLine("Access-Control-Allow-Origin", origin),
            Reply.HeaderLine("Vary", "Origin"),
            Reply.HeaderLine(
                "Access-Control-Expose-Headers",
                "x-request-id, x-sluice-backend, x-sluice-ignored, retry-after"),
        ]
    }

    /// The answer to a preflight. The wildcard does not cover `Authorization` (Fetch standard), so
    /// names are named: those asked for, and those that clients of OpenAI's send.
    func preflight(_ incoming: IncomingRequest) -> Reply {
        var names = "Authorization, Content-Type, x-api-key, x-request-id, traceparent"
        if let asked = incoming.exchange.header("access-control-request-headers"),
            asked.utf8.count <= 4096
        {
            names += ", " + asked
        }
        return Reply(
            status: 204,
            fields: [
                Reply.HeaderLine("x-request-id", incoming.identity.id),
                Reply.HeaderLine("Access-Control-Allow-Methods", "GET, POST, HEAD, OPTIONS"),
                Reply.HeaderLine("Access-Control-Allow-Headers", names),
                Reply.HeaderLine("Access-Control-Max-Age", "43200"),
            ], body: [])
    }
}
