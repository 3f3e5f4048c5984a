// Which path does what.

internal import Chat
internal import Configuration
internal import HTTPTransport
internal import HTTPTypes
internal import JSON
internal import Routing

/// What a path leads to.
enum Endpoint: Equatable {
    case chatCompletions
    case completions
    case embeddings
    case door(Door)
    case models
    case model(String)
    case backends
    case health
    case ready
    case about
    case metrics
    case page(PagePath)
    case ollama(OllamaRequest.Endpoint)
    case ollamaTags
    case ollamaRunning
    case ollamaShow
    case ollamaVersion

    /// The endpoint at a path; `nil` if there is none. Paths with and without `/v1` are the same, a
    /// trailing slash is not.
    init?(path: String) {
        switch path {
        case "/": self = .about
        case "/health": self = .health
        case "/ready": self = .ready
        case "/metrics": self = .metrics
        case "/v1/chat/completions", "/chat/completions": self = .chatCompletions
        case "/v1/completions", "/completions": self = .completions
        case "/v1/embeddings", "/embeddings": self = .embeddings
        case "/v1/models", "/models": self = .models
        case "/v1/backends", "/backends": self = .backends
        case "/api/chat": self = .ollama(.chat)
        case "/api/generate": self = .ollama(.generate)
        case "/api/embed": self = .ollama(.embed)
        case "/api/embeddings": self = .ollama(.embeddings)
        case "/api/tags": self = .ollamaTags
        case "/api/ps": self = .ollamaRunning
        case "/api/show": self = .ollamaShow
        case "/api/version": self = .ollamaVersion
        default:
            if let page = PagePath(path: path) {
                self = .page(page)
                return
            }
            if let door = Door(path: path) {
                self = .door(door)
                return
            }
            for prefix in ["/v1/models/", "/models/"] where path.hasPrefix(prefix) {
                let id = path.dropFirst(prefix.count)
                // Ids hold `/` and `:`; clients encode them or do not.
                guard !id.isEmpty, let decoded = percentDecoded(id) else { return nil }
                self = .model(decoded)
                return
            }
            return nil
        }
    }

    /// Whether its answer would be wrong before the backends have been asked.
    var tellsWhatThereIs: Bool {
        switch self {
        case .models, .model, .ollamaTags, .ollamaRunning, .ollamaShow: true
        default: false
        }
    }

    /// What it may be asked with; HEAD goes where GET does.
    var methods: [Method] {
        switch self {
        case .chatCompletions, .completions, .embeddings, .door, .ollama, .ollamaShow: [.post]
        case .models, .model, .backends, .health, .ready, .about, .metrics: [.get, .head]
        case .page(let path): path.methods
        case .ollamaTags, .ollamaRunning, .ollamaVersion: [.get, .head]
        }
    }
}

/// Undoes percent-encoding (RFC 3986, section 2.1); `nil` if it is broken or not UTF-8.
func percentDecoded(_ text: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
        guard byte == UInt8(ascii: "%") else {
            bytes.append(byte)
            continue
        }
        let digits = rest.prefix(2)
        guard digits.count == 2, digits.allSatisfy(\.isHexDigit),
            let value = UInt8(Substring(digits), radix: 16)
        else { return nil }
        bytes.append(value)
        rest = rest.dropFirst(2)
    }
    return String(validating: bytes, as: UTF8.self)
}

extension UInt8 {
    fileprivate var isHexDigit: Bool {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"):
            true
        default: false
        }
    }
}

extension Worker {
    /// Answers a request that may be answered.
    func answer(_ incoming: IncomingRequest) {
        let method = incoming.exchange.method
        guard let endpoint = Endpoint(path: incoming.path), endpoint.isThere(configuration) else {
            // A preflight for `*` or for any path is answered: the browser asks before the page can
            // be told 404.
            if method == .options { return respond(incoming, access.preflight(incoming)) }
            return refuse(
                incoming,
                APIError(
                    .unknownPath,
                    "There is nothing at \(incoming.path). Chats go to /v1/chat/completions, models are listed at /v1/models."
                ))
        }
        if method == .options { return respond(incoming, access.preflight(incoming)) }
        if endpoint == .chatCompletions, incoming.exchange.wantsWebSocket {
            return openWebSocket(incoming)
        }
        guard endpoint.methods.contains(method) else {
            let allowed = (endpoint.methods + [.options]).map(\.rawValue).joined(separator: ", ")
            return refuse(
                incoming,
                APIError(
                    .methodNotAllowed,
                    "\(incoming.path) does not take \(method.rawValue), but \(allowed)."),
                fields: [Reply.HeaderLine("Allow", allowed)])
        }
        // What is posted goes to a model: that is what the limits of keys are for.
        guard endpoint.methods.contains(.post), endpoint != .ollamaShow, !endpoint.isPage else {
            return answer(incoming, at: endpoint)
        }
        withinLimits(incoming) { [unowned self] in answer($0, at: endpoint) }
    }

    /// Answers a request that the limits of its key have let in.
    func answer(_ incoming: IncomingRequest, at endpoint: Endpoint) {
        if endpoint.tellsWhatThereIs, isEarly(incoming) {
            return hold(incoming)
        }
        switch endpoint {
        case .page(let path): respondWithPage(incoming, path)
        case .chatCompletions: chat(incoming)
        case .completions: complete(incoming)
        case .embeddings: embed(incoming)
        case .door(let door): relay(incoming, through: door)
        case .ollama(let endpoint): relayOllama(incoming, endpoint)
        case .ollamaTags: respondWithTags(incoming)
        case .ollamaRunning: respondWithRunning(incoming)
        case .ollamaShow: respondWithShow(incoming)
        case .ollamaVersion: respondWithOllamaVersion(incoming)
        case .models: respondWithModels(incoming)
        case .model(let id): respondWithModel(incoming, id)
        case .metrics: respondWithMetrics(incoming)
        case .backends: respondWithBackends(incoming)
        case .health: respondJSON(incoming, 200, #"{"status":"ok"}"#)
        case .ready:
            let isReady = !isDraining && fleet.backends.contains(where: \.isUp)
            guard isReady else {
                return refuse(
                    incoming,
                    isDraining
                        ? APIError(.shuttingDown, "Sluice is shutting down.")
                        : APIError(.noBackend, "No backend is up."))
            }
            respondJSON(incoming, 200, #"{"status":"ready"}"#)
        case .about:
            respond(
                incoming,
                Reply(
                    status: 200,
                    fields: [
                        Reply.HeaderLine("Content-Type", "text/plain; charset=utf-8"),
                        Reply.HeaderLine("x-request-id", incoming.identity.id),
                    ],
                    body: Array(
                        "Sluice \(Version.number): an OpenAI-compatible API for llama-server and Ollama.\n"
                            .utf8)))
        }
    }

    private func respondJSON(_ incoming: IncomingRequest, _ status: Int, _ json: String) {
        respondJSON(incoming, status, Array(json.utf8))
    }

    private func respondJSON(_ incoming: IncomingRequest, _ status: Int, _ json: [UInt8]) {
        respond(
            incoming,
            Reply(status: status, fields: Answers.jsonFields(incoming.identity.id), body: json))
    }

    // MARK: - Models

    private func respondWithModels(_ incoming: IncomingRequest) {
        var json: [UInt8] = Array(#"{"object":"list","data":["#.utf8)
        let models = fleet.routes.listing { access.allows(model: $0, for: incoming.key) }
        for (position, model) in models.enumerated() {
            if position > 0 { json.append(UInt8(ascii: ",")) }
            append(model, to: &json)
        }
        json.append("]}")
        respondJSON(incoming, 200, json)
    }

    private func respondWithModel(_ incoming: IncomingRequest, _ id: String) {
        let models = fleet.routes.listing { access.allows(model: $0, for: incoming.key) }
        let found = models.first { $0.id == id } ?? models.first { $0.id == id + ":latest" }
        guard let found else {
            return refuse(
                incoming, APIError.modelNotFound(id, nearest: nearestModels(id, incoming)))
        }
        var json: [UInt8] = []
        append(found, to: &json)
        respondJSON(incoming, 200, json)
    }

    /// Names that look like `id`, of those the caller may know of.
    func nearestModels(_ id: String, _ incoming: IncomingRequest) -> [String] {
        guard case .unknownModel(_, let nearest) = fleet.routes.resolve(id) else { return [] }
        return nearest.filter { access.allows(model: $0, for: incoming.key) }
    }

    /// OpenAI's model object. `created` must be there; 0 where no backend tells.
    private func append(_ model: ListedModel, to json: inout [UInt8]) {
        json.append(#"{"id":"#)
        json.appendJSONString(model.id)
        json.append(#","object":"model","created":"#)
        json.append(decimal: model.created ?? 0)
        json.append(#","owned_by":"#)
        json.appendJSONString(model.ownedBy ?? "sluice")
        json.append("}")
    }
}
