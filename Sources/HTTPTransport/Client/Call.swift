// One request to an upstream and its answer, on a connection of its own.

public import EventLoop
public import Framing
internal import Glibc

/// Why a call failed. In every case the connection is closed already.
public enum CallFailure: Error, Equatable, Sendable {
    /// No connection could be made: refused, no route, no such socket.
    case unreachable(SocketError)
    /// The upstream closed or reset before the first byte of an answer.
    case closedBeforeAnswer
    /// The upstream closed or reset in the middle of the answer.
    case closedEarly
    /// The answer breaks a rule of HTTP.
    case malformed(ResponseRefusal)
}

/// Hears of a call. All calls come on the loop's thread; each may cancel the call.
public protocol CallObserver: AnyObject {
    /// The connection stands, and the request is on its way.
    func callConnected(_ call: Call)
    /// The connection had been idle and had gone stale. Another one is being made, of which
    /// `callConnected` tells anew.
    func callConnectsAgain(_ call: Call)
    /// The head of the answer has come.
    func call(_ call: Call, received head: ResponseHead)
    /// A part of the body has come. The bytes are valid during this call only.
    func call(_ call: Call, received body: Span<UInt8>)
    /// All parts of the body that came with one read have been told: what was made of them can be
    /// passed on.
    func callReadEnded(_ call: Call)
    /// The answer is whole. The last call of this call.
    func callEnded(_ call: Call)
    /// The call has failed. The last call of this call.
    func call(_ call: Call, failed failure: CallFailure)
}

extension CallObserver {
    /// Nothing: for those who do not pass on what comes.
    public func callReadEnded(_ call: Call) {}
}

/// A request as it is sent: pieces, so that a large body needs no copy.
public struct CallRequest: Sendable {
    /// A piece of the request.
    public enum Piece: Sendable {
        /// All of these bytes.
        case bytes([UInt8])
        /// A part of these bytes: a slice would copy when it is not the only one to hold them.
        case part([UInt8], Range<Int>)

        var count: Int {
            switch self {
            case .bytes(let bytes): bytes.count
            case .part(_, let range): range.count
            }
        }
    }

    /// Head and body, in order.
    public var pieces: [Piece]
    /// Whether the method is HEAD, whose answer has no body.
    public var isHEAD: Bool

    /// Makes a request of a whole head, blank line included, and a body.
    public init(head: consuming [UInt8], body: [Piece] = [], isHEAD: Bool = false) {
        self.isHEAD = isHEAD
        // The beginning grows in place, if the caller has left room for it.
        var first = head
        var joined = 0
        while joined < body.count, first.count + body[joined].count < Self.joinLimit {
            Self.join(body[joined], to: &first)
            joined += 1
        }
        pieces = [.bytes(first)]
        for piece in body[joined...] { append(piece) }
    }

    /// Below this many bytes, pieces are joined: a system call costs more than the copy.
    private static let joinLimit = 16 * 1024

    private mutating func append(_ piece: Piece) {
        guard case .bytes(var joined)? = pieces.last, joined.count + piece.count < Self.joinLimit
        else { return pieces.append(piece) }
        // Taken out first, so that the bytes grow in place.
        pieces.removeLast()
        Self.join(piece, to: &joined)
        pieces.append(.bytes(joined))
    }

    private static func join(_ piece: Piece, to bytes: inout [UInt8]) {
        switch piece {
        case .bytes(let more): bytes += more
        case .part(let source, let range): bytes += source[range]
        }
    }
}

/// Where a call goes.
public struct CallTarget: Sendable {
    /// Addresses, tried in their order until one accepts.
    public var addresses: [SocketAddress]
    /// Calls with the same key share connections; `nil`: a connection of its own.
    public var poolKey: String?

    /// How the connection is secured; `nil` for plain text.
    public var security: Security?

    /// Whose certificate is expected, and which are accepted.
    public struct Security: Sendable {
        /// The name or address the certificate must be for.
        public var host: String
        /// Which certificates are accepted.
        public var trust: TLSContext.Trust

        /// Names both.
        public init(host: String, _ trust: TLSContext.Trust) {
            self.host = host
            self.trust = trust
        }
    }

    /// Names the target.
    public init(_ addresses: [SocketAddress], poolKey: String? = nil, security: Security? = nil) {
        self.addresses = addresses
        self.poolKey = poolKey
        self.security = security
    }
}

/// One request to an upstream and its answer.
///
/// Cancelling, or releasing the call, closes the socket whole: an upstream that sees half a close
/// may go on generating. Pausing leaves the rest of the answer in the kernel, so that TCP slows the
/// upstream down. A connection that was idle may have gone stale: if it ends before the first byte
/// of the answer, the request is sent again on a fresh one.
@safe public final class Call {
    private enum State {
        /// A fresh connection is being made.
        case connecting
        case exchanging
        case over
    }

    // What a token touches stands first, so that it lies together in memory.
    private let loop: Loop
    private var state = State.exchanging
    private var isPaused = false
    /// Whether the last read left something behind, of which no event will tell.
    private var hasMore = false
    private var hasAnswer = false
    private var connection: UpstreamConnection?
    /// Held while the call goes on, and let go with its end: a weak reference costs an atomic
    /// operation for each chunk.
    private var observer: (any CallObserver)?
    private var parser: HTTPResponseParser

    private let pool: ConnectionPool
    private let target: CallTarget
    private let connectLimit: Duration
    /// How many addresses were tried.
    private var triedAddresses = 0
    /// Goes on to the next address when one has had its share of time; made where there are several
    /// and the first does not answer at once.
    private var patience: Timer?
    private var connectingSince = Instant(nanoseconds: 0)
    /// What to send again if the connection proves stale; gone with the first byte of the answer.
    private var request: CallRequest?
    private var pieces: ArraySlice<CallRequest.Piece>
    /// How many bytes of the first piece are sent.
    private var sentBytes = 0
    private let headLimit: Int
    /// Bytes of the body read after `release`.
    private var leftoverBytes = 0

    /// Makes a call that has not begun. `connectLimit` is how long all addresses together may take to
    /// accept: when it has passed the caller gives up; until then it is shared out among them, so
    /// that one that does not answer leaves time for the next.
    public init(
        _ request: CallRequest, to target: CallTarget, connectLimit: Duration,
        through pool: ConnectionPool, headLimit: Int
    ) {
        loop = pool.loop
        self.pool = pool
        self.target = target
        self.connectLimit = connectLimit
        self.request = request
        self.headLimit = headLimit
        pieces = request.pieces[...]
        parser = HTTPResponseParser(headLimit: headLimit, isHEAD: request.isHEAD)
    }

    /// Begins. The observer may hear of the connection, or of its failure, before this returns.
    public func start(_ observer: any CallObserver) {
        self.observer = observer
        if let key = target.poolKey, let idle = pool.take(for: key) {
            idle.handOver(to: self)
            connection = idle
            return exchange()
        }
        connect()
    }

    /// Closes the connection. The observer hears nothing more.
    public func cancel() { close() }

    /// Says that the observer has all it wants; it hears nothing more. What is left of the answer
    /// is read over, within bounds, so that the connection can serve another call.
    public func release() {
        guard case .exchanging = state, pieces.isEmpty, target.poolKey != nil else {
            return cancel()
        }
        observer = nil
        pool.keepUntilEnd(self)
        resume()
    }

    /// Stops reading the answer, until `resume`.
    public func pause() {
        isPaused = true
        connection?.watchReading(false)
    }

    /// Goes on reading.
    public func resume() {
        isPaused = false
        guard case .exchanging = state, let connection else { return }
        connection.watchReading(true)
        guard connection.hasPending else { return }
        loop.afterThisTurn { [weak self] in
            guard let self, let connection = self.connection, !isPaused else { return }
            connectionReadable(connection)
        }
    }

    /// Says what the observer touches with each part of the body.
    public func willTouch(_ footprint: Footprint) {
        var footprint = footprint
        footprint.add(self, 0..<160)
        connection?.willTouch(footprint)
    }

    // MARK: - Connecting

    private func connect() {
        triedAddresses = 0
        if target.addresses.count > 1 { connectingSince = loop.now }
        connectToNext(after: nil)
    }

    private func connectToNext(after failure: SocketError?) {
        patience?.cancel()
        connection?.close()
        connection = nil
        guard triedAddresses < target.addresses.count else {
            return fail(.unreachable(failure ?? .unknownHost("", reason: "it has no address")))
        }
        triedAddresses += 1
        do throws(SocketError) {
            let address = target.addresses[triedAddresses - 1]
            let made = try UpstreamConnection(
                through: pool, to: address, secured(), for: self)
            connection = made
            state = .connecting
            // On this machine the handshake is done by now, and the first send goes through: that
            // saves a turn of the loop. Elsewhere it would block, and the loop tells.
            send()
        } catch {
            return connectToNext(after: error)
        }
        limitAddress()
    }

    /// Gives an address that did not accept at once an even share of the time that is left. The
    /// last has all of it: then it is the caller who gives up.
    private func limitAddress() {
        let others = target.addresses.count - triedAddresses
        guard case .connecting = state, others > 0 else { return }
        let left = connectLimit - (loop.now - connectingSince)
        if patience == nil {
            patience = Timer(on: loop) { [unowned self] in
                if case .connecting = state { connectionFailed(ETIMEDOUT) }
            }
        }
        patience?.arm(after: left / (others + 1))
    }

    private func secured() throws(SocketError) -> (context: TLSContext, host: String)? {
        guard let security = target.security else { return nil }
        do throws(TLSError) {
            return (try pool.context(security.trust), security.host)
        } catch {
            throw .insecure(security.host, reason: error.message)
        }
    }

    private func connectionFailed(_ number: Int32) {
        let address = target.addresses[triedAddresses - 1].description
        connectToNext(after: .failed(operation: "connect to", address: address, errno: number))
    }

    /// The connection stands.
    private func exchange() {
        patience?.cancel()
        state = .exchanging
        if !isPaused { connection?.watchReading(true) }
        observer?.callConnected(self)
        send()
    }

    // MARK: - The request

    private func send() {
        while let piece = pieces.first {
            guard sentBytes < piece.count else {
                pieces.removeFirst()
                sentBytes = 0
                continue
            }
            switch sendRest(of: piece) {
            case .bytes(let count):
                sentBytes += count
                if case .connecting = state { return exchange() }
            case .wouldBlock:
                connection?.watchWriting(true)
                return
            case .wantsRead:
                // TLS shakes hands; `connectionReadable` goes on with the request. Until that is
                // done the connection does not stand, and `connect` holds for it.
                connection?.watchWriting(false)
                connection?.watchReading(true)
                return
            case .ended: return sendingFailed(EPIPE)
            case .failed(let number): return sendingFailed(number)
            }
            if case .over = state { return }
        }
        pieces = []  // an empty slice would still hold all of them
        connection?.watchWriting(false)
    }

    /// An upstream may answer and close without reading all of the request: then the answer tells,
    /// so reading goes on.
    private func sendingFailed(_ number: Int32) {
        if let problem = securityProblem { return insecure(problem) }
        if case .connecting = state { return connectionFailed(number) }
        pieces = []
        connection?.watchWriting(false)
    }

    /// What TLS found wrong. A connection that was idle may just have been closed without a word,
    /// which is no fault of TLS: the request is sent again.
    private var securityProblem: String? {
        guard let connection, hasAnswer || !connection.isReused else { return nil }
        return connection.securityProblem
    }

    private func insecure(_ problem: String) {
        fail(
            hasAnswer
                ? .closedEarly
                : .unreachable(.insecure(target.security?.host ?? "the upstream", reason: problem)))
    }

    private func sendRest(of piece: CallRequest.Piece) -> Socket.Transfer {
        switch piece {
        case .bytes(let bytes): send(bytes, sentBytes..<bytes.count)
        case .part(let bytes, let range):
            send(bytes, (range.lowerBound + sentBytes)..<range.upperBound)
        }
    }

    private func send(_ bytes: [UInt8], _ range: Range<Int>) -> Socket.Transfer {
        // A small piece leaves together with the one after it.
        let more = pieces.count > 1
        return unsafe bytes.withUnsafeBytes { all in
            unsafe connection?.send(UnsafeRawBufferPointer(rebasing: all[range]), more: more)
                ?? .ended
        }
    }

    // MARK: - The answer

    private func parse(_ bytes: Span<UInt8>) {
        var i = 0
        // The observer may cancel at every step.
        while case .exchanging = state {
            switch parser.next(bytes, &i) {
            case .needMore:
                observer?.callReadEnded(self)
                return
            case .head(let head):
                hasAnswer = true
                request = nil
                observer?.call(self, received: head)
            case .body(let range): take(bytes.extracting(range))
            case .end:
                observer?.callReadEnded(self)
                // Bytes that nobody asked for: this connection is out of step.
                if case .exchanging = state { keepConnection(unless: i < bytes.count) }
                close()?.callEnded(self)
            case .refused(let refusal):
                observer?.callReadEnded(self)
                fail(.malformed(refusal))
            }
        }
    }

    /// A proper end is a few bytes; an upstream that goes on and on is not worth listening to.
    private static let leftoverLimit = 64 * 1024

    private func take(_ body: Span<UInt8>) {
        if let observer { return observer.call(self, received: body) }
        leftoverBytes += body.count
        if leftoverBytes > Self.leftoverLimit { close() }
    }

    private func keepConnection(unless isOutOfStep: Bool) {
        guard let connection, let key = target.poolKey, pieces.isEmpty, !isOutOfStep,
            parser.mayReuseConnection, !hasMore
        else { return }
        self.connection = nil
        pool.put(connection, for: key)
    }

    private func upstreamClosed() {
        switch parser.connectionClosed() {
        case .complete: close()?.callEnded(self)
        case .nothingReceived where connection?.isReused == true: sendAgain()
        case .nothingReceived: fail(.closedBeforeAnswer)
        case .cutInHead, .cutInBody: fail(hasAnswer ? .closedEarly : .closedBeforeAnswer)
        }
    }

    /// The connection had gone stale: the upstream has not seen the request, or not taken it up.
    private func sendAgain() {
        guard let request else { return fail(.closedBeforeAnswer) }
        pieces = request.pieces[...]
        sentBytes = 0
        parser = HTTPResponseParser(headLimit: headLimit, isHEAD: request.isHEAD)
        observer?.callConnectsAgain(self)
        // The observer may have cancelled.
        if case .exchanging = state { connect() }
    }

    // MARK: - The end

    private func fail(_ failure: CallFailure) {
        close()?.call(self, failed: failure)
    }

    /// The one end. Returns who is to hear of it, if anybody still is.
    @discardableResult
    private func close() -> (any CallObserver)? {
        if case .over = state { return nil }
        state = .over
        patience?.cancel()
        connection?.close()
        connection = nil
        pool.forget(self)
        defer { observer = nil }
        return observer
    }
}

extension Call: ConnectionUser {
    func connectionReadable(_ connection: UpstreamConnection) {
        if case .connecting = state { return send() }
        if target.security != nil, !pieces.isEmpty { send() }
        for _ in 0..<Self.readsPerTurn {
            switch connection.receive() {
            case .bytes(let count):
                hasMore = connection.hasMore(after: count)
                loop.withScratch(count) { parse($0) }
            case .wouldBlock, .wantsRead: return
            case .ended: return upstreamClosed()
            case .failed:
                if let problem = securityProblem { return insecure(problem) }
                return upstreamClosed()
            }
            guard hasMore, connection === self.connection, !isPaused else { return }
        }
        connection.readAgain()
    }

    /// So many reads a turn, then the others have theirs.
    private static let readsPerTurn = 16

    func connectionWritable(_ connection: UpstreamConnection) {
        if case .connecting = state {
            let number = connection.pendingError()
            guard number == 0 else { return connectionFailed(number) }
            if target.security == nil { return exchange() }
        }
        send()
    }
}
