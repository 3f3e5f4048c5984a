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
    /// How long a backend may take to tell of its models. Whoever takes longer is listed without
    /// details.
    private static let listPatience = Duration.seconds(2)

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
                routes = try self.routes(for: servedName(asked), incoming)
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

    private func ask(
        _ questions: [BackendQuestion], for incoming: IncomingRequest,
        then completion: @escaping ([String: BackendAnswer]) -> Void
    ) {
        guard !questions.isEmpty else { return completion([:]) }
        let inquiry = Inquiry(self, incoming, completion)
        inquiries[ObjectIdentifier(inquiry)] = inquiry
        inquiry.ask(questions, within: Self.listPatience)
    }
}

/// A small question to one backend.
struct BackendQuestion {
    let backend: BackendState
    let method: String
    let path: String
    let body: [UInt8]?

    init(_ backend: BackendState, _ method: String, _ path: String, _ body: [UInt8]? = nil) {
        (self.backend, self.method, self.path, self.body) = (backend, method, path, body)
    }
}

/// What a backend has answered.
enum BackendAnswer {
    case told(JSONText)
    case failed(APIError)

    var json: JSONText? {
        if case .told(let json) = self { json } else { nil }
    }

    var error: APIError? {
        if case .failed(let error) = self { error } else { nil }
    }
}

/// Asks backends for one client, all at once. The worker holds it until it has answered, or its
/// client has left.
final class Inquiry: ExchangeObserver {
    private unowned let worker: Worker
    private let incoming: IncomingRequest
    private var completion: (([String: BackendAnswer]) -> Void)?
    private var fetches: [Fetch] = []
    private var answers: [String: BackendAnswer] = [:]
    private var expected = 0

    init(
        _ worker: Worker, _ incoming: IncomingRequest,
        _ completion: @escaping ([String: BackendAnswer]) -> Void
    ) {
        self.worker = worker
        self.incoming = incoming
        self.completion = completion
        incoming.exchange.observer = self
    }

    func ask(_ questions: [BackendQuestion], within patience: Duration) {
        expected = questions.count
        fetches = questions.map { question in
            let settings = question.backend.settings
            let head = upstreamHead(
                question.method, question.path, to: settings, bodyLength: question.body?.count,
                accept: "application/json", identity: incoming.identity)
            return Fetch(
                CallRequest(head: head, body: question.body.map { [.bytes($0)] } ?? []),
                to: question.backend.target, through: worker.pool, within: patience
            ) { [unowned self] result in
                take(result, question.backend.name)
            }
        }
        for fetch in fetches { fetch.start() }
    }

    private func take(_ result: FetchResult, _ name: String) {
        switch result {
        case .answered(let head, let body):
            // What is not JSON tells nothing.
            if head.status == 200, let json = try? JSONText(body) {
                answers[name] = .told(json)
            } else {
                answers[name] = .failed(worker.translate(head, body, backend: name))
            }
        case .failed(let failure):
            answers[name] = .failed(
                APIError(.upstreamUnreachable, "The backend '\(name)' \(failure.words)."))
        }
        guard answers.count == expected, let completion else { return }
        close()
        completion(answers)
    }

    private func close() {
        completion = nil
        if incoming.exchange.observer === self { incoming.exchange.observer = nil }
        worker.inquiries[ObjectIdentifier(self)] = nil
        // This may be a callback of one of them.
        let fetches = fetches
        worker.loop.afterThisTurn { [self] in _ = (self, fetches) }
    }

    func clientLeft() { end(.clientLeft) }
    func clientStalled() { end(.clientStalled) }
    // Nothing has been sent yet.
    func clientBlocked() {}
    func clientDrained() {}
    func replyDelivered() {}

    /// Ends it without an answer.
    func end(_ ending: Ending) {
        guard completion != nil else { return }
        for fetch in fetches { fetch.cancel() }
        close()
        var record = incoming.record
        record.ending = ending
        record.totalMilliseconds = incoming.began.milliseconds(to: worker.loop.now)
        worker.finished(record)
    }
}
