// Finds out what each backend is and which models it has, and goes on looking.

internal import Configuration
internal import Dialects
internal import EventLoop
internal import HTTPTransport
internal import JSON
internal import Routing

/// Asks all backends, again and again, and tells when something has changed. Lives on one loop.
final class Discovery {
    /// How often a backend is asked that did not answer: a newcomer starts Sluice first and
    /// llama-server second.
    private static let intervalWhileDown = Duration.seconds(2)
    /// How often a backend is asked that did.
    private static let intervalWhileUp = Duration.seconds(15)
    /// For one question.
    private static let patience = Duration.seconds(5)

    private let changed: ([BackendState]) -> Void
    private var probes: [Probe]

    /// Begins to ask. `changed` is called with every backend when all have been asked once, and
    /// then whenever what is known of one of them has changed.
    init(
        through pool: ConnectionPool, _ backends: [BackendSettings],
        changed: @escaping ([BackendState]) -> Void
    ) {
        self.changed = changed
        probes = []
        probes = backends.map { settings in
            Probe(through: pool, settings, patience: Self.patience) {
                [unowned self] probe, isNews in
                probed(probe, isNews)
            }
        }
    }

    /// Asks every backend now.
    func start() {
        for probe in probes { probe.start() }
    }

    private func probed(_ probe: Probe, _ isNews: Bool) {
        probe.again(after: probe.state.isUp ? Self.intervalWhileUp : Self.intervalWhileDown)
        if isNews, probes.allSatisfy(\.hasFinishedOnce) { changed(probes.map(\.state)) }
    }
}

/// The questions to one backend, one after the other.
final class Probe {
    /// What was found out.
    private(set) var state: BackendState
    /// Whether the backend was asked at least once to the end.
    private(set) var hasFinishedOnce = false

    private let pool: ConnectionPool
    private let patience: Duration
    private let finished: (Probe, Bool) -> Void
    private var fetch: Fetch?
    private var timer: Timer?
    /// Found in this round.
    private var found: BackendState
    private var version: String?
    /// For Ollama: models whose abilities are still to be asked.
    private var unasked: [String] = []

    init(
        through pool: ConnectionPool, _ settings: BackendSettings, patience: Duration,
        finished: @escaping (Probe, Bool) -> Void
    ) {
        self.pool = pool
        self.patience = patience
        self.finished = finished
        state = BackendState(settings)
        found = state
        timer = Timer(on: pool.loop) { [unowned self] in start() }
    }

    deinit { fetch?.cancel() }

    /// Asks again after a while.
    func again(after interval: Duration) { timer?.arm(after: interval) }

    /// Begins a round.
    func start() {
        found = state
        found.problem = nil
        if let problem = resolve() { return finish(problem: problem) }
        // One question tells all three kinds apart: llama-server names itself in every answer, and
        // only Ollama knows this path.
        ask("GET", "/api/version") { [unowned self] result in
            switch result {
            case .failed(let why): finish(problem: why)
            case .answered(let head, let body):
                if state.settings.kind == .auto {
                    found.kind = Self.kind(server: head.value(for: "server"), head.status, body)
                }
                // Only Ollama answers with its version; from others this is nothing.
                version = (try? JSONText(body))?["version"]?.string
                askForModels()
            }
        }
    }

    private func resolve() -> String? {
        do throws(SocketError) {
            let url = state.settings.url
            switch url.scheme {
            case .unix:
                guard let address = SocketAddress(unixPath: url.socketPath) else {
                    return "the path of the socket is too long"
                }
                found.addresses = [address]
            case .http, .https:
                found.addresses = try SocketAddress.resolve(host: url.host, port: url.port)
            }
            return nil
        } catch { return error.message }
    }

    /// Which kind answers so to the question for its version.
    static func kind(server: String?, _ status: Int, _ body: [UInt8]) -> BackendKind {
        if server?.hasPrefix("llama.cpp") == true { return .llamaServer }
        // A body that is not JSON is not Ollama's.
        if status == 200, (try? JSONText(body))?["version"] != nil { return .ollama }
        return .openai
    }

    // MARK: - Models

    private func askForModels() {
        if let models = state.settings.models {
            found.models = models.map { ModelInfo(id: $0) }
            return askForAbilities()
        }
        ask("GET", found.kind == .ollama ? "/api/tags" : "/v1/models") { [unowned self] result in
            switch result {
            case .failed(let why): finish(problem: why)
            case .answered(let head, let body): takeModels(head.status, body)
            }
        }
    }

    private func takeModels(_ status: Int, _ body: [UInt8]) {
        switch status {
        case 200: break
        case 401, 403: return finish(problem: "refused our key (status \(status))")
        case 503: return finish(problem: "is still loading its model")
        default: return finish(problem: "answered the question for its models with \(status)")
        }
        // Whatever is not JSON is told as such, not looked into.
        guard let json = try? JSONText(body) else {
            return finish(problem: "answered the question for its models with something not JSON")
        }
        let list = (found.kind == .ollama ? json["models"] : json["data"])?.elements ?? []
        found.models = list.compactMap { entry in
            guard let id = entry[found.kind == .ollama ? "name" : "id"]?.string else { return nil }
            // llama-server's `created` is the time of the question, so the first one is kept:
            // a model is no news because it is listed again.
            return state.models.first { $0.id == id }
                ?? ModelInfo(
                    id: id, created: entry["created"]?.int, ownedBy: entry["owned_by"]?.string)
        }
        askForAbilities()
    }

    /// `/api/tags` does not know what a chat template adds (wire notes of Ollama, section 5), so
    /// each model is asked for, once.
    private func askForAbilities() {
        guard found.kind == .ollama else { return finish(problem: nil) }
        let names = found.models.map(\.id)
        found.capabilities = found.capabilities.filter { names.contains($0.key) }
        unasked = names.filter { found.capabilities[$0] == nil }
        askForNextAbility()
    }

    private func askForNextAbility() {
        guard let model = unasked.popLast() else { return finish(problem: nil) }
        var body: [UInt8] = Array(#"{"model":"#.utf8)
        body.appendJSONString(model)
        body.append(UInt8(ascii: "}"))
        ask("POST", "/api/show", body) { [unowned self] result in
            if case .answered(let head, let body) = result, head.status == 200,
                // Not knowing is a state of its own; it is asked again in the next round.
                let json = try? JSONText(body)
            {
                found.capabilities[model] = OllamaCapabilities(show: json, version: version)
            }
            askForNextAbility()
        }
    }

    // MARK: - Parts

    private func ask(
        _ method: String, _ path: String, _ body: [UInt8]? = nil,
        then completion: @escaping (FetchResult) -> Void
    ) {
        let head = upstreamHead(
            method, path, to: state.settings, bodyLength: body?.count, accept: "application/json")
        let request = CallRequest(head: head, body: body.map { [.bytes($0)] } ?? [])
        let previous = fetch
        // The previous fetch may be the one whose callback we are in.
        pool.loop.afterThisTurn { _ = previous }
        fetch = Fetch(
            request, to: found.target, through: pool,
            within: patience, completion: completion)
        fetch?.start()
    }

    private func finish(problem: String?) {
        found.isUp = problem == nil
        found.problem = problem
        let isNews = !hasFinishedOnce || !found.looksLike(state)
        if problem != nil { found.models = state.models }
        hasFinishedOnce = true
        state = found
        finished(self, isNews)
    }
}

extension BackendState {
    /// Whether nothing that clients or operators could notice differs.
    fileprivate func looksLike(_ other: BackendState) -> Bool {
        isUp == other.isUp && kind == other.kind && problem == other.problem
            && (!isUp || models == other.models) && capabilities == other.capabilities
    }
}
