// POST /v1/chat/completions: from a checked request to a session.

internal import Chat
internal import Configuration
internal import Dialects
internal import HTTPTransport
internal import JSON
internal import Relay
internal import Routing

extension Worker {
    /// Checks and routes a chat; what can be refused is refused here, before any upstream is asked.
    func chat(_ incoming: IncomingRequest) {
        if let coding = incoming.exchange.header("content-encoding"),
            coding.lowercased() != "identity"
        {
            return refuse(
                incoming,
                APIError(
                    .unsupportedMediaType,
                    "The body is sent with Content-Encoding \(coding); send it uncompressed."))
        }
        if isDraining {
            return refuse(incoming, APIError(.shuttingDown, "Sluice is shutting down."))
        }
        do throws(APIError) {
            let request = try ChatRequest(reading: incoming.exchange.body)
            let routes = try routes(for: request, incoming)
            let candidates = try candidates(for: request, routes)
            begin(
                ChatSession(
                    self, incoming, request, candidates, model: routes[0].clientModel))
        } catch {
            refuse(incoming, error)
        }
    }

    private func routes(
        for request: ChatRequest, _ incoming: IncomingRequest
    ) throws(APIError) -> [Route] {
        if let model = request.model, !access.allows(model: model, for: incoming.exchange) {
            throw .modelNotFound(model, nearest: [])
        }
        switch fleet.routes.resolve(request.model) {
        case .routes(let routes):
            // The default model, too, must be one that the caller may use.
            guard access.allows(model: routes[0].clientModel, for: incoming.exchange) else {
                throw .missingField("model")
            }
            return routes
        case .unknownModel(let name, let nearest):
            throw .modelNotFound(
                name, nearest: nearest.filter { access.allows(model: $0, for: incoming.exchange) })
        case .noModelNamed:
            throw APIError(
                .missingField,
                "'model' is required: there are several models and no default. GET /v1/models lists them.",
                param: "model")
        case .noBackend(let model): throw noBackend(for: model)
        }
    }

    /// Nobody can serve the model now; says who is expected to.
    private func noBackend(for model: String?) -> APIError {
        let down = fleet.backends.filter { !$0.isUp }.map { "'\($0.name)'" }.prefix(5)
        var message =
            model.map { "No backend that has the model '\($0)' is up" } ?? "No backend is up"
        if !down.isEmpty { message += "; not answering: " + down.joined(separator: ", ") }
        return APIError(.noBackend, message + ". Start one, or check the configuration.")
    }

    /// The request in the dialect of each backend that can honour it, best first. If none can, the
    /// first one's reason.
    private func candidates(
        for request: ChatRequest, _ routes: [Route]
    ) throws(APIError) -> [Candidate] {
        var candidates: [Candidate] = []
        var firstError: APIError?
        for route in routes {
            guard let index = fleet.backends.firstIndex(where: { $0.name == route.backend }),
                fleet.backends[index].kind != .auto
            else { continue }
            do throws(APIError) {
                let target = RequestTarget(fleet.backends[index], route)
                candidates.append(
                    Candidate(
                        fleet, index, try makeUpstreamRequest(request, for: target),
                        kind: target.kind, thinkTags: route.rule?.thinkTags ?? false))
            } catch {
                firstError = firstError ?? error
            }
        }
        guard candidates.isEmpty else { return candidates }
        throw firstError ?? APIError(.noBackend, "No backend is up.")
    }
}

extension RequestTarget {
    /// What a request writer has to know of a route.
    fileprivate init(_ backend: BackendState, _ route: Route) {
        let kind: UpstreamKind =
            switch backend.kind {
            case .ollama: .ollama
            case .llamaServer: .llamaServer
            case .openai, .auto: .openAI
            }
        self.init(kind: kind, upstreamModel: route.upstreamModel, clientModel: route.clientModel)
        keepsDeveloperRole = backend.settings.developerRole == .keep
        ollama = backend.capabilities[route.upstreamModel] ?? OllamaCapabilities()
        if let rule = route.rule { rules = ParameterRules(rule) }
    }
}

extension ParameterRules {
    /// The rules of the configuration. Their JSON was checked when the file was read.
    fileprivate init(_ rule: ModelRule) {
        self.init()
        defaults = rule.defaults.compactMap { Self.setting($0.name, $0.json) }
        sets = rule.set.compactMap { Self.setting($0.name, $0.json) }
        caps = rule.caps.compactMap { Self.setting($0.name, $0.json) }
        drops = rule.drop
    }

    private static func setting(_ name: String, _ json: String) -> Setting? {
        // Not JSON would be a bug of the file's reader; then the rule is left out.
        guard let value = try? JSONText(Array(json.utf8)) else { return nil }
        return Setting(name, value)
    }
}
