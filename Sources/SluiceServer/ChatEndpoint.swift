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
        begin(incoming) { (body) throws(APIError) in
            let request = try ChatRequest(reading: body)
            let plan = try plan(for: request.model, incoming) { target throws(APIError) in
                try makeUpstreamRequest(request, for: target)
            }
            // Where there is no choice, nothing need be known to choose well.
            if plan.candidates.count > 1 { plan.prefixes = request.prefixes(model: plan.model) }
            return try ChatSession(self, incoming, AnswerForm(request), plan)
        }
    }

    /// Begins the session that `make` makes of the request's body, unless it has answered itself, or
    /// tells the client why not.
    func begin(
        _ incoming: IncomingRequest, _ make: (_ body: [UInt8]) throws(APIError) -> ChatSession?
    ) {
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
            if let session = try make(incoming.exchange.body) { begin(session) }
        } catch {
            guard isEarly(incoming), error.isAboutWhatThereIs else {
                return refuse(incoming, error)
            }
            hold(incoming)
        }
    }

    /// How to find the ways to answer a request: asked at its begin, and again when the backends
    /// have changed while it waits. `write` makes the request for a backend.
    func plan(
        for model: String?, _ incoming: IncomingRequest,
        _ write: @escaping RoutePlan.Writer
    ) throws(APIError) -> RoutePlan {
        let plan = try RoutePlan(self, incoming, for: model, write)
        // Names may be known from the configuration before any backend is.
        guard !isEarly(incoming) || plan.candidates.contains(where: \.destination.backend.isUp)
        else { throw noBackend(for: model) }
        return plan
    }

    /// The ways to a model, found once for each name.
    func ways(for model: String?, _ key: KeySettings?) throws(APIError) -> Ways {
        if let model, let known = memory.ways[model], access.allows(model: model, for: key) {
            return known
        }
        let ways = Ways(try routes(for: model, key).map { Way($0, fleet, configuration) })
        if let model { memory.note(ways, for: model) }
        return ways
    }

    /// Where a request for `model` can go, backends that are down included; at least one.
    func routes(
        for model: String?, _ key: KeySettings?
    ) throws(APIError) -> [Route] {
        if let model, !access.allows(model: model, for: key) {
            throw .modelNotFound(model, nearest: [])
        }
        switch fleet.routes.resolve(model, includingDown: true) {
        case .routes(let routes):
            // The default model, too, must be one that the caller may use.
            guard access.allows(model: routes[0].clientModel, for: key) else {
                throw .missingField("model")
            }
            return routes
        case .unknownModel(let name, let nearest):
            throw .modelNotFound(
                name, nearest: nearest.filter { access.allows(model: $0, for: key) })
        case .noModelNamed:
            throw APIError(
                .missingField,
                "'model' is required: there are several models and no default. GET /v1/models lists them.",
                param: "model")
        case .noBackend(let model): throw noBackend(for: model)
        }
    }

    /// Nobody can serve the model now; says who is expected to.
    func noBackend(for model: String?) -> APIError {
        let down = fleet.backends.filter { !$0.isUp }.map { "'\($0.name)'" }.prefix(5)
        var message =
            model.map { "No backend that has the model '\($0)' is up" } ?? "No backend is up"
        if !down.isEmpty { message += "; not answering: " + down.joined(separator: ", ") }
        return APIError(.noBackend, message + ". Start one, or check the configuration.")
    }

    /// The request in the dialect of each backend that can honour it, best first. If none can, the
    /// first one's reason.
    func candidates(
        _ ways: Ways, _ write: RoutePlan.Writer
    ) throws(APIError) -> [Candidate] {
        var candidates: [Candidate] = []
        candidates.reserveCapacity(ways.all.count)
        var firstError: APIError?
        for way in ways.all {
            guard let destination = way.destination else { continue }
            do throws(APIError) {
                candidates.append(
                    Candidate(destination, way.place, try write(destination.target)))
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
    init(_ backend: BackendState, _ route: Route) {
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
