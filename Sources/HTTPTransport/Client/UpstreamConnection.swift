// A connection to an upstream, used by one call after the other.

internal import EventLoop
internal import Glibc

/// Who a connection belongs to at the moment: a call, or the pool.
protocol ConnectionUser: AnyObject {
    /// Bytes, an end or an error wait to be read.
    func connectionReadable(_ connection: UpstreamConnection)
    /// Bytes can be written, or the attempt to connect has come to something.
    func connectionWritable(_ connection: UpstreamConnection)
}

/// A socket to an upstream and its watches. Reading is watched all the time, also while the
/// connection is idle: so that handing it on costs no system call, and a stale one is noticed.
@safe final class UpstreamConnection {
    // Unsafe, because this is the hot path: a weak reference is an atomic operation for each chunk.
    // Whoever sets it holds the only reference to the connection, and so outlives it.
    private unowned(unsafe) var user: any ConnectionUser
    /// Whether a call before this one has used it: then it may have gone stale.
    private(set) var isReused = false
    /// When it became idle.
    private(set) var idleSince = Instant(nanoseconds: 0)

    private let loop: Loop
    private var socket: Socket?
    private var reading: Watch?
    private var writing: Watch?

    /// Begins to connect.
    init(
        on loop: Loop, to address: SocketAddress, _ security: (context: TLSContext, host: String)?,
        for firstUser: any ConnectionUser
    ) throws(SocketError) {
        self.loop = loop
        unsafe user = firstUser
        var made = try Socket(for: address)
        made.sendWithoutDelay()
        let descriptor = made.descriptor
        let result = unsafe address.withSystemAddress { unsafe connect(descriptor, $0, $1) }
        if result != 0, errno != EINPROGRESS {
            throw .failed(operation: "connect to", address: address.description, errno: errno)
        }
        if let security {
            made.tls = security.context.connect(descriptor, to: security.host)
            // Never in plain text where TLS was asked for.
            guard made.tls != nil else {
                throw .insecure(security.host, reason: "OpenSSL cannot begin a connection")
            }
        }
        socket = consume made
        // Level-triggered, although an edge would spare the kernel a look at the socket: a reset
        // that comes together with bytes is an edge like any other, and would be missed behind them.
        //
        // Unowned without a check, for the hot path: the watch is stopped when the connection
        // closes, and a connection that goes has closed; so it is there whenever the watch calls.
        reading = Watch(on: loop, descriptor, for: .read) { [unowned(unsafe) self] _ in
            unsafe user.connectionReadable(self)
        }
    }

    deinit { close() }

    /// Hands the connection to another user, who from now on holds it.
    func handOver(to user: any ConnectionUser) { unsafe self.user = user }

    /// Sends as much as goes. `more` says that the next bytes follow at once.
    func send(_ bytes: UnsafeRawBufferPointer, more: Bool) -> Socket.Transfer {
        unsafe socket?.send(bytes, more: more) ?? .ended
    }

    /// Reads into the loop's scratch buffer.
    @inline(__always)
    func receive() -> Socket.Transfer {
        unsafe socket?.receive(into: loop.scratch) ?? .ended
    }

    /// What TLS found wrong; `nil` if nothing, or without TLS.
    var securityProblem: String? { socket?.tls?.problem }

    /// Whether bytes wait of which no event will tell.
    var hasPending: Bool { socket?.tls?.hasPending ?? false }

    /// The error of an attempt to connect; 0 if there is none.
    func pendingError() -> Int32 { socket?.pendingError() ?? ENOTCONN }

    func watchWriting(_ isWanted: Bool) {
        guard isWanted else {
            writing?.stop()
            return
        }
        // Made when it is first needed, which on this machine it hardly ever is.
        if writing == nil, let descriptor = socket?.descriptor {
            writing = Watch(on: loop, descriptor, for: .write) { [unowned self] _ in
                unsafe user.connectionWritable(self)
            }
        }
        writing?.start()
    }

    func watchReading(_ isWanted: Bool) {
        if isWanted { reading?.start() } else { reading?.stop() }
    }

    /// The call is over and another may follow.
    func becomeIdle(now: Instant) {
        isReused = true
        idleSince = now
    }

    /// Closes the socket now. A watch may be in its own callback: watches stop now and go later.
    func close() {
        guard let reading else { return }
        reading.stop()
        writing?.stop()
        loop.afterThisTurn { [writing] in _ = (reading, writing) }
        self.reading = nil
        writing = nil
        socket = nil
    }
}
