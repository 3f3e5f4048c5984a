// One-shot timers on a loop.

internal import CLibevent

/// A one-shot timer that fires on its loop, and never after it was cancelled or released.
@safe public final class Timer {
    private let fire: () -> Void
    private let queue: TimerQueue
    private let loop: Loop?  // keeps the loop's base and queue alive for as long as the timer
    /// Where it stands in the queue; -1 if it does not.
    var place = -1
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
    /// up to 1/128 of its delay, and a quarter of a second at most.
    public func arm(after delay: Duration) {
        cancel()
        queue.add(self, due: Self.due(after: delay, from: .now))
    }

    /// Thousands of streams have a clock of some seconds each. Rounded up to a grid, many are due
    /// together, and the loop wakes once for all of them.
    static func due(after delay: Duration, from now: Instant) -> Instant {
        let nanoseconds = max(0, delay.wholeNanoseconds)
        let due = now.nanoseconds &+ nanoseconds
        guard nanoseconds >= 1_000_000_000 else { return Instant(nanoseconds: due) }
        // The grid is a power of two, 2^28 ns at most.
        let bits = 63 - min(nanoseconds / 128, 1 << 28).leadingZeroBitCount
        let slack = Int64(1) << Int64(bits) - 1
        return Instant(nanoseconds: (due &+ slack) & ~slack)
    }

    /// Fires after the callbacks that are already due, before the loop waits again.
    public func fireThisTurn() {
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
