// GET /api/tags and /api/ps, POST /api/show: what backends tell of their models, asked when a client
// asks.

internal import Chat
internal import Configuration
internal import Dialects
internal import EventLoop
internal import HTTPTransport
internal import JSON
internal import Relay
internal import Routing

extension Worker {
    /// The version of the API, by which clients decide what they may use.
    func respondWithOllamaVersion(_ incoming: IncomingRequest) {
        let json = #"{"version":"\#(OllamaListing.version)","sluice":"\#(Version.number)"}"#
        respond(incoming, Answers.json(Array(json.utf8), incoming.identity.id))
    }

    /// Every model there is under the names clients can ask for.
    func respondWithTags(_ incoming: IncomingRequest) {
        let questions = fleet.backends.filter(\.isUp).compactMap { backend in
            switch backend.kind {
            case .ollama: BackendQuestion(backend, "GET", "/api/tags")
            case .llamaServer: BackendQuestion(backend, "GET", "/v1/models")
            case .openai, .auto: nil
            }
        }
        ask(questions, for: incoming) { [unowned self] answers in
            respondWithList(incoming, answers, isRunning: false)
        }
    }

    /// The models that are loaded. What a llama-server has is loaded, unless it swaps its models.
    func respondWithRunning(_ incoming: IncomingRequest) {
        let questions = fleet.backends.filter(\.isUp).compactMap { backend in
            switch backend.kind {
            case .ollama: BackendQuestion(backend, "GET", "/api/ps")
            case .llamaServer: BackendQuestion(backend, "GET", "/v1/models")
            case .openai, .auto: nil
            }
        }
        ask(questions, for: incoming) { [unowned self] answers in
            respondWithList(incoming, answers, isRunning: true)
        }
    }

    /// Writes the list. A model of several backends is that of the first of them that tells of it.
    private func respondWithList(
        _ incoming: IncomingRequest, _ answers: [String: BackendAnswer], isRunning: Bool
    ) {
        var json: [UInt8] = Array(#"{"models":["#.utf8)
        var isFirst = true
        let models = fleet.routes.listing { access.allows(model: $0, for: incoming.key) }
        for model in models {
            var entry: [UInt8] = []
            guard case .routes(let routes) = fleet.routes.resolve(model.id) else { continue }
            for route in routes where route.tier == 0 && entry.isEmpty {
                append(model, route, answers[route.backend]?.json, isRunning, to: &entry)
            }
            if entry.isEmpty, !isRunning {
                OllamaListing.append(
                    named: model.id, created: model.created, meta: nil, isRunning: false,
                    to: &entry)
            }
            guard !entry.isEmpty else { continue }
            if !isFirst { json.append(UInt8(ascii: ",")) }
            isFirst = false
            json += entry
        }
        json.append("]}")
        respond(incoming, Answers.json(json, incoming.identity.id))
    }

    private func append(
        _ model: ListedModel, _ route: Route, _ answer: JSONText?, _ isRunning: Bool,
        to entry: inout [UInt8]
    ) {
        guard let answer, let backend = fleet.backend(named: route.backend) else { return }
        if backend.kind == .ollama {
            let own = answer["models"]?.elements.first {
                $0["name"]?.isString(route.upstreamModel) == true
            }
            if let own { OllamaListing.append(entry: own, named: model.id, to: &entry) }
            return
        }
        let own = answer["data"]?.elements.first {
            $0["id"]?.isString(route.upstreamModel) == true
        }
        let isLoaded = backend.loaded?.contains(route.upstreamModel) ?? true
        guard let own, !isRunning || isLoaded else { return }
        OllamaListing.append(
            named: model.id, created: model.created, meta: own["meta"], isRunning: isRunning,
            to: &entry)
    }

    /// What is known of one model: an Ollama's own answer, or one made of what llama-server tells.
    func respondWithShow(_ incoming: IncomingRequest) {
        do throws(APIError) {
            let body: JSONText
            do { body = try JSONText(incoming.exchange.body, depthLimit: 128) } catch {
                throw APIError.invalidJSON(error)
            }
            guard let asked = (body["model"] ?? body["name"])?.string else {
                throw .missingField("model")
            }
            let routes: [Route]
            do throws(APIError) {
                routes = try self.routes(for: servedName(asked), incoming.key)
            } catch { throw error.inOllamasWords(model: asked) }
            let up = routes.compactMap { route in
                fleet.backend(named: route.backend).flatMap { $0.isUp ? (route, $0) : nil }
            }
            guard let (route, backend) = up.first else { throw noBackend(for: asked) }
            show(incoming, body, route, backend)
        } catch {
            refuse(incoming, error)
        }
    }

    private func show(
        _ incoming: IncomingRequest, _ body: JSONText, _ route: Route, _ backend: BackendState
    ) {
        var question: BackendQuestion?
        switch backend.kind {
        case .ollama:
            var json: [UInt8] = Array(#"{"model":"#.utf8)
            json.appendJSONString(route.upstreamModel)
            if body["verbose"]?.bool == true { json.append(#","verbose":true"#) }
            json.append(UInt8(ascii: "}"))
            question = BackendQuestion(backend, "POST", "/api/show", json)
        case .llamaServer:
            // A router's own properties are no model's, and it is not made to load one.
            let query =
                backend.residentModels == nil
                ? "" : "?autoload=false&model=\(percentEncoded(route.upstreamModel))"
            question = BackendQuestion(backend, "GET", "/props" + query)
        case .openai, .auto: break
        }
        // Lists ask as many things as there are backends; models to ask of may be many more.
        if let question, sharedQuestions[question.key] == nil,
            sharedQuestions.count >= SharedQuestion.limit
        {
            return refuse(
                incoming, APIError(.overloaded, "Too many models are asked for at a time."))
        }
        ask(question.map { [$0] } ?? [], for: incoming) { [unowned self] answers in
            let answer = answers[backend.name]
            guard backend.kind == .ollama else {
                let json = OllamaListing.show(answer?.json)
                return respond(incoming, Answers.json(json, incoming.identity.id))
            }
            guard let json = answer?.json else {
                return refuse(incoming, answer?.error ?? noBackend(for: route.clientModel))
            }
            respond(incoming, Answers.json(Array(json.bytes), incoming.identity.id))
        }
    }
}
