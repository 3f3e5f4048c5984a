// One HTTP request and its answer.

internal import CLibevent
internal import EventLoop
internal import Framing
internal import Glibc
internal import HTTPTypes

/// One HTTP request, which evhttp has parsed, and its answer.
@safe final class HTTPExchange: Exchange {
    private let connection: ClientConnection
    // Valid until `handBack`, or until the connection is dropped: evhttp frees it with the
    // connection. The state below says which.
    private let request: UnsafeMutablePointer<evhttp_request>
    private enum State {
        case awaitingReply
        case streaming
        /// The connection is a WebSocket. evhttp waits for an answer for as long as it lives.
        case upgraded
        /// All of the answer is in the output; how it was written decides how the request goes back
        /// to evhttp.
        case complete(streamed: Bool)
        case over
    }
    private var state = State.awaitingReply
    /// Whether the client speaks HTTP/1.0, which knows no chunks.
    private let isHTTP10: Bool
    private let asksForWebSocket: Bool
    private(set) var keepsConnection: Bool
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
        // evhttp parsed this out of the canonical head, so it is there.
        let target = unsafe evhttp_request_get_uri(request).map { unsafe String(cString: $0) }
        super.init(method: head.method, target: target ?? "/", body: body)
    }

    override func header(_ name: String) -> String? {
        guard isOpen, let value = unsafe evhttp_find_header(request.pointee.input_headers, name)
        else { return nil }
        return unsafe String(cString: value)
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
        state = .complete(streamed: false)
        addFields(reply.fields)
        // RFC 9110, section 8.6: none with 204. evhttp adds none where no body belongs.
        if reply.status != 204 { add("Content-Length", "\(reply.body.count)") }
        guard let buffer = unsafe evbuffer_new() else { return connection.drop() }
        if method != .head {
            unsafe reply.body.withUnsafeBytes {
                _ = unsafe evbuffer_add(buffer, $0.baseAddress, $0.count)
            }
        }
        unsafe evhttp_send_reply(request, Int32(reply.status), Self.reason(reply.status), buffer)
        unsafe evbuffer_free(buffer)
        connection.outputGrew()
        hideConnectionField()
        connection.flush()
    }

    override func startStream(_ fields: [Reply.HeaderLine]) {
        guard case .awaitingReply = state else { return }
        state = .streaming
        if isHTTP10 || connection.isDraining { keepsConnection = false }
        addFields(fields)
        // For HTTP/1.0 evhttp leaves framing out; afterwards it must not notice, or it would close
        // the socket's number.
        if isHTTP10 { unsafe request.pointee.minor = 0 }
        unsafe evhttp_send_reply_start(request, 200, "OK")
        connection.outputGrew()
        unsafe request.pointee.minor = 1
        // evhttp has announced chunks; framing them is ours from here on.
        unsafe request.pointee.chunked = 0
        // The head is written and the request is read: for the time of the stream, which may be
        // long, their fields are only memory. Nor may evhttp find `Connection: close` there: it
        // would close before we have sent.
        unsafe evhttp_clear_headers(request.pointee.output_headers)
        unsafe evhttp_clear_headers(request.pointee.input_headers)
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

    override func finishStream(_ buffer: inout [UInt8]) {
        guard case .streaming = state else { return }
        send(&buffer, last: true)
        guard case .streaming = state else { return }
        state = .complete(streamed: true)
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
        var head = "HTTP/1.1 101 \(Self.reason(101))\r\nUpgrade: websocket\r\n"
        head += "Connection: Upgrade\r\nSec-WebSocket-Accept: \(accept)\r\n"
        for field in fields { head += "\(field.name): \(field.value)\r\n" }
        opened.write(Array((head + "\r\n").utf8))
        return isOpen ? opened : nil
    }

    // MARK: - Parts

    /// Gives the request back to evhttp, which then waits for the next one.
    func handBack(_ stream: OpaquePointer) {
        guard case .complete(let streamed) = state else { return }
        state = .over
        if streamed {
            unsafe evhttp_send_reply_end(request)
        } else {
            unsafe bufferevent_trigger(stream, Int16(EV_WRITE), 0)
        }
    }

    /// The connection is gone, and with it evhttp's request.
    func connectionDropped() {
        state = .over
        webSocket?.connectionDropped()
    }

    private func addFields(_ fields: [Reply.HeaderLine]) {
        for field in fields { add(field.name, field.value) }
        if !keepsConnection {
            add("Connection", "close")
        } else if isHTTP10 {
            add("Connection", "keep-alive")
        }
    }

    /// evhttp refuses names and values with line breaks; such a field is left out.
    private func add(_ name: String, _ value: String) {
        _ = unsafe evhttp_add_header(request.pointee.output_headers, name, value)
    }

    /// Once the head is written, evhttp must not find `Connection: close`: it would close before we
    /// have sent.
    private func hideConnectionField() {
        _ = unsafe evhttp_remove_header(request.pointee.output_headers, "Connection")
    }

    private static func reason(_ status: Int) -> String {
        "\(Status(rawValue: status).reasonPhrase)"
    }

    /// Appends a whole answer to a request that no exchange was made of; the connection closes
    /// after it.
    static func appendClosingReply(_ reply: Reply, to bytes: inout [UInt8]) {
        func add(_ text: String) { bytes.append(contentsOf: text.utf8) }
        add("HTTP/1.1 \(reply.status) \(reason(reply.status))\r\n")
        for field in reply.fields { add("\(field.name): \(field.value)\r\n") }
        add("Content-Length: \(reply.body.count)\r\nConnection: close\r\n\r\n")
        bytes.append(contentsOf: reply.body)
    }
}
