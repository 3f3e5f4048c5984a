// The gate: one client's socket, read strictly, in front of evhttp.

internal import CLibevent
internal import EventLoop
internal import Framing
internal import Glibc

/// One connection from a client.
///
/// The socket is ours alone. evhttp has a bufferevent without a descriptor: we put one checked
/// request line at a time into its input, and take what is written out of its output. So nothing
/// that evhttp would misread ever reaches it, a client that leaves is seen at once, and a streamed
/// answer goes straight to the socket.
@safe final class ClientConnection {
    /// What the connection is doing.
    enum Phase {
        /// Waiting for a request, or in the middle of one.
        case reading
        /// A request is being answered. Bytes that arrive are kept for the next one, up to a bound.
        case replying(HTTPExchange)
        /// Everything is said; what the client still sends is thrown away until it has read our
        /// answer and closed. Closing at once would reset the connection and may take the answer
        /// with it.
        case lingering
        /// Gone. Late callbacks mean nothing.
        case closed
    }

    // What a token touches stands first, so that it lies together in memory.
    let server: HTTPServer
    var socket: Socket?
    /// Whether there may be bytes to send: a head, or something in the output. Asking the output
    /// itself costs more than a token has to give.
    var mayHaveOutput = false
    /// TLS may hold bytes of which no edge tells, and may want to be called for any edge.
    private(set) var isSecure = false
    /// evhttp's bufferevent; freed by evhttp with its connection.
    let stream: OpaquePointer
    private var connection: OpaquePointer?
    private(set) var watch: Watch?
    var deadlineTimer: Timer?

    private(set) var phase = Phase.reading
    var parser: HTTPRequestParser
    private var head: RequestHead?
    private var body: [UInt8] = []
    /// Bytes of following requests that came while one was being answered.
    var unread: [UInt8] = []
    /// How many such bytes are kept; the rest waits in the kernel.
    private static let unreadLimit = 16 * 1024
    /// Set while bytes are being parsed, so that an answer given at once does not start a second
    /// parse.
    private var isParsing = false
    var hasRequestBegun = false
    var deadline: Instant?
    var requestDeadline: Instant?
    var stallDeadline: Instant?
    /// Whether TLS has still to agree with the client.
    var isShakingHands = false
    var isBlocked = false
    /// The head of an answer, until the first bytes behind it leave.
    var waitingHead: [UInt8] = []
    /// What the kernel held for the client when it was looked at last.
    var heldAtStall = Int.max
    /// When the client took something last, as far as is known.
    var stallBegan = Instant(nanoseconds: 0)

    init(stream: OpaquePointer, server: HTTPServer) {
        unsafe self.stream = stream
        self.server = server
        parser = HTTPRequestParser(limits: server.options.limits)
    }

    /// Takes the socket away from evhttp. Called right after accept. With a cause, the client is
    /// told it at once and nothing else.
    func adopt(butRefuse cause: HTTPServer.Refusal.Cause?) {
        var context: UnsafeMutableRawPointer?
        unsafe bufferevent_getcb(stream, nil, nil, nil, &context)
        // evhttp passes its connection as the argument of the bufferevent's callbacks.
        guard let context = unsafe context else { return drop() }
        unsafe connection = OpaquePointer(context)
        let descriptor = unsafe bufferevent_getfd(stream)
        guard descriptor >= 0 else { return drop() }
        unsafe bufferevent_setfd(stream, -1)
        unsafe bufferevent_setwatermark(stream, Int16(EV_READ), 0, 0)
        let input = unsafe bufferevent_get_input(stream)
        unsafe evbuffer_drain(input, evbuffer_get_length(input))
        socket = Socket(owning: descriptor)
        if let tls = server.tls, socket?.localAddress().isUnix == false {
            guard let session = tls.accept(descriptor) else { return drop() }
            socket?.tls = session
            isSecure = true
        }
        deadlineTimer = Timer(on: server.loop) { [unowned self] in deadlinePassed() }
        // Edge-triggered, so that bytes we do not want to read yet cost no wake-ups, and a FIN or
        // RST behind them is still told. One registration serves the connection's whole life.
        watch = Watch(
            on: server.loop, descriptor, for: [.read, .write, .closed], edgeTriggered: true
        ) { [unowned self] seen in ready(seen) }
        guard watch?.start() == true else { return drop() }
        if let cause { return refuse(cause) }
        setFirstDeadline()
    }

    // MARK: - Reading

    private func ready(_ seen: Readiness) {
        if seen.contains(.write), mayHaveOutput { flush() }
        guard isSecure || seen.contains(.read) || seen.contains(.closed) else { return }
        switch phase {
        case .reading: readRequests(seen)
        case .replying(let exchange): readWhileReplying(exchange, seen)
        case .lingering: discard()
        case .closed: return
        }
        if isShakingHands { lookAtHandshake() }
    }

    /// So many reads a turn, then the others have theirs.
    static let readsPerTurn = 16

    private func readRequests(_ seen: Readiness) {
        if !unread.isEmpty {
            let bytes = unread
            unread = []
            parse(bytes.span)
        }
        for _ in 0..<Self.readsPerTurn {
            switch phase {
            case .reading: break
            // The client may have left right behind its request.
            case .replying(let exchange): return readWhileReplying(exchange, seen)
            case .lingering: return discard()
            case .closed: return
            }
            let wanted = bytesToReadInPlace
            switch wanted > 0 ? receiveBody(wanted) : unsafe receive(into: server.loop.scratch) {
            // Even a short read is not the last: an end of stream or a reset that was seen together
            // with these bytes is no edge of its own, and libevent tells a reset like any readable
            // and writable socket.
            case .bytes(let count):
                if wanted > 0 {
                    takeReadBody(count)
                } else {
                    server.loop.withScratch(count) { parse($0) }
                }
            case .wouldBlock, .wantsRead: return
            case .ended, .failed: return clientLeft()
            }
        }
        watch?.callAgain(seen)
    }

    func receive(into buffer: UnsafeMutableRawBufferPointer) -> Socket.Transfer {
        unsafe socket?.receive(into: buffer) ?? .ended
    }

    private func parse(_ bytes: Span<UInt8>) {
        isParsing = true
        defer { isParsing = false }
        var i = 0
        while case .reading = phase {
            switch parser.next(bytes, &i) {
            case .needMore: return setReadingDeadline()
            case .head(let head): take(head)
            case .body(let range): take(bytes.extracting(range))
            case .end: dispatch()
            case .refused(let refusal): refuse(.request(refusal))
            }
        }
        if i < bytes.count, case .replying = phase {
            unread.append(bytes: bytes.extracting(i..<bytes.count))
        }
    }

    private func take(_ head: RequestHead) {
        self.head = head
        if head.expectsContinue { writeNow("HTTP/1.1 100 Continue\r\n\r\n") }
    }

    private func take(_ part: Span<UInt8>) {
        guard server.bodyBytes + part.count <= server.options.bodies else {
            return refuse(.overloaded)
        }
        server.bodyBytes += part.count
        if body.isEmpty, case .length(let length) = head?.body {
            // Not all of a long one at once: a head is cheap to send, memory is not. Four megabytes
            // that are not written to are no memory yet.
            body.reserveCapacity(min(length, 4 << 20))
        }
        body.append(bytes: part)
    }

    // MARK: - Large bodies

    /// From how many missing bytes on a body is read to where it stays, without a copy.
    private static let readsInPlaceFrom = 32 * 1024

    /// How many bytes of a body the next read may put in place; 0 if it should go through the
    /// parser.
    private var bytesToReadInPlace: Int {
        let missing = parser.bodyBytesToCome
        guard missing >= Self.readsInPlaceFrom else { return 0 }
        // A body over its bounds is refused on the ordinary way.
        guard server.bodyBytes + missing <= server.options.bodies else { return 0 }
        let room = body.capacity - body.count
        return min(missing, max(room, Self.readsInPlaceFrom))
    }

    private func receiveBody(_ wanted: Int) -> Socket.Transfer {
        var result = Socket.Transfer.ended
        body.append(addingCapacity: wanted) { output in
            unsafe output.withUnsafeMutableBufferPointer { buffer, initializedCount in
                let rest = unsafe UnsafeMutableRawBufferPointer(buffer)[initializedCount...]
                unsafe result = receive(into: .init(rebasing: rest))
                // recv has written so many bytes from the start of the rest.
                if case .bytes(let count) = result { initializedCount += count }
            }
        }
        return result
    }

    private func takeReadBody(_ count: Int) {
        server.bodyBytes += count
        parser.skipBody(count)
        // The end of the body is the parser's to tell.
        parse(Span())
    }

    /// A whole request is there: evhttp parses its line, and the handler gets it.
    private func dispatch() {
        guard let head else { return drop() }
        self.head = nil
        let body = body
        self.body = []
        deadline = nil
        requestDeadline = nil
        hasRequestBegun = false
        let request = unsafe server.parse {
            unsafe head.text.withUnsafeBytes {
                _ = unsafe evbuffer_add(
                    bufferevent_get_input(stream), $0.baseAddress, head.lineBytes)
            }
            // With no descriptor behind it, nobody else tells evhttp that there is input.
            unsafe bufferevent_trigger(stream, Int16(EV_READ), 0)
        }
        guard let request = unsafe request else {
            // evhttp has answered by itself, which the gate's rules leave no reason for.
            return drop()
        }
        let exchange = unsafe HTTPExchange(
            connection: self, request: request, head: head, body: body)
        phase = .replying(exchange)
        server.handler(exchange)
    }

    private func readWhileReplying(_ exchange: HTTPExchange, _ seen: Readiness) {
        if let webSocket = exchange.webSocket { return readMessages(webSocket, seen) }
        while unread.count < Self.unreadLimit {
            switch unsafe receive(into: server.loop.scratch) {
            case .bytes(let count):
                server.loop.withScratch(count) { unread.append(bytes: $0) }
            case .wouldBlock, .wantsRead: return
            case .ended, .failed: return clientLeft()
            }
        }
        // No room to read on to the end of the stream, but the kernel has told of it, or knows of
        // an error.
        if seen.contains(.closed) || socket?.pendingError() != 0 { clientLeft() }
    }

    private func discard() {
        for _ in 0..<Self.readsPerTurn {
            switch unsafe receive(into: server.loop.scratch) {
            case .bytes: continue
            case .wouldBlock, .wantsRead: return
            case .ended, .failed: return drop()
            }
        }
        watch?.callAgain(.read)
    }

    // MARK: - Endings

    /// The last byte of the answer is in the kernel's hands.
    func finish(_ exchange: HTTPExchange) {
        server.bodyBytes -= exchange.bodyBytes
        let isLast = !exchange.keepsConnection || server.isDraining
        exchange.handBack(forNext: !isLast)
        phase = .reading
        exchange.observer?.replyDelivered()
        guard case .reading = phase else { return }
        guard !isLast, !server.isDraining else { return linger() }
        setDeadline(server.options.deadlines.idle)
        if !isParsing, mayHoldUnread { watch?.callAgain(.read) }
    }

    /// Whether bytes may wait of which no edge will tell: here, in TLS, or in the kernel, whose edge
    /// came when there was no room here. Otherwise whatever an edge told of was read to the end.
    private var mayHoldUnread: Bool { isSecure || !unread.isEmpty }

    func refuse(_ cause: HTTPServer.Refusal.Cause) {
        let reply = server.refusalReply(
            .init(cause: cause, origin: parser.origin, clientAddress: clientAddress))
        var head = ReplyHead(status: reply.status)
        for field in reply.fields { head.add(field.name, field.value) }
        head.add(contentLength: reply.body.count)
        head.add("Connection", "close")
        put(&head)
        unsafe reply.body.withUnsafeBytes { unsafe write($0) }
        if case .closed = phase { return }
        flush()
        if case .closed = phase { return }
        linger()
    }

    private var clientAddress: String {
        var address: UnsafeMutablePointer<CChar>?
        var port: UInt16 = 0
        if let connection = unsafe connection {
            unsafe evhttp_connection_get_peer(connection, &address, &port)
        }
        return unsafe address.map { unsafe String(cString: $0) } ?? "-"
    }

    /// How long a client may take to read a last answer, and how much it may go on sending.
    private static let lingeringTime = Duration.seconds(2)

    func linger() {
        releaseBody()
        guard server.mayLinger else { return drop() }
        server.lingering += 1
        phase = .lingering
        if unsentBytes == 0 { socket?.endSending() }
        setDeadline(Self.lingeringTime)
        if mayHoldUnread { watch?.callAgain(.read) }
    }

    /// The client has closed, half-closed or reset. In the middle of an answer that means: it does
    /// not want it.
    func clientLeft() {
        leave { $0.clientLeft() }
    }

    func leave(_ tell: (any ExchangeObserver) -> Void) {
        guard case .replying(let exchange) = phase else { return drop() }
        drop()
        if let observer = exchange.observer { tell(observer) }
    }

    /// Closes an idle connection; one with a request closes when it is answered.
    func closeIfIdle() {
        if case .reading = phase, parser.isIdle, unread.isEmpty { drop() }
        if case .replying(let exchange) = phase { exchange.webSocket?.closeIfIdle() }
    }

    /// Closes at once. The objects go at the end of the turn, since this may be one of their
    /// callbacks.
    func drop() {
        if case .closed = phase { return }
        if case .replying(let exchange) = phase {
            server.bodyBytes -= exchange.bodyBytes
            // evhttp's request goes with the connection, and whoever holds the exchange must know.
            exchange.connectionDropped()
        }
        if case .lingering = phase { server.lingering -= 1 }
        releaseBody()
        phase = .closed
        watch?.stop()
        deadlineTimer?.cancel()
        server.loop.afterThisTurn { [self] in
            // First evhttp, which shuts the descriptor's number down, then the descriptor.
            if let connection = unsafe connection { unsafe evhttp_connection_free(connection) }
            unsafe connection = nil
            watch = nil
            socket = nil
            server.remove(self)
        }
    }

    /// A body is held no longer, before its exchange is over.
    func bodyReleased(_ count: Int) {
        // Dropped, the connection has already said so.
        if case .replying = phase { server.bodyBytes -= count }
    }

    private func releaseBody() {
        server.bodyBytes -= body.count
        body = []
    }
}
