// A listening socket that does not spin when descriptors run out.

internal import CLibevent
internal import EventLoop
internal import Glibc

/// One listening socket. evhttp is its accept callback (`evhttp_bind_listener`).
@safe final class Listener {
    // evhttp_bind_listener hands the listener to evhttp, which frees it in evhttp_free; the server
    // frees evhttp after this object has gone, so `raw` is never freed here.
    let raw: OpaquePointer
    let address: SocketAddress
    private var isPaused = false
    private var retry: Timer?

    /// evhttp's own listeners allow 128 waiting connections: at 1,000 connects at once the rest
    /// waited a second for their next SYN.
    private static let backlog: Int32 = 4096
    /// Out of descriptors, accepting is tried again after this time, or when a connection closes.
    private static let retryInterval = Duration.milliseconds(100)

    convenience init(on loop: Loop, address: SocketAddress, sharesPort: Bool) throws(SocketError) {
        let socket = try Self.bind(address, sharesPort: sharesPort)
        try self.init(
            on: loop, socket: socket.descriptor,
            address: address.isUnix ? address : socket.localAddress())
    }

    /// Listens on a socket that is bound; it stays the caller's, who may close it at once.
    init(on loop: Loop, socket: Int32, address: SocketAddress) throws(SocketError) {
        // Accepted sockets have this from their listener (Linux), which saves a call for each.
        Socket.sendWithoutDelay(socket)
        // Two descriptors for a moment: libevent closes its own, and the caller closes the other.
        let descriptor = dup(socket)
        self.address = address
        let flags = UInt32(LEV_OPT_CLOSE_ON_FREE) | UInt32(LEV_OPT_CLOSE_ON_EXEC)
        guard descriptor >= 0,
            let made = unsafe evconnlistener_new(
                loop.base, nil, nil, flags, Self.backlog, descriptor)
        else { throw Self.error("listen on", address, errno) }
        unsafe raw = made
        retry = Timer(on: loop) { [unowned self] in resume() }
        unsafe evconnlistener_set_error_cb(raw, Self.acceptFailed)
        let ours = unsafe UInt(bitPattern: Unmanaged.passUnretained(self).toOpaque())
        let theirs = unsafe UInt(bitPattern: raw)
        Self.listeners.withLock { $0[theirs] = ours }
    }

    deinit {
        let theirs = unsafe UInt(bitPattern: raw)
        _ = Self.listeners.withLock { $0.removeValue(forKey: theirs) }
    }

    /// Accepts no more; waiting connections stay in the system's queue.
    func pause() {
        isPaused = true
        unsafe evconnlistener_disable(raw)
    }

    /// Accepts again.
    func resume() {
        guard isPaused else { return }
        isPaused = false
        unsafe evconnlistener_enable(raw)
    }

    /// Finds the listener for a libevent listener. evhttp_bind_listener takes the callback argument
    /// for itself, and the error callback is given that argument: so there is no other way back.
    /// Touched when listening begins and ends and when accept fails, each on the listener's thread.
    private static let listeners = Guarded<[UInt: UInt]>([:])

    /// Accept failed for good (EMFILE, ENFILE, ENOMEM). The socket stays readable, so without a
    /// pause the loop would spin: measured at 53-90 % of a core and 14 MB of log a second.
    private static let acceptFailed:
        @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> Void = { raw, _ in
            let theirs = UInt(bitPattern: raw)
            guard let bits = listeners.withLock({ $0[theirs] }),
                let pointer = unsafe UnsafeRawPointer(bitPattern: bits)
            else { return }
            let listener = unsafe Unmanaged<Listener>.fromOpaque(pointer).takeUnretainedValue()
            listener.pause()
            listener.retry?.arm(after: retryInterval)
        }

    private static func bind(
        _ address: SocketAddress, sharesPort: Bool
    ) throws(SocketError) -> Socket {
        let socket = try Socket(for: address)
        if address.isUnix {
            try removeStaleSocket(address)
        } else {
            socket.setOption(SOL_SOCKET, SO_REUSEADDR, 1)
            if sharesPort { socket.setOption(SOL_SOCKET, SO_REUSEPORT, 1) }
            // `[::]` must not take the IPv4 port too: listen on both by naming both.
            if address.family == AF_INET6 {
                socket.setOption(Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1)
            }
        }
        let result = unsafe address.withSystemAddress {
            unsafe Glibc.bind(socket.descriptor, $0, $1)
        }
        guard result == 0 else { throw error("listen on", address, errno) }
        return socket
    }

    /// A socket file outlives the process that made it. It is removed only if nobody answers there.
    private static func removeStaleSocket(_ address: SocketAddress) throws(SocketError) {
        let probe = try Socket(for: address)
        let result = unsafe address.withSystemAddress { unsafe connect(probe.descriptor, $0, $1) }
        if result == 0 { throw .addressInUse(address.description) }
        if errno == ECONNREFUSED {
            _ = unsafe unlink(String(address.description.dropFirst("unix:".count)))
        }
    }

    private static func error(
        _ operation: String, _ address: SocketAddress, _ number: Int32
    ) -> SocketError {
        number == EADDRINUSE
            ? .addressInUse(address.description)
            : .failed(operation: operation, address: address.description, errno: number)
    }
}
