// The event loop: one libevent base, used by exactly one thread.

internal import CLibevent
internal import Glibc

/// An event loop. Everything made from it stays on the thread that runs it: neither the loop nor
/// what hangs off it is `Sendable`, and the compiler holds us to that. Other threads reach it
/// through a `Mailbox` only.
@safe public final class Loop {
    // Freed in `deinit`. Timers, watches and servers keep the loop alive, so it outlives whatever
    // is registered on it.
    package let base: OpaquePointer

    /// Bytes for the reads of this turn. Whoever reads must be done with them before returning to
    /// the loop.
    package let scratch: UnsafeMutableRawBufferPointer
    /// The size of `scratch`: large enough that a fast upstream costs few calls, small enough to
    /// stay in the cache.
    package static let scratchBytes = 64 * 1024

    let timers: TimerQueue
    private var lastThings: [LastThing] = []
    /// The room of those that were done before, so that it need not grow anew in each turn.
    private var spareThings: [LastThing] = []
    private var lastThingsTimer: Timer?

    /// Makes a loop. Without `EVENT_BASE_FLAG_NOLOCK` every call would take a lock that nobody else
    /// ever holds.
    public init() {
        _ = Self.ignoreBrokenPipes
        guard let configuration = unsafe event_config_new() else { preconditionFailure("memory") }
        unsafe event_config_set_flag(configuration, Int32(EVENT_BASE_FLAG_NOLOCK.rawValue))
        // libevent has no timers to look at the clock for: they are in `timers`.
        unsafe event_config_set_flag(
            configuration, Int32(EVENT_BASE_FLAG_NO_CACHE_TIME.rawValue))
        guard let made = unsafe event_base_new_with_config(configuration) else {
            preconditionFailure("libevent offers no event base on this system")
        }
        unsafe event_config_free(configuration)
        unsafe base = made
        timers = unsafe TimerQueue(base: made)
        unsafe scratch = .allocate(byteCount: Self.scratchBytes, alignment: 64)
    }

    deinit {
        lastThingsTimer = nil
        timers.close()
        unsafe event_base_free(base)
        unsafe scratch.deallocate()
    }

    /// A write to a socket whose peer is gone must be an error, not the end of the process. Neither
    /// Swift nor libevent arranges that.
    private static let ignoreBrokenPipes: Void = { _ = signal(SIGPIPE, SIG_IGN) }()

    /// The monotonic clock. Read it once a turn and hand it on.
    public var now: Instant { Instant.now }

    /// Runs until `stop`, or until nothing is registered.
    public func run() { unsafe event_base_dispatch(base) }

    /// Waits for one round of events and handles it. Tests drive the loop with this.
    public func runOnce() { unsafe event_base_loop(base, EVLOOP_ONCE) }

    /// Handles one round of what is ready now, without waiting. (`EVLOOP_NONBLOCK` alone goes on as
    /// long as anything is ready, which a descriptor that nobody reads is for ever.)
    public func runReady() { unsafe event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK) }

    /// Ends `run` after the events of this turn; called before `run`, after those of its first
    /// turn.
    public func stop() { unsafe event_base_loopexit(base, nil) }

    /// Does `body` after the callbacks of this turn: nothing is released inside its own callback.
    public func afterThisTurn(_ body: @escaping () -> Void) {
        lastThings.append(LastThing(body: body))
        guard lastThings.count == 1 else { return }
        if lastThingsTimer == nil {
            // The loop owns the timer and the timer must not own the loop, or neither would ever
            // go.
            lastThingsTimer = Timer(queue: timers) { [unowned self] in doLastThings() }
        }
        lastThingsTimer?.fireThisTurn()
    }

    private func doLastThings() {
        var things: [LastThing] = []
        swap(&things, &spareThings)
        swap(&things, &lastThings)
        for thing in things { thing.body() }
        things.removeAll(keepingCapacity: things.count <= 64)
        swap(&things, &spareThings)
    }
}

/// What is done after a turn. Bare functions in an array would be wrapped once more, on the heap.
private struct LastThing {
    let body: () -> Void
}

/// A moment of the monotonic clock, in nanoseconds.
public struct Instant: Comparable, Hashable, Sendable {
    /// Nanoseconds since an arbitrary start (CLOCK_MONOTONIC).
    public let nanoseconds: Int64

    /// Makes a moment; tests make their own.
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// The clock's reading.
    package static var now: Instant {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    /// Earlier is smaller.
    public static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// The moment `duration` later.
    public static func + (instant: Instant, duration: Duration) -> Instant {
        Instant(nanoseconds: instant.nanoseconds &+ duration.wholeNanoseconds)
    }

    /// The time from `right` to `left`; negative if `left` is earlier.
    public static func - (left: Instant, right: Instant) -> Duration {
        .nanoseconds(left.nanoseconds &- right.nanoseconds)
    }
}

extension Duration {
    /// The duration in nanoseconds, at most 146 years in either direction: then two of them can be
    /// added without overflow.
    public var wholeNanoseconds: Int64 {
        let whole = attoseconds
        // Up to an hour and more, one division of 64 bits does: by a thousand million without its
        // factors of two, which are shifted out before.
        if whole >= 0, whole < 1 << 72 {
            return Int64(UInt64(truncatingIfNeeded: whole >> 9) / 1_953_125)
        }
        let (seconds, attoseconds) = components
        let limit: Int64 = 4_600_000_000
        guard seconds > -limit, seconds < limit else {
            return seconds.signum() * limit * 1_000_000_000
        }
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }

    /// The duration in milliseconds, for logs.
    public var wholeMilliseconds: Int { Int(wholeNanoseconds / 1_000_000) }
}
