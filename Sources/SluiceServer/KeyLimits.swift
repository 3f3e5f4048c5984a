// How a request gets past the limits of its key, and what it leaves behind when it ends.

internal import Chat
internal import EventLoop
internal import HTTPTransport
internal import Relay
internal import Routing

extension Worker {
    /// Goes on with a request once its key's limits allow it. The leading worker knows at once;
    /// others ask it by mail, which takes as long as a turn of its loop.
    func withinLimits(
        _ incoming: IncomingRequest, _ proceed: @escaping (IncomingRequest) -> Void
    ) {
        guard let key = incoming.key else { return proceed(incoming) }
        if let ledger {
            return decided(incoming, ledger.admit(key.name), proceed)
        }
        // What has no limits is let in without asking, and counted when it ends.
        guard KeyQuota.hasLimits(key) else {
            return decided(incoming, nil, proceed)
        }
        let question = KeyQuestion(self, incoming, proceed)
        questions[question.number] = question
        incoming.exchange.observer = question
        tellLeader(.admit(question: question.number, key: key.name, for: mailbox?.address))
    }

    /// The limits have decided.
    private func decided(
        _ incoming: IncomingRequest, _ refusal: KeyQuota.Refusal?,
        _ proceed: (IncomingRequest) -> Void
    ) {
        if let refusal { return refuse(incoming, .rateLimited(refusal)) }
        incoming.record.admittedKey = incoming.key?.name
        proceed(incoming)
    }

    /// The answer to a question has come.
    func decided(question number: Int, key: String, _ refusal: KeyQuota.Refusal?) {
        guard let question = questions.removeValue(forKey: number) else {
            // The client has not waited for it.
            if refusal == nil { tellLeader(.release(key: key, tokens: 0)) }
            return
        }
        question.incoming.exchange.observer = nil
        decided(question.incoming, refusal, question.proceed)
    }

    /// The client has left, or everything ends, before the limits have decided.
    func drop(question number: Int, _ ending: Ending) {
        guard let question = questions.removeValue(forKey: number) else { return }
        // This is one of its callbacks.
        loop.afterThisTurn { _ = question }
        question.incoming.exchange.observer = nil
        var record = question.incoming.record
        record.ending = ending
        record.totalMilliseconds = question.incoming.began.milliseconds(to: loop.now)
        finished(record)
    }

    /// Gives back what a request held of its key's limits. Every request that ends passes here.
    func release(key: String?, tokens: Int) {
        guard let key else { return }
        if let ledger {
            ledger.release(key, tokens: tokens)
        } else {
            tellLeader(.release(key: key, tokens: tokens))
        }
    }

    /// Mail for the worker that counts. It may be that it is not known yet: then the mail waits.
    func tellLeader(_ talk: WorkerTalk) {
        guard let leader = meter.colleagues.first else { return unsent.append(talk) }
        leader.send(.talk(talk))
    }
}

/// A request that waits for the leading worker's word.
final class KeyQuestion: ExchangeObserver {
    let number: Int
    let incoming: IncomingRequest
    let proceed: (IncomingRequest) -> Void
    private unowned let worker: Worker

    init(
        _ worker: Worker, _ incoming: IncomingRequest,
        _ proceed: @escaping (IncomingRequest) -> Void
    ) {
        self.worker = worker
        self.incoming = incoming
        self.proceed = proceed
        worker.lastQuestion += 1
        number = worker.lastQuestion
    }

    func clientLeft() { worker.drop(question: number, .clientLeft) }
    func clientStalled() { worker.drop(question: number, .clientStalled) }
    // Nothing has been sent yet.
    func clientBlocked() {}
    func clientDrained() {}
    func replyDelivered() {}
}

extension APIError {
    /// A limit of the key is reached.
    static func rateLimited(_ refusal: KeyQuota.Refusal) -> APIError {
        let what =
            switch refusal.limit {
            case .maxInFlight: "has \(refusal.value) requests running, as many as it may"
            case .requestsPerMinute: "may make \(refusal.value) requests in a minute"
            case .tokensPerDay: "has used its \(refusal.value) tokens of today (UTC)"
            }
        var error = APIError(
            .rateLimited,
            "Your key \(what). Try again in \(refusal.retryAfterSeconds) s. (\(refusal.limit.rawValue))"
        )
        error.retryAfterSeconds = refusal.retryAfterSeconds
        return error
    }
}
