// Watches a descriptor and calls back when it can be read or written, or when the other side has
// closed.

internal import CLibevent

/// What a descriptor is watched for, and what was seen.
public struct Readiness: OptionSet, Sendable {
    /// libevent's `EV_*` bits.
    public let rawValue: Int16

    /// Makes a set from libevent's bits.
    public init(rawValue: Int16) { self.rawValue = rawValue }

    /// Bytes can be read, or the stream has ended or failed.
    public static let read = Readiness(rawValue: Int16(EV_READ))
    /// Bytes can be written, or the connection has failed.
    public static let write = Readiness(rawValue: Int16(EV_WRITE))
    /// The other side has closed its sending direction (EPOLLRDHUP).
    public static let closed = Readiness(rawValue: Int16(EV_CLOSED))
}

/// Watches one descriptor on a loop. Released or stopped, it never calls again.
@safe public final class Watch {
    // As in `Timer`: the event points at `self` unretained, and `deinit` frees it.
    private let event: OpaquePointer
    private let handler: (Readiness) -> Void
    private let loop: Loop
    /// What the handler touches.
    public var footprint = Footprint()

    /// For `callAgain`; most watches never need one.
    private var again: Timer?
    private var seenAgain: Readiness = []

    /// Whether the descriptor is being watched.
    public private(set) var isActive = false

    /// Makes a watch that is not active yet.
    ///
    /// Level-triggered, it calls back as long as the descriptor is ready. Edge-triggered, it calls
    /// once for each change: the handler must go on until the call would block. All watches of one
    /// descriptor must be of one sort.
    public init(
        on loop: Loop, _ descriptor: Int32, for readiness: Readiness, edgeTriggered: Bool = false,
        handler: @escaping (Readiness) -> Void
    ) {
        self.loop = loop
        self.handler = handler
        let flags =
            readiness.rawValue | Int16(EV_PERSIST)
            | (edgeTriggered ? Int16(truncatingIfNeeded: EV_ET) : 0)
        guard let made = unsafe event_new(loop.base, descriptor, flags, Self.ready, nil) else {
            preconditionFailure("out of memory")
        }
        unsafe event = made
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe event_assign(event, loop.base, descriptor, flags, Self.ready, context)
    }

    deinit { unsafe event_free(event) }

    /// Begins to watch. `false` if the system refuses (out of memory or of epoll watches).
    @discardableResult
    public func start() -> Bool {
        guard !isActive else { return true }
        isActive = unsafe event_add(event, nil) == 0
        return isActive
    }

    /// Stops watching, until `start`.
    public func stop() {
        guard isActive else { return }
        unsafe event_del(event)
        isActive = false
        forgetAgain()
    }

    /// Calls the handler in the next turn as if `readiness` had been seen. For an edge-triggered
    /// reader that stops early in order to let others have their turn.
    ///
    /// `event_active` would not do: what it activates is handled in this turn still, before anybody
    /// is asked whether others are ready.
    public func callAgain(_ readiness: Readiness) {
        guard isActive else { return }
        seenAgain.formUnion(readiness)
        if again == nil {
            again = Timer(on: loop) { [unowned self] in
                let seen = seenAgain
                seenAgain = []
                handler(seen)
            }
        }
        again?.arm(after: .zero)
    }

    /// Takes a `callAgain` back that has not been answered yet.
    public func forgetAgain() {
        again?.cancel()
        seenAgain = []
    }

    private static let ready: event_callback_fn = { _, seen, context in
        guard let context = unsafe context else { return }
        let watch = unsafe Unmanaged<Watch>.fromOpaque(context).takeUnretainedValue()
        watch.footprint.fetch()
        // libevent repeats EV_ET, which is how the watch was made and not what was seen.
        watch.handler(Readiness(rawValue: seen).intersection([.read, .write, .closed]))
    }
}

/// Calls back when a signal arrives, on the loop instead of inside a signal handler.
@safe public final class SignalSource {
    // As in `Timer`.
    private let event: OpaquePointer
    private let handler: () -> Void
    private let loop: Loop

    /// Watches `signal` from now on. Only one loop of a process may watch signals.
    public init(on loop: Loop, _ signal: Int32, handler: @escaping () -> Void) {
        self.loop = loop
        self.handler = handler
        let flags = Int16(EV_SIGNAL | EV_PERSIST)
        guard let made = unsafe event_new(loop.base, signal, flags, Self.arrived, nil) else {
            preconditionFailure("out of memory")
        }
        unsafe event = made
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe event_assign(event, loop.base, signal, flags, Self.arrived, context)
        unsafe event_add(event, nil)
    }

    deinit { unsafe event_free(event) }

    private static let arrived: event_callback_fn = { _, _, context in
        guard let context = unsafe context else { return }
        unsafe Unmanaged<SignalSource>.fromOpaque(context).takeUnretainedValue().handler()
    }
}
