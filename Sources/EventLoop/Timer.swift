// One-shot timers on a loop.

internal import CLibevent
internal import Glibc

/// A one-shot timer that fires on its loop, and never after it was cancelled or released.
@safe public final class Timer {
    // libevent's event points back at `self` without retaining it. `deinit` frees the event first
    // ("event_free: deletes the event, making it non-pending"), so no callback can find a timer
    // that is gone.
    private let event: OpaquePointer
    private let fire: () -> Void
    private let loop: Loop?  // keeps the event base alive for as long as the event

    /// When to fire, by the clock itself; `nil` for this turn.
    private var due: Instant?
    /// Whether the timer is running.
    public private(set) var isArmed = false

    /// Makes a timer that is not running yet.
    public convenience init(on loop: Loop, fire: @escaping () -> Void) {
        self.init(base: loop, owner: loop, fire: fire)
    }

    /// A timer the loop itself owns; it goes before the loop does.
    convenience init(unownedOn loop: Loop, fire: @escaping () -> Void) {
        self.init(base: loop, owner: nil, fire: fire)
    }

    private init(base: Loop, owner: Loop?, fire: @escaping () -> Void) {
        self.fire = fire
        loop = owner
        // The event needs a pointer to `self`, which exists only when all properties are set: so it
        // is made empty first and assigned its callback below.
        guard let made = unsafe event_new(base.base, -1, 0, Self.fired, nil) else {
            preconditionFailure("out of memory")
        }
        unsafe event = made
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe event_assign(event, base.base, -1, 0, Self.fired, context)
    }

    deinit { unsafe event_free(event) }

    /// Starts the timer, or starts it anew if it was running.
    public func arm(after delay: Duration) {
        due = Instant.now + delay
        add(delay)
    }

    private func add(_ delay: Duration) {
        let nanoseconds = max(0, delay.wholeNanoseconds)
        // Rounded up, as the clock's ticks are finer than libevent's.
        let microseconds = (nanoseconds + 999) / 1000
        var time = timeval(
            tv_sec: Int(microseconds / 1_000_000), tv_usec: Int(microseconds % 1_000_000))
        unsafe event_add(event, &time)
        isArmed = true
    }

    /// Fires after the callbacks that are already due, before the loop waits again.
    public func fireThisTurn() {
        isArmed = true
        due = nil
        unsafe event_active(event, Int32(EV_TIMEOUT), 0)
    }

    /// Stops the timer. Without effect if it is not running.
    public func cancel() {
        guard isArmed else { return }
        unsafe event_del(event)
        isArmed = false
    }

    private static let fired: event_callback_fn = { _, _, context in
        guard let context = unsafe context else { return }
        let timer = unsafe Unmanaged<Timer>.fromOpaque(context).takeUnretainedValue()
        // libevent counts from the begin of the turn in which a timer was armed, by a clock that
        // ticks every four milliseconds. So it comes early now and then, and a deadline never does:
        // the rest is waited for.
        if let due = timer.due {
            let rest = due - Instant.now
            if rest > .zero { return timer.add(rest) }
        }
        timer.isArmed = false
        timer.fire()
    }
}
