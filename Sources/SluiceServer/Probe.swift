// The questions to one backend: whether it lives, what it is, what it has.

internal import Configuration
internal import Dialects
internal import EventLoop
internal import HTTPTransport
internal import JSON
internal import Routing

/// What the first question of a round found out.
struct Checkup {
    var fact: HealthFact
    /// What is wrong, in words without an address; `nil` if nothing is.
    var problem: String?
}

/// Asks one backend. Lives on one loop.
///
/// A round begins with the check of its health, and goes on to what the backend has only if that
/// went well. None of the questions wakes a server that sleeps or makes one load a model.
final class Probe {
    /// How much of a round is asked.
    enum Depth {
        /// Whether it lives, and what it has loaded now.
        case light
        /// All there is to know.
        case full
    }

    /// One thing to learn.
    enum Question {
        case models, properties, slotsOfAModel, running, abilities
    }

    /// What was found out.
    var state: BackendState
    /// Found in this round.
    var found: BackendState
    /// Whether the backend was asked at least once to the end.
    private(set) var hasFinishedOnce: Bool {
        get { state.hasBeenAsked }
        set { state.hasBeenAsked = newValue }
    }
    /// When everything was asked last.
    private(set) var lastFull: Instant?

    private let pool: ConnectionPool
    private let patience: Duration
    private let resolver: Resolver
    private var check: Fetch?
    private var question: Fetch?
    private var toAsk: [Question] = []
    private var isLearning = false
    /// Ollama's version.
    var version: String?
    /// For Ollama: models whose abilities are still to be asked.
    var unasked: [String] = []

    /// `patience` is for each question.
    init(through pool: ConnectionPool, _ settings: BackendSettings, patience: Duration) {
        self.pool = pool
        self.patience = patience
        resolver = Resolver(on: pool.loop)
        state = BackendState(settings)
        found = state
    }

    deinit {
        check?.cancel()
        question?.cancel()
    }

    /// Begins a round. `checked` is called once. `learned` is called when there is no more to ask
    /// in this round, with whether anything is new; not if another round is still learning.
    func begin(
        _ depth: Depth, checked: @escaping (Checkup) -> Void, learned: @escaping (Bool) -> Void
    ) {
        findAddresses { [unowned self] problem in
            if let problem {
                let checkup = Checkup(fact: .refused, problem: problem)
                checked(checkup)
                return noteFailure(checkup, learned)
            }
            checkHealth { [unowned self] checkup in
                checked(checkup)
                guard checkup.fact == .succeeded else { return noteFailure(checkup, learned) }
                learn(depth, learned)
            }
        }
    }

    /// Takes what somebody else has found out, instead of asking.
    func introduce(_ state: BackendState) {
        (self.state, found, lastFull) = (state, state, pool.loop.now)
        hasFinishedOnce = true
    }

    // MARK: - Where it is

    /// Addresses that are known are used while they are looked up anew, so that a resolver that
    /// hangs makes no backend look dead.
    private func findAddresses(then completion: @escaping (String?) -> Void) {
        if !state.addresses.isEmpty { completion(nil) }
        guard !resolver.isBusy else { return }
        resolver.resolve(state.settings.url) { [unowned self] outcome in
            let isFirst = state.addresses.isEmpty
            switch outcome {
            case .success(let addresses):
                found.addresses = addresses
                state.addresses = addresses
                if isFirst { completion(nil) }
            case .failure(let error):
                if isFirst { completion(CallFailure.unreachable(error).wordsWithoutAddress) }
            }
        }
    }

    // MARK: - Whether it lives

    private var healthPath: String {
        switch state.kind {
        case .llamaServer: "/health"
        // One question tells all three kinds apart: llama-server names itself in every answer, and
        // only Ollama knows this path.
        case .ollama, .auto: "/api/version"
        case .openai: "/v1/models"
        }
    }

    private func checkHealth(then completion: @escaping (Checkup) -> Void) {
        check = ask("GET", healthPath, instead: check) { [unowned self] result in
            switch result {
            case .failed(let failure):
                completion(Checkup(fact: failure.healthFact, problem: failure.words))
            case .answered(let head, let body):
                let server = head.value(for: "server")
                if state.kind == .auto, head.status != 502, head.status != 503 {
                    found.kind = Self.kind(server: server, head.status, body)
                }
                // Only Ollama answers with its version; from others this is nothing.
                version = (try? JSONText(body))?["version"]?.string ?? version
                completion(Self.checkup(head.status, body))
            }
        }
    }

    /// Which kind answers so to the question for its version.
    static func kind(server: String?, _ status: Int, _ body: [UInt8]) -> BackendKind {
        if server?.hasPrefix("llama.cpp") == true { return .llamaServer }
        // A body that is not JSON is not Ollama's. Another Sluice speaks both, and OpenAI's API says
        // more.
        guard status == 200, let json = try? JSONText(body), json["version"] != nil else {
            return .openai
        }
        return json["sluice"] == nil ? .ollama : .openai
    }

    /// What an answer says of the health of a backend. Any that is its own shows that it lives.
    static func checkup(_ status: Int, _ body: [UInt8]) -> Checkup {
        guard status == 502 || status == 503 else { return Checkup(fact: .succeeded) }
        // Whatever is not JSON is not llama-server's.
        let message = (try? JSONText(body))?["error"]?["message"]?.string
        return message?.hasPrefix("Loading model") == true
            ? Checkup(fact: .loading, problem: "is still loading its model")
            : Checkup(fact: .failed, problem: "answers with status \(status)")
    }

    // MARK: - What it has

    private func learn(_ depth: Depth, _ learned: @escaping (Bool) -> Void) {
        guard !isLearning else { return }
        isLearning = true
        if depth == .full { lastFull = pool.loop.now }
        // Its kind may just have been found, and its addresses anew.
        let (kind, addresses) = (found.kind, found.addresses)
        found = state
        (found.kind, found.addresses, found.problem) = (kind, addresses, nil)
        toAsk = questions(depth)
        askNext(learned)
    }

    private func questions(_ depth: Depth) -> [Question] {
        switch (found.kind, depth) {
        case (.llamaServer, .full): [.models, .properties, .slotsOfAModel]
        // Only a router's list changes: it says what is loaded.
        case (.llamaServer, .light): found.residentModels == nil ? [] : [.models]
        case (.ollama, .full): [.models, .running, .abilities]
        case (.ollama, .light): [.running]
        case (.openai, .full), (.auto, .full): [.models]
        case (.openai, .light), (.auto, .light): []
        }
    }

    private func askNext(_ learned: @escaping (Bool) -> Void) {
        guard let next = nextRequest() else { return finish(problem: nil, learned) }
        question = ask(next.method, next.path, next.body, instead: question) {
            [unowned self] result in
            switch result {
            case .answered(let head, let body):
                if let problem = take(next.question, next.subject, head.status, body) {
                    return finish(problem: problem, learned)
                }
            // Silence is no answer: what was known before stays.
            case .failed: break
            }
            askNext(learned)
        }
    }

    private func nextRequest() -> ProbeRequest? {
        while let next = toAsk.first {
            if next == .abilities, let model = unasked.popLast() {
                return .init(next, subject: model, "POST", "/api/show", model: model)
            }
            toAsk.removeFirst()
            if let request = request(next) { return request }
        }
        return nil
    }

    // MARK: - Parts

    private func ask(
        _ method: String, _ path: String, _ body: [UInt8]? = nil, instead previous: Fetch?,
        then completion: @escaping (FetchResult) -> Void
    ) -> Fetch {
        let head = state.head.bytes(
            method, path, bodyLength: body?.count, accept: "application/json")
        let request = CallRequest(head: head, body: body.map { [.bytes($0)] } ?? [])
        // The previous fetch may be the one whose callback we are in.
        pool.loop.afterThisTurn { _ = previous }
        let fetch = Fetch(
            request, to: found.target, through: pool, within: patience, completion: completion)
        // The completion may replace the fetch, which must be known by then.
        pool.loop.afterThisTurn { fetch.start() }
        return fetch
    }

    private func finish(problem: String?, _ learned: (Bool) -> Void) {
        isLearning = false
        found.problem = problem
        found.isUp = problem == nil
        if !found.isUp { found.models = state.models }
        publish(found, learned)
    }

    /// The check failed, so there is nothing to learn; what was known of the backend stays known.
    private func noteFailure(_ checkup: Checkup, _ learned: (Bool) -> Void) {
        guard !isLearning else { return }
        var next = state
        // Silence is no answer: busy if it was up.
        if checkup.fact != .slow || !hasFinishedOnce {
            (next.isUp, next.problem) = (false, checkup.problem)
        }
        publish(next, learned)
    }

    private func publish(_ next: BackendState, _ learned: (Bool) -> Void) {
        let isNews = !hasFinishedOnce || !next.looksLike(state)
        state = next
        hasFinishedOnce = true
        learned(isNews)
    }
}

extension FetchFailure {
    /// What it tells of the backend's health.
    var healthFact: HealthFact {
        switch self {
        // Our own want of descriptors says nothing about the backend.
        case .call(let failure) where failure.isOurs: .slow
        case .call(.unreachable(.failed(_, _, let number))) where number == connectTimedOut:
            .connectTimedOut(othersStand: false)
        case .call(.unreachable): .refused
        case .call(.closedBeforeAnswer), .call(.closedEarly), .call(.malformed): .broken
        case .late(_, let wasConnected):
            wasConnected ? .slow : .connectTimedOut(othersStand: false)
        // It has answered, after all.
        case .tooLong: .succeeded
        }
    }
}

extension BackendState {
    /// Whether nothing that clients, operators or the admission could notice differs.
    fileprivate func looksLike(_ other: BackendState) -> Bool {
        isUp == other.isUp && kind == other.kind && problem == other.problem
            && (!isUp || models == other.models) && capabilities == other.capabilities
            && slots == other.slots && residentModels == other.residentModels
            && loaded == other.loaded
            && addresses.map(\.description) == other.addresses.map(\.description)
    }
}
