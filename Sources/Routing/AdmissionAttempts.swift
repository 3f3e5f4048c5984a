// What comes of an attempt at an upstream: an answer, or a failure after which the request is tried
// again, waits, or is given up.

/// An attempt that gave no answer.
public struct FailedAttempt: Sendable, Hashable {
    /// The request.
    public var id: UInt64
    /// Why.
    public var failure: AttemptFailure
    /// Whether the client was sent more than comments; then nothing can be tried again.
    public var clientHasContent: Bool

    /// The facts about one attempt.
    public init(id: UInt64, _ failure: AttemptFailure, clientHasContent: Bool = false) {
        self.id = id
        self.failure = failure
        self.clientHasContent = clientHasContent
    }
}

extension Admission {
    /// The answer to a request has begun: its first byte is there.
    public mutating func answered(_ id: UInt64, now: Int64) -> [Answer] {
        guard case .running(var running)? = locations[id], !running.hasAnswered else { return [] }
        let backend = stations[running.station].backend
        running.hasAnswered = true
        locations[id] = .running(running)
        backends[backend].answering += 1
        return note(.succeeded, backend, now: now)
    }

    /// Decides what becomes of a request whose attempt failed, and does its part of it.
    ///
    /// - `freshConnection`: it keeps its slot and place.
    /// - `elsewhere`, `wait`: it has given its slot back and is among those who wait; it is granted
    ///   another, perhaps in the answers at hand, or refused later.
    /// - `giveUp`: it has given its slot back and is forgotten. So is an unknown request.
    public mutating func attemptFailed(
        _ attempt: FailedAttempt, now: Int64
    ) -> (decision: RetryDecision, answers: [Answer]) {
        guard case .running(var running)? = locations[attempt.id] else { return (.giveUp, []) }
        let backend = stations[running.station].backend
        let others = backends[backend].answering - (running.hasAnswered ? 1 : 0)
        let fact = attempt.failure.healthFact(othersStand: others > 0)
        let places = otherPlaces(running)
        let decision = running.retries.decide(
            attempt.failure, clientHasContent: attempt.clientHasContent,
            hasOtherPlace: !places.isEmpty)
        locations[attempt.id] = .running(running)
        switch decision {
        case .freshConnection: return (decision, [])
        case .elsewhere: return (decision, retry(attempt.id, at: places, fact, now: now))
        case .wait:
            let all = running.ticket.places
            return (decision, retry(attempt.id, at: all, fact, now: now))
        case .giveUp: return (decision, release(attempt.id, fact, now: now))
        }
    }

    /// Where else a request can go: the places of its ticket on other backends that can serve. As
    /// a retry leaves out the places it has been at, those are not among them.
    private func otherPlaces(_ running: Running) -> [Place] {
        let here = backends[stations[running.station].backend].name
        let others = running.ticket.places.filter { $0.backend != here }
        let canServe = others.contains { place in
            backendNumbers[place.backend].map { backends[$0].isUp } ?? false
        }
        return canServe ? others : []
    }
}
