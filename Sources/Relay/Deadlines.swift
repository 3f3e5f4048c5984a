// When a session has waited long enough, as arithmetic on times that are handed in.

/// The clocks of one session.
///
/// Times are nanoseconds of any monotonic clock. The clocks that move with every token are a single
/// store each; when something is due is worked out only when the driver's one timer fires.
public struct Deadlines: Sendable {
    /// The settings, in nanoseconds; `nil` is for ever.
    public struct Settings: Sendable, Equatable {
        /// For a connection to be accepted.
        public var connect: Int64?
        /// For a slot to become free.
        public var queue: Int64?
        /// Until a stream's head is sent although nothing has come.
        public var headGrace: Int64?
        /// From dispatch to the first data event.
        public var firstToken: Int64?
        /// Between two data events.
        public var token: Int64?
        /// From dispatch to the end of the answer.
        public var total: Int64?
        /// Between two comments in a silent stream.
        public var keepAlive: Int64?

        /// All of them off.
        public init() {}
    }

    /// What is due.
    public enum Due: Hashable, Sendable {
        /// A deadline has passed; the session fails.
        case deadline(Ending)
        /// The head of the stream should be sent.
        case headGrace
        /// A comment should be sent.
        case comment
    }

    /// What the session is waiting for.
    public enum Phase: Hashable, Sendable {
        /// A free slot.
        case queued
        /// The upstream's acceptance of a connection.
        case connecting
        /// The first data event.
        case awaitingFirstEvent
        /// The next data event.
        case streaming
        /// The client. The upstream's clock stands still.
        case paused
        /// The client, to take the rest of the reply.
        case delivering
    }

    // What a token touches stands first.
    private var lastEvent: Int64
    private var lastSent: Int64
    /// The settings that hold: those of the upstream that is asked. Retrying elsewhere changes
    /// them.
    public var settings: Settings
    private let began: Int64
    /// What it waits for now.
    public private(set) var phase = Phase.queued
    private var phaseBegan: Int64
    /// How long it has waited for slots that it lost again: all its waiting counts.
    private var queuedBefore: Int64 = 0
    private var dispatched: Int64
    private var headIsSent = false
    private let headIsOurs: Bool

    /// The clocks of a session that begins now. `wantsStream` says whether there is a head to send
    /// early and silence to fill.
    public init(_ settings: Settings, wantsStream: Bool, now: Int64) {
        self.settings = settings
        headIsOurs = wantsStream
        (began, phaseBegan, dispatched, lastEvent, lastSent) = (now, now, now, now, now)
    }

    /// The session now waits for something else.
    ///
    /// To be `connecting`, a second time too, is a dispatch: an upstream is not charged with the
    /// time that another one took.
    public mutating func enter(_ phase: Phase, now: Int64) {
        if self.phase == .queued { queuedBefore += now - phaseBegan }
        if phase == .connecting { dispatched = now }
        if phase == .streaming {
            // The clock between tokens stood still during a pause. What had gone before it, since
            // the last event, counts on; an event that was read with the pause came after that.
            let gone = self.phase == .paused ? max(0, phaseBegan - lastEvent) : 0
            lastEvent = now - gone
        }
        self.phase = phase
        phaseBegan = now
    }

    /// A connection that had been idle proved stale, and a fresh one is being made. For the upstream
    /// that is the same dispatch; only the connection has its time anew.
    public mutating func connectsAgain(now: Int64) {
        phase = .connecting
        phaseBegan = now
    }

    /// A data event came from the upstream.
    @inline(__always)
    public mutating func eventArrived(now: Int64) { lastEvent = now }

    /// Bytes were sent to the client.
    @inline(__always)
    public mutating func sentToClient(now: Int64) { lastSent = now }

    /// The head of a stream was sent; silence is filled from here on.
    public mutating func headSent(now: Int64) {
        headIsSent = true
        lastSent = now
    }

    /// What is due at `now`: the gravest first, of deadlines the one that passed first.
    public func due(now: Int64) -> Due? {
        var first: Clock?
        forEachClock { clock in
            guard clock.at <= now else { return }
            guard let known = first, (known.rank, known.at) <= (clock.rank, clock.at) else {
                first = clock
                return
            }
        }
        return first?.due
    }

    /// When to look again; `nil` if no clock is running.
    public var next: Int64? {
        var next: Int64?
        forEachClock { next = min(next ?? $0.at, $0.at) }
        return next
    }

    private struct Clock {
        var at: Int64
        var due: Due

        var rank: Int {
            switch due {
            case .deadline: 0
            case .headGrace: 1
            case .comment: 2
            }
        }
    }

    /// Hands out the clocks that are running.
    private func forEachClock(_ body: (Clock) -> Void) {
        func add(_ start: Int64, _ length: Int64?, _ due: Due) {
            if let length { body(Clock(at: start &+ length, due: due)) }
        }
        switch phase {
        case .queued: add(phaseBegan - queuedBefore, settings.queue, .deadline(.queueTimeout))
        case .connecting:
            add(phaseBegan, settings.connect, .deadline(.connectTimeout))
            add(dispatched, settings.firstToken, .deadline(.firstTokenTimeout))
        case .awaitingFirstEvent:
            add(dispatched, settings.firstToken, .deadline(.firstTokenTimeout))
        case .streaming: add(lastEvent, settings.token, .deadline(.tokenTimeout))
        // The client's own deadline is the connection's (`client_stall`).
        case .paused: break
        case .delivering: return
        }
        if phase != .queued { add(dispatched, settings.total, .deadline(.totalTimeout)) }
        if headIsOurs, !headIsSent { add(began, settings.headGrace, .headGrace) }
        if headIsSent, phase != .paused { add(lastSent, settings.keepAlive, .comment) }
    }
}
