// A connection that was upgraded: messages instead of requests (RFC 6455).

internal import EventLoop
public import Framing

/// What whoever answers messages wants to hear. All calls come on the loop's thread, and may come
/// in the middle of a call to the WebSocket.
public protocol WebSocketHandler: AnyObject {
    /// A whole text message has come. Its bytes count towards `bodies` until `release`.
    func received(_ text: [UInt8])
    /// The connection is over, or about to be: nobody waits for anything any more.
    func clientLeft()
    /// The client has taken nothing for `clientStall`; its connection was dropped.
    func clientStalled()
    /// The client is slower than what is written: stop producing.
    func clientBlocked()
    /// The client has caught up.
    func clientDrained()
    /// The system took bytes that had waited.
    func outputMoved()
}

/// One WebSocket. The gate reads for it and writes for it, with the same bounds and deadlines as for
/// any answer: the upgraded request is one whose answer does not end.
///
/// Pings are answered here, and here a connection is closed that breaks a rule, or on which nothing
/// is heard for `idle` while nothing runs: a client is asked once by a ping whether it is there.
public final class WebSocket {
    /// Hears of messages; held until the connection is over.
    public var handler: (any WebSocketHandler)?
    /// Whether the client is slower than what is written.
    public private(set) var isBlocked = false

    // The connection holds this, so there is a cycle until one of them is over.
    private var connection: ClientConnection?
    private let server: HTTPServer
    private var parser: WebSocketParser
    /// What of the server's `bodyBytes` is held for this connection.
    private var heldBytes = 0
    /// Requests that have begun and not ended.
    public private(set) var requests = 0
    /// All bytes ever handed to the connection.
    private var written = 0

    /// Set while a close is under way, so that what it ends does not begin another.
    private var isClosing = false
    /// Set when reading has stopped for want of room for answers.
    var waitsForRoom = false

    private var timer: Timer?
    /// When something came from the client last.
    private var heard: Instant
    /// Since when nothing came and nothing ran, and whether the client has been asked since.
    private var quiet: Instant
    private var hasAsked = false
    /// When the message that is not complete began to come.
    private var messageBegan: Instant?

    init(_ connection: ClientConnection) {
        self.connection = connection
        server = connection.server
        parser = WebSocketParser(messageLimit: server.options.limits.body)
        heard = server.loop.now
        quiet = heard
        timer = Timer(on: server.loop) { [unowned self] in lookAtClocks() }
        armTimer()
    }

    /// Whether messages still come and go.
    public var isOpen: Bool { connection != nil }

    /// Bytes that the client has not taken yet.
    public var unsentBytes: Int { connection?.unsentBytes ?? 0 }

    /// How many of all bytes ever written the system has taken.
    public var sentBytes: Int { written - unsentBytes }

    // MARK: - Writing

    /// Sends frames. Says how many bytes have been written so far, these included; once `sentBytes`
    /// is as high, the system has them.
    @discardableResult
    public func write(_ frames: [UInt8]) -> Int {
        written += frames.count
        let mark = written
        unsafe frames.withUnsafeBytes { unsafe connection?.write($0) }
        return mark
    }

    /// Asks whether the client is there, which also keeps whatever is between from giving up.
    public func ping() {
        var frame: [UInt8] = []
        WebSocketFrames.appendPing(to: &frame)
        write(frame)
    }

    /// Closes: what runs is stopped, what was written arrives.
    public func close(_ code: WebSocketCloseCode, _ reason: String) {
        close(code.rawValue, reason)
    }

    private func close(_ code: UInt16?, _ reason: String) {
        guard isOpen, !isClosing else { return }
        isClosing = true
        handler?.clientLeft()
        var frame: [UInt8] = []
        WebSocketFrames.appendClose(code, reason, to: &frame)
        write(frame)
        connection?.closeWebSocket()
    }

    /// Whoever drains: closed now, or when the last request has ended.
    func closeIfIdle() {
        if requests == 0 { close(.goingAway, "Sluice is shutting down.") }
    }

    // MARK: - Requests

    /// Whether there is room for one more request.
    public var mayBeginRequest: Bool {
        requests == 0 || server.isRoomForConnection
    }

    /// Counts a request that has begun.
    public func requestBegan() {
        if requests > 0 { server.messages += 1 }
        requests += 1
    }

    /// Counts a request that has ended.
    public func requestEnded() {
        guard isOpen else { return }
        requests -= 1
        if requests > 0 { server.messages -= 1 }
        if server.isDraining { closeIfIdle() }
    }

    /// A message of `count` bytes is held no longer.
    public func release(_ count: Int) {
        guard isOpen else { return }
        hold(-count)
    }

    private func hold(_ count: Int) {
        heldBytes += count
        server.bodyBytes += count
    }

    /// The connection is gone, or only waits for the client to close.
    func connectionDropped() {
        guard isOpen else { return }
        hold(-heldBytes)
        server.messages -= max(0, requests - 1)
        requests = 0
        connection = nil
        timer?.cancel()
        // It may be told why yet, and this may be one of its calls. Whoever it still holds at the
        // end of the turn goes now.
        server.loop.afterThisTurn { [self] in
            handler?.clientLeft()
            handler = nil
        }
    }

    // MARK: - Reading

    /// Whether more is to be read. What waits for a client that reads slowly may be four times what
    /// blocks its answers: it can still cancel them.
    var wantsBytes: Bool { isOpen && unsentBytes <= server.options.blockedAbove * 4 }

    /// Takes what was read.
    func take(_ bytes: Span<UInt8>) {
        heard = server.loop.now
        quiet = heard
        hasAsked = false
        var i = 0
        while wantsBytes {
            let held = parser.heldBytes
            let step = parser.next(bytes, &i)
            hold(parser.heldBytes - held)
            switch step {
            case .needMore:
                checkHeldBytes()
                return noteMessageInAssembly()
            case .text(let text):
                hold(text.count)
                checkHeldBytes()
                messageBegan = nil
                if isOpen { handler?.received(text) }
            case .ping(let data):
                var frame: [UInt8] = []
                WebSocketFrames.appendPong(data, to: &frame)
                write(frame)
            case .pong: break
            case .close(let code): return close(code, "")
            case .failed(let failure): return close(failure.closeCode, failure.reason)
            }
        }
        guard isOpen else { return }
        waitsForRoom = true
        connection?.unread.append(bytes: bytes.extracting(i...))
    }

    private func checkHeldBytes() {
        if server.bodyBytes > server.options.bodies {
            close(.tryAgainLater, "Sluice holds as many bytes of requests as it is allowed.")
        }
    }

    // MARK: - Clocks

    private func noteMessageInAssembly() {
        guard parser.heldBytes > 0 else {
            messageBegan = nil
            return
        }
        guard messageBegan == nil else { return }
        messageBegan = heard
        armTimer()
    }

    /// When a message in assembly is late: as a request's body would be.
    private var messageDeadline: Instant? {
        guard let messageBegan else { return nil }
        let deadlines = server.options.deadlines
        return earlier(
            deadlines.requestBody.map { heard + $0 },
            deadlines.requestTotal.map { messageBegan + $0 })
    }

    /// When the client is asked whether it is there, or given up.
    private var idleDeadline: Instant? {
        server.options.deadlines.idle.map { quiet + (hasAsked ? $0 * 2 : $0) }
    }

    private func earlier(_ one: Instant?, _ other: Instant?) -> Instant? {
        guard let one, let other else { return one ?? other }
        return min(one, other)
    }

    /// Each read moves a deadline back; the timer is not moved for that, it fires early and sleeps
    /// on.
    private func armTimer() {
        guard let next = earlier(messageDeadline, idleDeadline) else { return }
        timer?.arm(noLaterThan: next)
    }

    private func lookAtClocks() {
        guard isOpen else { return }
        let now = server.loop.now
        if let messageDeadline, messageDeadline <= now {
            return close(.policyViolation, "The message did not arrive in time.")
        }
        // While something runs or waits to be taken, other deadlines hold.
        if requests > 0 || unsentBytes > 0 {
            quiet = now
            hasAsked = false
        } else if let idleDeadline, idleDeadline <= now {
            if hasAsked { return close(.goingAway, "Nothing was heard of the client.") }
            hasAsked = true
            ping()
        }
        armTimer()
    }
}

/// What the gate tells of the client. Public only because the protocol is.
extension WebSocket: ExchangeObserver {
    /// Told by the gate.
    public func clientLeft() { handler?.clientLeft() }
    /// Told by the gate.
    public func clientStalled() { handler?.clientStalled() }

    /// Told by the gate.
    public func clientBlocked() {
        isBlocked = true
        handler?.clientBlocked()
    }

    /// Told by the gate.
    public func clientDrained() {
        isBlocked = false
        handler?.clientDrained()
    }

    /// Never told: a WebSocket's answer has no end.
    public func replyDelivered() {}

    /// The system took bytes that had waited; the gate goes on reading if it had stopped for them.
    func outputMoved() {
        handler?.outputMoved()
        guard waitsForRoom, wantsBytes else { return }
        waitsForRoom = false
        connection?.watch?.callAgain(.read)
    }
}
