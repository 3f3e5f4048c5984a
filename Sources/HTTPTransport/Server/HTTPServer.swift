// The HTTP server: evhttp, wrapped from accept on.

internal import CLibevent
public import EventLoop
public import Framing
internal import Glibc

/// Accepts connections and hands every valid request to a handler as an `Exchange`.
///
/// evhttp accepts and parses the line of each checked request, one at a time. It never touches a
/// socket: each connection belongs to a `ClientConnection`, which reads strictly and writes the
/// answers.
@safe public final class HTTPServer {
    /// What the server is held to.
    public struct Options: Sendable {
        /// Bounds on a request.
        public var limits: RequestLimits
        /// How long a client may take.
        public var deadlines: ClientDeadlines
        /// Connections at a time; further ones get 503.
        public var connections: Int
        /// Bytes of request bodies held at a time, all connections together.
        public var bodies: Int
        /// Unsent bytes above which `clientBlocked` is told, and below which `clientDrained`.
        public var blockedAbove: Int
        /// See `blockedAbove`.
        public var drainedBelow: Int

        /// All of them, from the configuration.
        public init(
            limits: RequestLimits, deadlines: ClientDeadlines, connections: Int, bodies: Int,
            blockedAbove: Int, drainedBelow: Int
        ) {
            precondition(drainedBelow < blockedAbove)
            self.limits = limits
            self.deadlines = deadlines
            self.connections = connections
            self.bodies = bodies
            self.blockedAbove = blockedAbove
            self.drainedBelow = drainedBelow
        }
    }

    /// How long a client may take, by what it is doing; `nil` is for ever.
    public struct ClientDeadlines: Sendable {
        /// From the first byte of a head to its last.
        public var requestHead: Duration?
        /// Between two reads of a body.
        public var requestBody: Duration?
        /// From the first byte of a request to its last.
        public var requestTotal: Duration?
        /// Without a request.
        public var idle: Duration?
        /// With unsent output of which nothing can be sent.
        public var clientStall: Duration?

        /// All of them, from the configuration.
        public init(
            requestHead: Duration?, requestBody: Duration?, requestTotal: Duration?,
            idle: Duration?, clientStall: Duration?
        ) {
            self.requestHead = requestHead
            self.requestBody = requestBody
            self.requestTotal = requestTotal
            self.idle = idle
            self.clientStall = clientStall
        }
    }

    /// Why the server answers itself, before any exchange exists; and to whom.
    public struct Refusal: Sendable {
        /// What is wrong.
        public enum Cause: Sendable {
            /// The request breaks a rule of HTTP or a limit, or did not arrive in time.
            case request(RequestRefusal)
            /// Too many connections, or too many bytes of bodies.
            case overloaded
            /// The connection came while the server was draining.
            case shuttingDown
        }

        /// What is wrong.
        public var cause: Cause
        /// The `Origin` of the request, as far as it was read.
        public var origin: String?
        /// The client's address without its port.
        public var clientAddress: String
    }

    let loop: Loop
    /// May be changed at any time. A connection that is open keeps the limits of its requests;
    /// deadlines change with the next thing that it waits for.
    public var options: Options
    let handler: (Exchange) -> Void
    /// Makes the answer to a refusal, so that it has the same shape as every other error.
    let refusalReply: (Refusal) -> Reply
    /// What new connections are secured with; `nil` for plain text. Unix sockets never are.
    public var tls: TLSContext?
    /// How many bytes of request bodies are held now.
    public internal(set) var bodyBytes = 0

    var dateClock = DateClock()

    private let http: OpaquePointer
    private var listeners: [Listener] = []
    private var connections: [ObjectIdentifier: ClientConnection] = [:]
    private var newcomers: [ClientConnection] = []
    private var adoption: Timer?
    /// What evhttp has made of the head it was given last.
    private var parsedRequest: UnsafeMutablePointer<evhttp_request>?
    /// Set by `drain`: every answer closes its connection.
    private(set) var isDraining = false

    /// Makes a server that does not listen yet.
    public init(
        on loop: Loop, options: Options, refusalReply: @escaping (Refusal) -> Reply,
        handler: @escaping (Exchange) -> Void
    ) {
        self.loop = loop
        self.options = options
        self.handler = handler
        self.refusalReply = refusalReply
        guard let made = unsafe evhttp_new(loop.base) else { preconditionFailure("memory") }
        unsafe http = made
        // The server frees `http` in `deinit`, so evhttp cannot call back to a server that is gone.
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe evhttp_set_bevcb(http, Self.accepted, context)
        unsafe evhttp_set_gencb(http, Self.parsed, context)
        unsafe evhttp_set_default_content_type(http, nil)
        unsafe evhttp_set_allowed_methods(http, UInt16(truncatingIfNeeded: Self.allMethods))
        adoption = Timer(on: loop) { [unowned self] in adoptNewcomers() }
    }

    deinit {
        for connection in connections.values { connection.drop() }
        listeners = []
        unsafe evhttp_free(http)
    }

    /// The methods that the gate lets through; anything else it has refused before.
    private static let allMethods: UInt32 =
        EVHTTP_REQ_GET.rawValue | EVHTTP_REQ_POST.rawValue | EVHTTP_REQ_HEAD.rawValue
        | EVHTTP_REQ_PUT.rawValue | EVHTTP_REQ_DELETE.rawValue | EVHTTP_REQ_OPTIONS.rawValue
        | EVHTTP_REQ_PATCH.rawValue

    /// Begins to listen; returns the address with its port. `sharesPort` lets several workers
    /// listen on one port.
    @discardableResult
    public func listen(
        on address: SocketAddress, sharesPort: Bool = false
    ) throws(SocketError) -> SocketAddress {
        try add(Listener(on: loop, address: address, sharesPort: sharesPort))
    }

    /// Begins to listen on a socket that another process has made. Several workers may share one.
    public func listen(on socket: InheritedSocket) throws(SocketError) {
        try add(Listener(on: loop, socket: socket.descriptor, address: socket.address))
    }

    @discardableResult
    private func add(_ listener: Listener) throws(SocketError) -> SocketAddress {
        guard unsafe evhttp_bind_listener(http, listener.raw) != nil else {
            throw .failed(
                operation: "listen on", address: listener.address.description, errno: ENOMEM)
        }
        listeners.append(listener)
        return listener.address
    }

    /// How many connections are open.
    public var connectionCount: Int { connections.count }

    /// How many bytes wait in our memory for clients to take them.
    public var unsentBytes: Int { connections.values.reduce(0) { $0 + $1.unsentBytes } }

    /// Stops accepting, closes idle connections, and closes the others as their answers end.
    public func drain() {
        isDraining = true
        for listener in listeners { listener.pause() }
        for connection in connections.values { connection.closeIfIdle() }
    }

    /// Drops every connection at once.
    public func dropAll() {
        for connection in connections.values { connection.drop() }
    }

    /// Requests on WebSockets beside the first of each. They count towards `connections` like those
    /// that have one of their own.
    var messages = 0
    var isRoomForConnection: Bool {
        connections.count - lingering + messages < options.connections
    }

    // MARK: - Connections

    /// evhttp asks for a bufferevent inside accept; this is the first we hear of a connection. Its
    /// descriptor and its evhttp_connection come to be known only when accept has finished, so the
    /// rest is done right after it.
    private static let accepted:
        @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> OpaquePointer? = {
            base, context in
            guard let context = unsafe context else { return nil }
            let server = unsafe Unmanaged<HTTPServer>.fromOpaque(context).takeUnretainedValue()
            // With this flag evhttp leaves closing the descriptor to the bufferevent, which will
            // not have it.
            guard
                let stream = unsafe bufferevent_socket_new(
                    base, -1, Int32(BEV_OPT_CLOSE_ON_FREE.rawValue))
            else { return nil }
            // Else evhttp's accept registers the descriptor for writing and takes that back, which
            // is two more system calls for a descriptor it is about to lose.
            unsafe bufferevent_disable(stream, Int16(EV_WRITE))
            // The same for reading, which it enables itself: libevent holds that back while the
            // input is at its mark. `adopt` takes the byte away again, in the same turn. Should
            // evhttp look at its input before that, it finds a line without an end and waits.
            let input = unsafe bufferevent_get_input(stream)
            unsafe evbuffer_unfreeze(input, 0)
            unsafe evbuffer_add(input, "-", 1)
            unsafe bufferevent_setwatermark(stream, Int16(EV_READ), 0, 1)
            unsafe server.newcomers.append(ClientConnection(stream: stream, server: server))
            server.adoption?.fireThisTurn()
            return unsafe stream
        }

    private func adoptNewcomers() {
        let adopted = newcomers
        newcomers = []
        for connection in adopted {
            let isFull = !isRoomForConnection
            connections[ObjectIdentifier(connection)] = connection
            connection.adopt(butRefuse: isDraining ? .shuttingDown : isFull ? .overloaded : nil)
        }
    }

    /// Connections that have had their last answer and only have to read it. They do not count
    /// towards `connections`: a crowd that is refused must not keep the others out.
    var lingering = 0
    /// As many again may linger, within what descriptors there are; past that, a refused client may
    /// find its answer lost to a reset.
    var mayLinger: Bool { lingering < min(options.connections, Self.lingeringLimit) }
    private static let lingeringLimit = 256

    /// Forgets a connection that has closed. Accepting goes on if it had stopped for want of
    /// descriptors.
    func remove(_ connection: ClientConnection) {
        connections[ObjectIdentifier(connection)] = nil
        guard !isDraining else { return }
        for listener in listeners { listener.resume() }
    }

    /// Lets evhttp parse the head that `feed` gives to it; its request, or `nil` if evhttp refuses
    /// it, which only a bug can cause.
    func parse(_ feed: () -> Void) -> UnsafeMutablePointer<evhttp_request>? {
        unsafe parsedRequest = nil
        feed()
        return unsafe parsedRequest
    }

    private static let parsed:
        @convention(c) (UnsafeMutablePointer<evhttp_request>?, UnsafeMutableRawPointer?) -> Void = {
            request, context in
            guard let context = unsafe context else { return }
            unsafe Unmanaged<HTTPServer>.fromOpaque(context).takeUnretainedValue()
                .parsedRequest = request
        }
}

/// A whole answer: for `Exchange.respond` and for refusals.
public struct Reply: Sendable {
    /// The status code.
    public var status: Int
    /// Header fields beyond those of HTTP's framing.
    public var fields: [HeaderLine]
    /// The body.
    public var body: [UInt8]

    /// One header field.
    public struct HeaderLine: Sendable {
        /// The field's name.
        public var name: String
        /// The field's value.
        public var value: String

        /// Makes a field.
        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// Makes an answer.
    public init(status: Int, fields: [HeaderLine], body: [UInt8]) {
        self.status = status
        self.fields = fields
        self.body = body
    }
}
