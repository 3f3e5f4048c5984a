// One HTTP request and its answer.

internal import CLibevent
internal import EventLoop
internal import Framing
internal import Glibc
internal import HTTPTypes

/// One HTTP request, which evhttp has parsed, and its answer.
@safe final class HTTPExchange: Exchange {
    private let connection: ClientConnection
    private var state = State.awaitingReply
    // Valid until `handBack`, or until the connection is dropped: evhttp frees it with the
    // connection. The state below says which.
    private let request: UnsafeMutablePointer<evhttp_request>
    private enum State {
        case awaitingReply
        case streaming
        /// The connection is a WebSocket. evhttp waits for an answer for as long as it lives.
        case upgraded
        /// All of the answer is in the output.
        case complete
        case over
    }
    /// Whether the client speaks HTTP/1.0, which knows no chunks.
    private let isHTTP10: Bool
    private let asksForWebSocket: Bool
    private(set) var keepsConnection: Bool
    /// The request's fields and the text they stand in. Gone once a stream begins: for the time of
    /// that, which may be long, they are only memory.
    private var fields: [RequestField]
    private var text: [UInt8]
    private(set) var bodyBytes: Int
    /// What the connection has become, if it was upgraded.
    private(set) var webSocket: WebSocket?

    init(
        connection: ClientConnection, request: UnsafeMutablePointer<evhttp_request>,
        head: RequestHead, body: [UInt8]
    ) {
        self.connection = connection
        unsafe self.request = request
        bodyBytes = body.count
        keepsConnection = head.keepsAlive
        isHTTP10 = head.isHTTP10
        asksForWebSocket = head.wantsUpgrade && head.method == .get
        fields = head.fields
        text = head.text
        super.init(method: head.method, target: head.target, body: body)
    }

    override func header(_ name: StaticString) -> String? {
        isOpen ? fields.value(of: name, in: text) : nil
    }

    override var clientAddress: String {
        guard isOpen, let host = unsafe request.pointee.remote_host else { return "-" }
        return unsafe String(cString: host)
    }

    override var isOpen: Bool {
        switch state {
        case .awaitingReply, .streaming, .upgraded: true
        case .complete, .over: false
        }
    }

    override var hasUnsentBytes: Bool { isOpen && connection.unsentBytes > 0 }

    var isComplete: Bool {
        if case .complete = state { true } else { false }
    }

    // MARK: - Answering

    override func respond(_ reply: Reply) {
        guard case .awaitingReply = state else { return }
        if connection.isDraining { keepsConnection = false }
        state = .complete
        var head = makeHead(reply.status, reply.fields)
        // RFC 9110, section 8.6: none with 204.
        if reply.status != 204 { head.add(contentLength: reply.body.count) }
        connection.put(&head)
        if method != .head {
            unsafe reply.body.withUnsafeBytes { unsafe connection.write($0) }
            // Writing may find that the client has left.
            guard isComplete else { return }
        }
        connection.flush()
    }

    override func startStream(_ fields: [Reply.HeaderLine]) {
        guard case .awaitingReply = state else { return }
        state = .streaming
        if isHTTP10 || connection.isDraining { keepsConnection = false }
        var head = makeHead(200, fields)
        if !isHTTP10 { head.addChunked() }
        connection.put(&head)
        self.fields = []
        text = []
    }

    /// The head of an answer but for what says how its body is framed. It is written past evhttp,
    /// which hears of the answer's end only.
    private func makeHead(_ status: Int, _ fields: [Reply.HeaderLine]) -> ReplyHead {
        var head = ReplyHead(status: status)
        for field in fields { head.add(field.name, field.value) }
        if !keepsConnection {
            head.add("Connection", "close")
        } else if isHTTP10 {
            head.add("Connection", "keep-alive")
        }
        return head
    }

    override func releaseBody() {
        guard isOpen else { return }
        connection.bodyReleased(bodyBytes)
        bodyBytes = 0
        super.releaseBody()
    }

    override func flush() { connection.flush() }

    override func write(_ buffer: inout [UInt8]) {
        guard case .streaming = state else { return }
        send(&buffer, last: false)
    }

    override func addFootprint(to footprint: inout Footprint) {
        footprint.add(self, 0..<96)
        footprint.add(connection, 16..<48)
    }

    override func finishStream(_ buffer: inout [UInt8]) {
        guard case .streaming = state else { return }
        send(&buffer, last: true)
        guard case .streaming = state else { return }
        state = .complete
        connection.flush()
    }

    private func send(_ buffer: inout [UInt8], last: Bool) {
        var start = ChunkFraming.headroom
        if !isHTTP10 {
            if buffer.count > start { start = ChunkFraming.frame(&buffer) }
            if last { buffer.append(contentsOf: ChunkFraming.lastChunk) }
        }
        unsafe buffer.withUnsafeBytes {
            unsafe connection.write(UnsafeRawBufferPointer(rebasing: $0[start...]))
        }
    }

    // MARK: - Becoming a WebSocket

    override var wantsWebSocket: Bool {
        if case .awaitingReply = state { asksForWebSocket } else { false }
    }

    override func openWebSocket(_ fields: [Reply.HeaderLine]) -> WebSocket? {
        guard wantsWebSocket, let key = header("sec-websocket-key"),
            let accept = WebSocketHandshake.accept(key: key)
        else { return nil }
        releaseBody()
        state = .upgraded
        let opened = WebSocket(connection)
        webSocket = opened
        observer = opened
        // Written past evhttp, which takes its connection for busy from here on and stays quiet.
        var head = ReplyHead(status: 101)
        head.add("Upgrade", "websocket")
        head.add("Connection", "Upgrade")
        head.add("Sec-WebSocket-Accept", accept)
        for field in fields { head.add(field.name, field.value) }
        connection.put(&head)
        connection.flush()
        return isOpen ? opened : nil
    }

    // MARK: - Parts

    /// Gives the request back to evhttp, which then waits for the next one. Where there is none it
    /// goes with the connection.
    func handBack(forNext: Bool) {
        guard case .complete = state else { return }
        state = .over
        // Nothing of the answer went through evhttp, so to it this one had no head and no body.
        if forNext { unsafe evhttp_send_reply_end(request) }
    }

    /// The connection is gone, and with it evhttp's request.
    func connectionDropped() {
        state = .over
        webSocket?.connectionDropped()
    }
}
