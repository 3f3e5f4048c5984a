// Who may ask, from where, and what browsers are told about it.

internal import Chat
internal import Configuration
internal import HTTPTransport
internal import HTTPTypes
internal import Text

/// What a request tells of its caller.
struct Caller: Sendable {
    var method = Method.get
    /// The path without the query.
    var path = "/"
    /// The `Host` field.
    var host: String?
    /// The `Origin` field, which browsers send for pages.
    var origin: String?
    /// The `Authorization` field.
    var authorization: String?
    /// The `x-api-key` field, which clients of Anthropic's API send.
    var apiKey: String?
}

extension Caller {
    /// The caller of a request to `path`. What key it offers need not be read where there are none.
    init(_ exchange: Exchange, path: String, offersKey: Bool = true) {
        method = exchange.method
        self.path = path
        host = exchange.header("host")
        origin = exchange.header("origin")
        guard offersKey else { return }
        authorization = exchange.header("authorization")
        apiKey = exchange.header("x-api-key")
        if apiKey == nil, exchange.wantsWebSocket {
            apiKey = exchange.header("sec-websocket-protocol").flatMap(keyInSubprotocols)
        }
    }

    /// The key it offers: that of `Authorization: Bearer` (RFC 6750, section 2.1) before
    /// `x-api-key`.
    var offeredKey: String? {
        if let authorization {
            let scheme = authorization.prefix { $0 != " " }
            let key = authorization.dropFirst(scheme.count).drop { $0 == " " }
            if scheme.lowercased() == "bearer", !key.isEmpty { return String(key) }
        }
        return apiKey
    }

    /// Whether it asks for what needs no key: whoever watches over a service has none.
    fileprivate var needsNoKey: Bool {
        method == .options || path == "/health" || path == "/ready" || path == "/"
            || PagePath(path: path)?.isFile ?? false
    }
}

/// Keys, names for this machine, and which web pages may call.
struct AccessPolicy: Sendable {
    private let keys: [KeySettings]
    private let ring: KeyRing
    private let origins: [String]
    private let hosts: HostRule

    /// The policy of `configuration` on a machine that calls itself `ownHostName`.
    init(_ configuration: Configuration, ownHostName: String?) {
        keys = configuration.keys
        ring = KeyRing(configuration.keys)
        origins = configuration.corsOrigins.map { $0.lowercased() }
        hosts = HostRule(configuration, ownHostName: ownHostName)
    }

    /// Whether anybody needs a key.
    var hasKeys: Bool { !keys.isEmpty }

    /// Why a request may not be answered; `nil` if it may.
    func refuse(_ caller: Caller) -> APIError? { refuse(caller, with: key(of: caller)) }

    /// As `refuse(_:)`, for a caller whose key has been looked for.
    func refuse(_ caller: Caller, with key: KeySettings?) -> APIError? {
        guard hosts.allows(host: caller.host) else {
            return APIError(
                .forbidden,
                "'\(caller.host ?? "")' is no name of this machine. Add it to allowed_hosts to allow it."
            )
        }
        if let origin = caller.origin, !isAllowed(origin: origin),
            !isOwnPage(origin: origin, host: caller.host)
        {
            return APIError(
                .forbidden,
                "Pages from \(origin) may not call Sluice. Add the origin to cors_origins to allow it."
            )
        }
        guard !keys.isEmpty, !caller.needsNoKey else { return nil }
        if caller.offeredKey == nil {
            return APIError(
                .invalidAPIKey, "A key is required: send it as 'Authorization: Bearer KEY'.")
        }
        return key == nil ? APIError(.invalidAPIKey, "The key is not known here.") : nil
    }

    /// The key that a request is made with; `nil` without one, or with one that is not known.
    func key(of caller: Caller) -> KeySettings? {
        guard !ring.isEmpty, let offered = caller.offeredKey else { return nil }
        return ring.find(Array(offered.utf8)).map { keys[$0] }
    }

    /// Whether the holder of a key may use, and know of, a model. Without any keys, everybody may.
    func allows(model: String, for key: KeySettings?) -> Bool {
        keys.isEmpty || key?.allows(model: model) ?? false
    }

    // MARK: - Browsers

    /// Loopback pages, desktop applications as Ollama allows them, and what the configuration
    /// names.
    func isAllowed(origin: String) -> Bool {
        let origin = origin.lowercased()
        if origins.contains("*") || origins.contains(origin) { return true }
        guard let end = origin.firstRange(of: "://") else { return false }
        switch origin[..<end.lowerBound] {
        case "app", "file", "tauri", "vscode-webview", "vscode-file": return true
        case "http", "https":
            let bytes = Array(origin[end.upperBound...].utf8)
            guard let authority = Authority(bytes.span) else { return false }
            let host = String(decoding: bytes[authority.host], as: UTF8.self)
            return host == "localhost" || host.hasSuffix(".localhost")
                || IPAddress(host)?.isLoopback ?? false
        default: return false
        }
    }

    /// Whether the page is one that Sluice itself has sent, under whatever name it was asked for.
    ///
    /// That says something only if the name is known to be ours, or if a key is needed besides:
    /// a page that rebinds its name has the same name in both fields, too.
    private func isOwnPage(origin: String, host: String?) -> Bool {
        guard let host, !keys.isEmpty || hosts.isOurs(host) else { return false }
        return isSame(origin: origin, host: host)
    }

    private func isSame(origin: String, host: String) -> Bool {
        let (origin, host) = (origin.lowercased(), host.lowercased())
        return origin == "http://" + host || origin == "https://" + host
    }

    /// Why a request for the live page's figures, or to stop something, may not be answered; `nil`
    /// if it may. No page but Sluice's own may look at it or press its buttons, whatever
    /// `cors_origins` says. `site` is the `Sec-Fetch-Site` field, which browsers send and pages
    /// cannot set: it tells also where a proxy has changed the name.
    func refusePage(_ caller: Caller, site: String?, key: KeySettings? = nil) -> APIError? {
        if let key, !key.mayWatch {
            return APIError(.forbidden, "This key may not look at /ui (keys[].ui).")
        }
        if keys.isEmpty, let host = caller.host, !hosts.isOurs(host) {
            return APIError(.forbidden, "'\(host)' is no name of this machine.")
        }
        let isForeign =
            if let site {
                site != "same-origin" && site != "none"
            } else if let origin = caller.origin {
                !isSame(origin: origin, host: caller.host ?? "")
            } else {
                false
            }
        guard isForeign else { return nil }
        return APIError(.forbidden, "Only Sluice's own page at /ui may ask for this.")
    }

    /// The fields that let the page at `origin` read the answer; refused origins get none.
    func corsFields(origin: String?) -> [Reply.HeaderLine] {
        guard let origin, isAllowed(origin: origin) else { return [] }
        return [
            Reply.HeaderLine("Access-Control-Allow-Origin", origin),
            Reply.HeaderLine("Vary", "Origin"),
            Reply.HeaderLine(
                "Access-Control-Expose-Headers",
                "x-request-id, request-id, x-sluice-backend, x-sluice-ignored, retry-after, "
                    + "x-should-retry"),
        ]
    }

    /// The answer to a preflight. The wildcard does not cover `Authorization` (Fetch standard), so
    /// names are named: those asked for, and those that clients of OpenAI's send.
    func preflight(asking names: String?, requestID: String) -> Reply {
        var allowed =
            "Authorization, Content-Type, x-api-key, anthropic-version, x-request-id, traceparent"
        if let names, names.utf8.count <= 4096 { allowed += ", " + names }
        return Reply(
            status: 204,
            fields: [
                Reply.HeaderLine("x-request-id", requestID),
                Reply.HeaderLine("Access-Control-Allow-Methods", "GET, POST, HEAD, OPTIONS"),
                Reply.HeaderLine("Access-Control-Allow-Headers", allowed),
                Reply.HeaderLine("Access-Control-Max-Age", "43200"),
            ], body: [])
    }

    /// See `preflight(asking:requestID:)`.
    func preflight(_ incoming: IncomingRequest) -> Reply {
        preflight(
            asking: incoming.exchange.header("access-control-request-headers"),
            requestID: incoming.identity.id)
    }
}
