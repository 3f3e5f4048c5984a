// What becomes of a request whose attempt failed, decided from what has happened to it.

/// Why an attempt at an upstream gave no answer.
public enum AttemptFailure: Hashable, Sendable, CaseIterable {
    /// A kept-alive connection ended before the first byte of an answer: the server had closed it
    /// when the request was on its way.
    case staleConnection
    /// The connection was refused, or there is no way to the machine.
    case refused
    /// `connect` passed.
    case connectTimedOut
    /// The connection ended before the answer, or within it.
    case broken
    /// 502 or 503, but for the two below.
    case failed
    /// 503 `Loading model`.
    case loading
    /// 503 of a server whose own queue is full.
    case busy
    /// The model hung and was unloaded; see `WedgeDetector`.
    case cured
    /// Another answer of at least 400, or one that breaks the rules: it would be so again.
    case final
    /// `first_token`, `token` or `total` passed: another try would repeat long work (504).
    case deadlinePassed

    /// What it tells of the backend's health; `nil`: nothing.
    public func healthFact(othersStand: Bool) -> HealthFact? {
        switch self {
        case .staleConnection, .cured: nil
        case .refused: .refused
        case .connectTimedOut: .connectTimedOut(othersStand: othersStand)
        case .broken: .broken
        case .failed: .failed
        case .loading: .loading
        case .busy, .deadlinePassed: .slow
        // It has answered, after all.
        case .final: .succeeded
        }
    }
}

/// What to do after a failed attempt.
public enum RetryDecision: Hashable, Sendable {
    /// The same place again at once, on a new connection. The slot is kept.
    case freshConnection
    /// `Admission.retry` with the places that are left.
    case elsewhere
    /// `Admission.retry` with all places, this one included: it will serve again.
    case wait
    /// Tell the client.
    case giveUp
}

/// The history of one request, as far as it decides whether to try again.
public struct RetryPolicy: Hashable, Sendable {
    /// How often a request that ended with a broken connection is sent again. A server that dies
    /// takes its requests along through no fault of theirs, but one of them may have killed it, and
    /// must not go on to kill all others.
    public static let brokenLimit = 1
    /// How often a request is sent again because its model hung: the cure is tried once.
    public static let curedLimit = 1

    private var broken = 0
    private var cured = 0
    private var hadFreshConnection = false

    /// A request that was not tried yet.
    public init() {}

    /// Decides after a failed attempt.
    ///
    /// `clientHasContent`: the client was sent more than comments, so nothing may be said twice.
    /// `hasOtherPlace`: its ticket has a place that it was not tried at and that is not down;
    /// fallbacks count.
    public mutating func decide(
        _ failure: AttemptFailure, clientHasContent: Bool, hasOtherPlace: Bool
    ) -> RetryDecision {
        guard !clientHasContent else { return .giveUp }
        let otherwise = hasOtherPlace ? RetryDecision.elsewhere : .giveUp
        switch failure {
        case .staleConnection:
            // A new connection cannot be stale; if it ends so too, the server is ending it.
            guard !hadFreshConnection else { return decideBroken(otherwise) }
            hadFreshConnection = true
            return .freshConnection
        case .refused, .connectTimedOut, .failed, .busy: return otherwise
        case .broken: return decideBroken(otherwise)
        // Another place that is up serves it at once, else this one is waited for; how long is for
        // the admission to say (`load_wait`).
        case .loading: return .wait
        case .cured:
            cured += 1
            return cured > Self.curedLimit ? .giveUp : .wait
        case .final, .deadlinePassed: return .giveUp
        }
    }

    private mutating func decideBroken(_ otherwise: RetryDecision) -> RetryDecision {
        broken += 1
        return broken > Self.brokenLimit ? .giveUp : otherwise
    }
}
