// One-shot timers on a loop.

internal import CLibevent

/// A one-shot timer that fires on its loop, and never after it was cancelled or released.
@safe public final class Timer {
    private let fire: () -> Void
    private let queue: TimerQueue
    private let loop: Loop?  // keeps the loop's base and queue alive for as long as the timer
    /// Where it stands in the queue; -1 if it does not.
    var place = -1
    /// When it fires, if it stands there.
    private var due = Instant(nanoseconds: 0)
    /// For `fireThisTurn`, which few timers are asked for. libevent's event points back at `self`
    /// without retaining it. `deinit` frees the event ("event_free: deletes the event, making it
    /// non-pending"), so no callback can find a timer that is gone.
    private var event: OpaquePointer?
    private var firesThisTurn = false

    /// Whether the timer is running.
    public var isArmed: Bool { place >= 0 || firesThisTurn }

    /// Makes a timer that is not running yet.
    public convenience init(on loop: Loop, fire: @escaping () -> Void) {
        self.init(queue: loop.timers, owner: loop, fire: fire)
    }

    /// A timer the loop itself owns; it goes before the loop does.
    convenience init(queue: TimerQueue, fire: @escaping () -> Void) {
        self.init(queue: queue, owner: nil, fire: fire)
    }

    private init(queue: TimerQueue, owner: Loop?, fire: @escaping () -> Void) {
        self.fire = fire
        self.queue = queue
        loop = owner
    }

    deinit {
        cancel()
        if let event = unsafe event { unsafe event_free(event) }
    }

    /// Starts the timer, or starts it anew if it was running. One of a second or more may be late by
    /// up to 1/128 of its delay, and by `mostSlack` at most.
    public func arm(after delay: Duration) {
        cancel()
        add(due: Self.due(after: delay, from: .now))
    }

    /// Starts the timer if it is not running, or would fire later than if it were started now.
    ///
    /// For clocks that are put back again and again: a timer that was not moved for it fires early,
    /// and its owner looks at the clocks and calls this again.
    public func arm(noLaterThan moment: Instant) {
        let now = Instant.now
        let due = Self.due(after: moment - now, from: now)
        if firesThisTurn || (place >= 0 && self.due <= due) { return }
        cancel()
        add(due: due)
    }

    private func add(due: Instant) {
        self.due = due
        queue.add(self, due: due)
    }

    /// The coarsest grid, in nanoseconds: 67 ms. Deadlines are late by 100 ms at most.
    static let mostSlack: Int64 = 1 << 26

    /// Thousands of streams have a clock of some seconds each. Rounded up to a grid of a power of
    /// two, many are due together, and the loop wakes once for all of them.
    static func due(after delay: Duration, from now: Instant) -> Instant {
        let nanoseconds = max(0, delay.wholeNanoseconds)
        let due = now.nanoseconds &+ nanoseconds
        guard nanoseconds >= 1_000_000_000 else { return Instant(nanoseconds: due) }
        let bits = 63 - min(nanoseconds / 128, mostSlack).leadingZeroBitCount
        let slack = Int64(1) << Int64(bits) - 1
        return Instant(nanoseconds: (due &+ slack) & ~slack)
    }

    /// Fires after the callbacks that are already due, before the loop waits again.
    public func fireThisTurn() {
        if firesThisTurn { return }
        cancel()
        firesThisTurn = true
        if unsafe event == nil {
            let context = unsafe Unmanaged.passUnretained(self).toOpaque()
            unsafe event = event_new(queue.base, -1, 0, Self.isTurn, context)
        }
        guard let event = unsafe event else { preconditionFailure("out of memory") }
        unsafe event_active(event, Int32(EV_TIMEOUT), 0)
    }

    /// Stops the timer. Without effect if it is not running.
    public func cancel() {
        if place >= 0 { queue.remove(self) }
        guard firesThisTurn, let event = unsafe event else { return }
        unsafe event_del(event)
        firesThisTurn = false
    }

    /// It is due, and out of the queue.
    func fired() { fire() }

    private static let isTurn: event_callback_fn = { _, _, context in
        guard let context = unsafe context else { return }
        let timer = unsafe Unmanaged<Timer>.fromOpaque(context).takeUnretainedValue()
        timer.firesThisTurn = false
        timer.fire()
    }
}
