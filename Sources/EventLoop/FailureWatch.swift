// Tells of sockets that have failed, which an edge-triggered `Watch` cannot.

internal import CLibevent
internal import Glibc

/// Hears that a descriptor has failed.
public protocol FailureObserver: AnyObject {
    /// The connection was reset, or is closed in both directions. What came before can still be
    /// read.
    func descriptorFailed()
}

/// Watches sockets for failure alone.
///
/// libevent says of a failed socket only that it can be read and written (`EPOLLERR` becomes
/// `EV_READ | EV_WRITE`). Read edge-triggered, a reset that comes together with bytes is therefore
/// missed behind them: the edge is over and nothing more is told. So the sockets stand in a second
/// epoll set as well, that listens to nothing but what epoll tells unasked, `EPOLLERR` and
/// `EPOLLHUP` (epoll_ctl(2)). The loop watches that set like any descriptor; bytes do not wake it,
/// so a token costs nothing more.
@safe public final class FailureWatch {
    private let set: Int32
    private var watch: Watch?
    /// By descriptor. Whoever is in here takes itself out before it goes.
    private var observers: [Int32: Entry] = [:]

    private struct Entry {
        unowned(unsafe) let observer: any FailureObserver
    }

    /// Makes a set with nobody in it.
    public init(on loop: Loop) {
        set = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard set >= 0 else { return }
        watch = Watch(on: loop, set, for: .read) { [unowned self] _ in look() }
        watch?.start()
    }

    deinit {
        watch?.stop()
        if set >= 0 { close(set) }
    }

    /// Tells `observer` once when `descriptor` fails. `false` if the system refuses (out of
    /// descriptors, of memory, or of epoll watches): nothing will be told then.
    public func add(_ descriptor: Int32, _ observer: any FailureObserver) -> Bool {
        var wanted = unsafe epoll_event()
        // Edge-triggered, or a failure would be told until the descriptor is closed.
        unsafe wanted.events = EPOLLET.rawValue
        unsafe wanted.data.fd = descriptor
        guard unsafe epoll_ctl(set, EPOLL_CTL_ADD, descriptor, &wanted) == 0 else {
            return false
        }
        observers[descriptor] = Entry(observer: observer)
        return true
    }

    /// Forgets a descriptor that is about to be closed, which takes it out of the set.
    public func forget(_ descriptor: Int32) { observers[descriptor] = nil }

    private func look() {
        // One at a time, as this is rare; further ones keep the set readable.
        var seen = unsafe epoll_event()
        guard unsafe epoll_wait(set, &seen, 1, 0) == 1 else { return }
        unsafe observers[seen.data.fd]?.observer.descriptorFailed()
    }
}
