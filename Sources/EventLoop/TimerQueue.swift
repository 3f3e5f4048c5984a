// The timers of one loop, of which the kernel knows the earliest alone.

internal import CLibevent
internal import Glibc

/// Timers by when they are due: a binary heap, and one timerfd for its top.
///
/// libevent has such a heap as well, but hands its top to `epoll_wait` as a timeout. Then the kernel
/// sets up and takes down a timer for each wait, which is for each token: 1.5% of the processor time
/// of 1,000 streams. A timerfd is set when the earliest deadline changes, which a token does not do;
/// a cancelled one is left to fire in vain.
@safe final class TimerQueue {
    private struct Entry {
        let due: Instant
        // Whoever is in here takes itself out before it goes.
        unowned(unsafe) let timer: Timer
    }

    let base: OpaquePointer
    private let descriptor: Int32
    // As in `Timer`: points back at `self` unretained, and goes with `close`.
    private var event: OpaquePointer?
    private var heap: [Entry] = []
    /// What the timerfd is set to.
    private var wakesAt = Instant(nanoseconds: .max)
    /// While timers fire, the timerfd is set once at the end.
    private var isFiring = false

    init(base: OpaquePointer) {
        unsafe self.base = base
        descriptor = timerfd_create(
            CLOCK_MONOTONIC, Int32(TFD_NONBLOCK | TFD_CLOEXEC))
        precondition(descriptor >= 0, "the system has no descriptor for a loop's timers")
        // Edge-triggered, so that it need not be read: being set anew makes the next edge.
        let flags = Int16(EV_READ | EV_PERSIST) | Int16(truncatingIfNeeded: EV_ET)
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe event = event_new(base, descriptor, flags, Self.rang, context)
    }

    /// Called before the loop's base goes.
    func close() {
        if let event = unsafe event { unsafe event_free(event) }
        unsafe event = nil
        _ = Glibc.close(descriptor)
    }

    /// Puts a timer that is not in the queue into it.
    func add(_ timer: Timer, due: Instant) {
        // While nothing is due the loop has nothing to wait for here, and may end.
        if heap.isEmpty, let event = unsafe event { unsafe event_add(event, nil) }
        heap.append(Entry(due: due, timer: timer))
        moveUp(from: heap.count - 1)
        wake(at: due)
    }

    /// Takes a timer out that is in the queue.
    func remove(_ timer: Timer) {
        let place = timer.place
        timer.place = -1
        let last = heap.removeLast()
        if place < heap.count {
            heap[place] = last
            moveDown(from: moveUp(from: place))
        }
        if heap.isEmpty, let event = unsafe event { unsafe event_del(event) }
    }

    // MARK: - The heap

    private func put(_ entry: Entry, at place: Int) {
        heap[place] = entry
        unsafe entry.timer.place = place
    }

    @discardableResult
    private func moveUp(from start: Int) -> Int {
        var place = start
        let entry = heap[place]
        while place > 0, entry.due < heap[(place - 1) / 2].due {
            put(heap[(place - 1) / 2], at: place)
            place = (place - 1) / 2
        }
        put(entry, at: place)
        return place
    }

    private func moveDown(from start: Int) {
        var place = start
        let entry = heap[place]
        while 2 * place + 1 < heap.count {
            var child = 2 * place + 1
            if child + 1 < heap.count, heap[child + 1].due < heap[child].due { child += 1 }
            guard heap[child].due < entry.due else { break }
            put(heap[child], at: place)
            place = child
        }
        put(entry, at: place)
    }

    // MARK: - The clock

    private func wake(at due: Instant) {
        guard due < wakesAt, !isFiring else { return }
        wakesAt = due
        var time = itimerspec()
        // Zero would mean never.
        let nanoseconds = max(1, due.nanoseconds)
        time.it_value = timespec(
            tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        _ = unsafe timerfd_settime(descriptor, Int32(TFD_TIMER_ABSTIME), &time, nil)
    }

    private static let rang: event_callback_fn = { _, _, context in
        guard let context = unsafe context else { return }
        unsafe Unmanaged<TimerQueue>.fromOpaque(context).takeUnretainedValue().fireWhatIsDue()
    }

    private func fireWhatIsDue() {
        wakesAt = Instant(nanoseconds: .max)
        // The clock goes on: a timer armed by one that fires here is due later than this, and waits
        // for the next turn.
        let now = Instant.now
        isFiring = true
        while let first = heap.first, first.due <= now {
            let timer = unsafe first.timer
            remove(timer)
            timer.fired()
        }
        isFiring = false
        if let first = heap.first { wake(at: first.due) }
    }
}
