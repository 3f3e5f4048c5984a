// What backends are asked for clients that want to know of models: each question once at a time,
// however many ask.

internal import Chat
internal import HTTPTransport
internal import JSON
internal import Relay

/// A small question to one backend.
struct BackendQuestion {
    let backend: BackendState
    let method: String
    let path: String
    let body: [UInt8]?

    init(_ backend: BackendState, _ method: String, _ path: String, _ body: [UInt8]? = nil) {
        (self.backend, self.method, self.path, self.body) = (backend, method, path, body)
    }

    /// What makes two questions one: all that is sent, and where to. A backend of the same name may
    /// be another after a reload, or want another key.
    struct Key: Hashable {
        fileprivate let target: String
        fileprivate let head: [UInt8]
        fileprivate let body: [UInt8]?
    }

    var key: Key { Key(target: backend.poolKey, head: head(nil), body: body) }

    fileprivate func head(_ identity: RequestIdentity?) -> [UInt8] {
        backend.head.bytes(
            method, path, bodyLength: body?.count, accept: "application/json", identity: identity)
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

extension Worker {
    /// Asks backends for one client, all at once.
    func ask(
        _ questions: [BackendQuestion], for incoming: IncomingRequest,
        then completion: @escaping ([String: BackendAnswer]) -> Void
    ) {
        guard !questions.isEmpty else { return completion([:]) }
        let inquiry = Inquiry(self, incoming, completion)
        inquiries[ObjectIdentifier(inquiry)] = inquiry
        inquiry.ask(questions)
    }
}

/// A question that is under way, and who waits for its answer. A connection for each client would
/// take the descriptors that chats need. The worker holds it until it is answered, or nobody waits
/// any longer.
final class SharedQuestion {
    /// How long a backend may take to tell of its models. Whoever takes longer is listed without
    /// details.
    private static let patience = Duration.seconds(2)
    /// How many may be under way before another model is not asked for.
    static let limit = 64

    private unowned let worker: Worker
    private let key: BackendQuestion.Key
    private let backend: String
    private var fetch: Fetch?
    private var askers: [ObjectIdentifier: Inquiry] = [:]

    /// The request carries the id of the first who asks.
    init(_ worker: Worker, _ question: BackendQuestion, _ identity: RequestIdentity) {
        self.worker = worker
        key = question.key
        backend = question.backend.name
        fetch = Fetch(
            CallRequest(
                head: question.head(identity), body: question.body.map { [.bytes($0)] } ?? []),
            to: question.backend.target, through: worker.pool, within: Self.patience
        ) { [unowned self] in take($0) }
    }

    /// Begins. The answer may come before this returns.
    func start(for asker: Inquiry) {
        worker.sharedQuestions[key] = self
        join(asker)
        fetch?.start()
    }

    func join(_ asker: Inquiry) { askers[ObjectIdentifier(asker)] = asker }

    /// One of them does not wait any longer.
    func leave(_ asker: Inquiry) {
        guard askers.removeValue(forKey: ObjectIdentifier(asker)) != nil, askers.isEmpty else {
            return
        }
        fetch?.cancel()
        close()
    }

    private func take(_ result: FetchResult) {
        let answer = answer(result)
        let askers = askers
        // Before they are told: who asks because of that asks anew.
        self.askers = [:]
        close()
        for asker in askers.values { asker.take(answer, backend) }
    }

    private func answer(_ result: FetchResult) -> BackendAnswer {
        switch result {
        case .answered(let head, let body):
            // What is not JSON tells nothing.
            if head.status == 200, let json = try? JSONText(body) { return .told(json) }
            return .failed(worker.translate(head, body, backend: backend))
        case .failed(let failure):
            return .failed(
                APIError(.upstreamUnreachable, "The backend '\(backend)' \(failure.words)."))
        }
    }

    private func close() {
        worker.sharedQuestions[key] = nil
        // This may be a callback of its fetch.
        worker.loop.afterThisTurn { [self] in _ = self }
    }
}

/// What one client wants to know. The worker holds it until it has answered, or its client has
/// left.
final class Inquiry: ExchangeObserver {
    private unowned let worker: Worker
    private let incoming: IncomingRequest
    private var completion: (([String: BackendAnswer]) -> Void)?
    private var questions: [SharedQuestion] = []
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

    /// Each of `questions` is to another backend.
    func ask(_ questions: [BackendQuestion]) {
        expected = questions.count
        for question in questions {
            if let asked = worker.sharedQuestions[question.key] {
                self.questions.append(asked)
                asked.join(self)
            } else {
                let new = SharedQuestion(worker, question, incoming.identity)
                self.questions.append(new)
                new.start(for: self)
            }
        }
    }

    func take(_ answer: BackendAnswer, _ backend: String) {
        answers[backend] = answer
        guard answers.count == expected, let completion else { return }
        close()
        completion(answers)
    }

    private func close() {
        completion = nil
        questions = []
        if incoming.exchange.observer === self { incoming.exchange.observer = nil }
        worker.inquiries[ObjectIdentifier(self)] = nil
        worker.loop.afterThisTurn { [self] in _ = self }
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
        for question in questions { question.leave(self) }
        close()
        var record = incoming.record
        record.ending = ending
        record.totalMilliseconds = incoming.began.milliseconds(to: worker.loop.now)
        worker.finished(record)
    }
}
