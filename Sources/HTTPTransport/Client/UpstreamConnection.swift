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
    // What a token touches stands first, so that it lies together in memory.
    //
    // Unsafe, because this is the hot path: a weak reference is an atomic operation for each chunk.
    // Whoever sets it holds the only reference to the connection, and so outlives it.
    private unowned(unsafe) var user: any ConnectionUser
    private let loop: Loop
    private var socket: Socket?
    /// Edges spare the kernel a second look at the socket for each token. TLS would have to be
    /// called until it wants more, whatever it has to say.
    private var isEdgeTriggered = false
    /// Whether the other side has closed or reset the connection: then it is to be read to its end,
    /// of which no further edge tells.
    private(set) var isEnding = false

    /// Whether a call before this one has used it: then it may have gone stale.
    private(set) var isReused = false
    /// When it became idle.
    private(set) var idleSince = Instant(nanoseconds: 0)
    private let failures: FailureWatch
    private var reading: Watch?
    private var writing: Watch?

    /// Begins to connect.
    init(
        through pool: ConnectionPool, to address: SocketAddress,
        _ security: (context: TLSContext, host: String)?, for firstUser: any ConnectionUser
    ) throws(SocketError) {
        loop = pool.loop
        failures = pool.failures
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
        isEdgeTriggered = security == nil && failures.add(descriptor, self)
        // Unowned without a check, for the hot path: the watch is stopped when the connection
        // closes, and a connection that goes has closed; so it is there whenever the watch calls.
        reading = Watch(
            on: loop, descriptor, for: [.read, .closed], edgeTriggered: isEdgeTriggered
        ) { [unowned(unsafe) self] seen in
            if seen.contains(.closed) { unsafe isEnding = true }
            unsafe user.connectionReadable(self)
        }
    }

    deinit { close() }

    /// Hands the connection to another user, who from now on holds it.
    func handOver(to user: any ConnectionUser) { unsafe self.user = user }

    /// Says what is touched with each read besides the connection itself.
    func willTouch(_ footprint: Footprint) {
        var footprint = footprint
        footprint.add(self, 0..<64)
        reading?.footprint = footprint
    }

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

    /// Whether bytes wait of which no event will tell: what TLS has decrypted already, or what an
    /// edge has told of. `count` is how many were read last: fewer than there was room for means
    /// that no more were there.
    @inline(__always)
    func hasMore(after count: Int) -> Bool {
        isEdgeTriggered
            ? count == Loop.scratchBytes || isEnding
            : hasPending
    }

    /// Whether TLS has decrypted bytes that were not read.
    var hasPending: Bool { socket?.tls?.hasPending ?? false }

    /// Tells the user in the next turn that there are bytes to read.
    func readAgain() { reading?.callAgain(.read) }

    /// The error of an attempt to connect; 0 if there is none.
    func pendingError() -> Int32 { socket?.pendingError() ?? ENOTCONN }

    func watchWriting(_ isWanted: Bool) {
        guard isWanted else {
            writing?.stop()
            return
        }
        // Made when it is first needed, which on this machine it hardly ever is.
        if writing == nil, let descriptor = socket?.descriptor {
            writing = Watch(
                on: loop, descriptor, for: .write, edgeTriggered: isEdgeTriggered
            ) { [unowned self] _ in
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
        // Else it would be taken for news of a connection that has none to tell.
        reading?.forgetAgain()
    }

    /// Closes the socket now. A watch may be in its own callback: watches stop now and go later.
    func close() {
        guard let reading else { return }
        reading.stop()
        writing?.stop()
        if let descriptor = socket?.descriptor { failures.forget(descriptor) }
        loop.afterThisTurn { [writing] in _ = (reading, writing) }
        self.reading = nil
        writing = nil
        socket = nil
    }
}

extension UpstreamConnection: FailureObserver {
    func descriptorFailed() {
        isEnding = true
        // While reading is paused, the failure waits behind what is still to be read.
        if reading?.isActive == true { unsafe user.connectionReadable(self) }
    }
}
