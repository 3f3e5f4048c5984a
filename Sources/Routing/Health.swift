// Whether a backend can be sent requests, judged from what happened to those it got.

/// What happened that tells something of a backend's health. A client that leaves tells nothing,
/// so it is not among these.
public enum HealthFact: Hashable, Sendable {
    /// An answer has begun, of any status but those below.
    case succeeded
    /// Nobody listens: the connection was refused, or there is no way to the machine.
    case refused
    /// A connection did not come about in time. `othersStand`: requests of ours are connected to
    /// the backend, so it is there, and its queue of connections is full.
    case connectTimedOut(othersStand: Bool)
    /// The connection broke off before an answer, or within it.
    case broken
    /// 502, or a 503 that tells neither of loading nor of being busy.
    case failed
    /// 503 `Loading model`.
    case loading
    /// A deadline passed, or the backend says that it is busy: it is slow, not dead.
    case slow
}

/// The health of one backend: a circuit that opens at failures and closes when a probe succeeds.
///
/// No request is used to find out whether a dead backend is back. A probe (`/health`,
/// `/api/version`) costs it milliseconds and nobody an error.
public struct Health: Sendable, Equatable {
    /// Whether requests may be sent.
    public enum State: Sendable, Hashable {
        /// They may.
        case up
        /// Not yet: the model is loading, since this time.
        case loading(since: Int64)
        /// They may not, since this time.
        case down(since: Int64)
    }

    /// The pause between probes of a backend that is up. Requests notice a death themselves, at
    /// once; this is for one that gets none.
    public static let probeInterval: Int64 = 5_000_000_000
    /// The pause between probes of a backend that loads: what a waiting client may lose.
    public static let loadingProbeInterval: Int64 = 250_000_000
    /// The pause before the first probe of a backend that died, doubled with each failure in a
    /// row: a server that only restarts is back at once.
    public static let firstBackoff: Int64 = 100_000_000
    /// The longest such pause: long enough to cost a dead machine nothing, short enough that
    /// nobody who starts a server waits for Sluice.
    public static let longestBackoff: Int64 = 5_000_000_000
    /// How many broken or failed answers without a good one between them open the circuit. One can
    /// be the fault of its request; of several the backend is the common cause.
    public static let failureLimit = 3
    /// The same for connects in vain with nothing of ours connected: one can be a packet lost.
    public static let connectLimit = 2

    /// Whether requests may be sent.
    public private(set) var state = State.up
    /// When the next probe is due; `nil` while one is under way.
    public var nextProbe: Int64? { isProbing ? nil : probeDue }
    private var probeDue: Int64
    private var isProbing = false
    private var failures = 0
    private var vainConnects = 0
    /// How often the circuit opened, or a probe failed, since the last good answer.
    private var openings = 0

    /// A backend that nothing bad is known of: it is asked, and what comes of it shows.
    public init(now: Int64) { probeDue = now }

    /// Takes what happened to a request.
    public mutating func note(_ fact: HealthFact, now: Int64) {
        switch (fact, state) {
        // A stream that began before the death says nothing of now; only a probe does.
        case (_, .down): break
        case (.refused, _): open(now: now)
        case (.succeeded, .up): (failures, vainConnects, openings) = (0, 0, 0)
        case (.connectTimedOut(let othersStand), .up) where !othersStand:
            vainConnects += 1
            if vainConnects >= Self.connectLimit { open(now: now) }
        case (.broken, .up), (.failed, .up):
            failures += 1
            if failures >= Self.failureLimit { open(now: now) }
        case (.loading, .up): beginLoading(now: now)
        case (.slow, _), (.connectTimedOut, _), (_, .loading): break
        }
    }

    /// Whether a probe is due. If so it is under way from here on, until `noteProbe`, and there is
    /// none beside it.
    public mutating func beginProbe(now: Int64) -> Bool {
        guard let nextProbe, nextProbe <= now else { return false }
        isProbing = true
        return true
    }

    /// Takes what came of a probe: `succeeded` for any answer that shows the server serving.
    public mutating func noteProbe(_ fact: HealthFact, now: Int64) {
        isProbing = false
        switch (fact, state) {
        case (.succeeded, _):
            state = .up
            // Failures and openings stay counted: who answers probes and fails at requests is
            // tried at ever longer pauses.
            vainConnects = 0
            probeDue = now + Self.probeInterval
        case (.loading, _): beginLoading(now: now)
        // Silence is no answer: busy if it was up, still dead if it was dead.
        case (_, .down): open(now: now)
        case (.slow, .up): probeDue = now + Self.probeInterval
        case (.slow, .loading), (.connectTimedOut, .loading), (.broken, .loading),
            (.failed, .loading):
            probeDue = now + Self.loadingProbeInterval
        case (.refused, _), (.connectTimedOut, .up), (.broken, .up), (.failed, .up):
            probeDue = now + Self.probeInterval
            note(fact, now: now)
        }
    }

    /// In how many whole seconds the backend may be back, from 1.
    public func retryAfterSeconds(now: Int64) -> Int {
        // A backend must be found up, and then still answer the probe.
        let pause = max(probeDue - now, 0)
        return Int(pause / 1_000_000_000) + 1
    }

    private mutating func open(now: Int64) {
        if case .down = state {} else { state = .down(since: now) }
        (failures, vainConnects) = (0, 0)
        // 6 doublings pass the longest pause; more would overflow some day.
        let pause = Self.firstBackoff << Int64(min(openings, 6))
        probeDue = now + min(pause, Self.longestBackoff)
        openings += 1
    }

    private mutating func beginLoading(now: Int64) {
        if case .loading = state {} else { state = .loading(since: now) }
        probeDue = now + Self.loadingProbeInterval
    }
}
