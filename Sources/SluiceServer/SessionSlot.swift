// A session and the front desk: asks for a slot, gives it back, and tells the client that it waits.

internal import Chat
internal import Configuration
internal import EventLoop
internal import HTTPTransport
internal import Relay
internal import Routing

/// How a session stands with the front desk.
enum Slot {
    /// It has nothing and wants nothing.
    case none
    /// It waits.
    case waiting
    /// It has one.
    case taken
}

extension ChatSession {
    // MARK: - Asking

    func askForSlot() {
        slot = .waiting
        let ticket = Ticket(
            id: ticketID, plan, weight: form.choiceCount, key: incoming.key, priority: priority)
        worker.tell(.request(ticket), about: ticketID)
    }

    /// After an attempt that failed before the client had anything of it.
    func askAgain(_ ending: Ending) {
        attemptEnding = ending
        guard slot == .taken, let attemptFailure else { return happened(.refused(ending)) }
        slot = .waiting
        if attemptFailure == .loading { waitForLoading() }
        worker.tell(.failed(FailedAttempt(id: ticketID, attemptFailure)), about: ticketID)
    }

    /// Gives the slot back, as soon as the upstream is done with: how long the client takes for the
    /// rest is no matter of the backend's.
    func giveSlotBack(_ fact: HealthFact?, isCancelled: Bool = false) {
        guard slot == .taken else { return }
        slot = .none
        let release = Release(id: ticketID, fact: fact, isCancelled: isCancelled)
        worker.tell(.release(release), about: ticketID)
    }

    /// The session ends: the desk forgets it, wherever it stands.
    func leaveDesk() {
        giveSlotBack(nil, isCancelled: true)
        guard slot == .waiting else { return }
        slot = .none
        worker.tell(.cancel(ticketID), about: ticketID)
    }

    /// The backends have changed.
    func reroute() {
        guard slot == .waiting, plan.refresh() else { return }
        worker.tell(.reroute(ticketID, plan.places), about: ticketID)
    }

    // MARK: - Hearing

    func hear(_ news: DeskNews) {
        switch news {
        case .granted(let grant): granted(grant)
        case .queued(_, let position, let isLoading):
            if isLoading { waitForLoading() }
            if owesComment, slot == .waiting { sendComment(": queued \(position)\n\n") }
            owesComment = false
        case .refused(_, let refusal):
            guard slot == .waiting else { return }
            slot = .none
            failure = worker.error(for: refusal, clientModel: plan.model)
            happened(.refused(refusal.ending))
        case .givenUp:
            guard slot == .waiting else { return }
            slot = .none
            happened(.refused(attemptEnding))
        case .hangs:
            guard slot == .taken else { return }
            failure = APIError(
                .upstreamFailed,
                "The model on the backend '\(candidate.name)' hangs, and unloading it did not help."
            )
            attemptFailure = .cured
            happened(.attemptFailed(.upstreamFailed))
        case .description: break
        }
    }

    private func granted(_ grant: Grant) {
        guard slot == .waiting else { return }
        slot = .taken
        guard let granted = plan.candidate(at: grant.place) else {
            // A grant for what was never asked for.
            failure = .internalFault("The request cannot be sent where it should go.")
            return happened(.refused(.internal))
        }
        candidate = granted
        happened(.admitted)
    }

    /// A model that loads is waited for by a clock of its own, which the admission keeps.
    private func waitForLoading() {
        let waits = plan.candidates.map {
            worker.configuration.timeouts(for: $0.destination.backend.settings).loadWait
                .wholeNanoseconds
        }
        // A little more, so that it is the admission that says what was waited for.
        let wait = (waits.max() ?? 0) + 1_000_000_000
        guard let queue = deadlines.settings.queue, queue < wait else { return }
        deadlines.settings.queue = wait
        armTimer()
    }

    // MARK: - The client

    /// Who answers, once that is known.
    func addBackendFields(to fields: inout [Reply.HeaderLine]) {
        guard slot == .taken || incoming.record.firstTokenMilliseconds != nil else { return }
        Answers.addBackendFields(candidate.name, candidate.upstream.ignored, to: &fields)
    }

    /// Fills a silence. Who waits is told how many go before it.
    func comment() {
        guard clientProtocol.hasComments else { return exchange.keepAlive() }
        guard slot == .waiting else { return sendComment(": keep-alive\n\n") }
        owesComment = true
        worker.tell(.position(ticketID), about: ticketID)
    }

    private func sendComment(_ text: StaticString) {
        worker.events.bytes.append(text)
        exchange.write(&worker.events.bytes)
        worker.events.reset()
    }

    private func sendComment(_ text: String) {
        worker.events.bytes.append(contentsOf: text.utf8)
        exchange.write(&worker.events.bytes)
        worker.events.reset()
    }
}

extension AttemptFailure {
    /// What a call that brought no answer means.
    init(_ failure: CallFailure) {
        switch failure {
        // Somebody has too much to do, and it is not the backend's health that suffers.
        case .unreachable where failure.isOurs: self = .busy
        case .unreachable: self = failure.isConnectTimeout ? .connectTimedOut : .refused
        case .closedBeforeAnswer, .closedEarly: self = .broken
        case .malformed: self = .final
        }
    }
}

extension CallFailure {
    /// The system gave up a connection that nobody answered.
    var isConnectTimeout: Bool {
        if case .unreachable(.failed(_, _, let number)) = self {
            number == connectTimedOut
        } else {
            false
        }
    }
}

extension Worker {
    /// What the client of a request that gets no slot is told.
    func error(for refusal: Refusal, clientModel: String) -> APIError {
        var error: APIError
        let seconds: Int
        switch refusal {
        case .queueFull(let retryAfterSeconds):
            error = APIError(
                .queueFull,
                "As many requests wait for the model '\(clientModel)' as may (limits.queue). Try again later."
            )
            seconds = retryAfterSeconds
        case .noBackend(let retryAfterSeconds):
            error = noBackend(for: clientModel)
            seconds = retryAfterSeconds
        case .modelLoading(let retryAfterSeconds):
            error = APIError(
                .modelLoading,
                "The model '\(clientModel)' is still being loaded. Try again later.")
            seconds = retryAfterSeconds
        }
        error.retryAfterSeconds = seconds
        return error
    }
}
