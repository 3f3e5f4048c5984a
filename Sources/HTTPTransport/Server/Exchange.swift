// One request and its answer.

internal import CLibevent
internal import EventLoop
internal import Framing
internal import Glibc
public import HTTPTypes

/// What whoever answers a request wants to hear of the client. All calls come on the loop's thread,
/// and may come in the middle of a call to the exchange.
public protocol ExchangeObserver: AnyObject {
    /// The client has closed, half-closed or reset its connection. The exchange is over.
    func clientLeft()
    /// The client has taken nothing for `clientStall`; its connection was dropped. The exchange is
    /// over.
    func clientStalled()
    /// The client is slower than the answer: stop producing.
    func clientBlocked()
    /// The client has caught up.
    func clientDrained()
    /// The last byte of the answer was handed to the system. The exchange is over.
    func replyDelivered()
}

/// One request, whole, and the means to answer it: at once with `respond`, or bit by bit with
/// `startStream`, `write` and `finishStream`.
@safe public final class Exchange {
    /// The request's method.
    public let method: Method
    /// The request's target as it was sent: path and query.
    public let target: String
    /// The request's body, unframed; empty after `releaseBody`.
    public private(set) var body: [UInt8]
    /// Whether the client speaks HTTP/1.0, which knows no chunks.
    public let isHTTP10: Bool
    /// Hears of the client; held until the exchange is over.
    public var observer: (any ExchangeObserver)?

    private let connection: ClientConnection
    // Valid until `handBack`, or until the connection is dropped: evhttp frees it with the
    // connection. The state below says which.
    private let request: UnsafeMutablePointer<evhttp_request>
    private enum State {
        case awaitingReply
        case streaming
        /// All of the answer is in the output; how it was written decides how the request goes back
        /// to evhttp.
        case complete(streamed: Bool)
        case over
    }
    private var state = State.awaitingReply
    private(set) var keepsConnection: Bool
    private(set) var bodyBytes: Int

    init(
        connection: ClientConnection, request: UnsafeMutablePointer<evhttp_request>,
        head: RequestHead, body: [UInt8]
    ) {
        self.connection = connection
        unsafe self.request = request
        self.body = body
        bodyBytes = body.count
        method = head.method
        isHTTP10 = head.isHTTP10
        keepsConnection = head.keepsAlive
        // evhttp parsed this out of the canonical head, so it is there.
        target = unsafe evhttp_request_get_uri(request).map { unsafe String(cString: $0) } ?? "/"
    }

    /// The value of a request field, whatever the case of its name; the first one, if there are
    /// several. A stream's request has none any more once the stream has begun.
    public func header(_ name: String) -> String? {
        guard isOpen, let value = unsafe evhttp_find_header(request.pointee.input_headers, name)
        else { return nil }
        return unsafe String(cString: value)
    }

    /// The client's address without its port.
    public var clientAddress: String {
        guard isOpen, let host = unsafe request.pointee.remote_host else { return "-" }
        return unsafe String(cString: host)
    }

    /// Whether an answer can still be given.
    public var isOpen: Bool {
        switch state {
        case .awaitingReply, .streaming: true
        case .complete, .over: false
        }
    }

    /// Whether the head of an answer has been given.
    public var hasStarted: Bool {
        if case .awaitingReply = state { false } else { true }
    }

    /// Whether the client has not taken all that it was sent.
    public var hasUnsentBytes: Bool { isOpen && connection.unsentBytes > 0 }

    var isComplete: Bool {
        if case .complete = state { true } else { false }
    }

    // MARK: - Answering

    /// Gives the whole answer. A HEAD request gets its head only.
    public func respond(_ reply: Reply, closing: Bool = false) {
        guard case .awaitingReply = state else { return }
        if closing || connection.isDraining { keepsConnection = false }
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

    /// Begins a streamed answer with status 200. Its head leaves together with the first bytes, or
    /// with `flush`.
    public func startStream(_ fields: [Reply.HeaderLine]) {
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

    /// Lets the body go, which for long streams may be much memory.
    public func releaseBody() {
        guard isOpen else { return }
        connection.bodyReleased(bodyBytes)
        bodyBytes = 0
        body = []
    }

    /// Sends what waits: the head of a stream without any bytes yet.
    public func flush() { connection.flush() }

    /// Sends a part of a streamed answer. `buffer` begins with `ChunkFraming.headroom` bytes of
    /// room, in which the chunk's head is written.
    public func write(_ buffer: inout [UInt8]) {
        guard case .streaming = state else { return }
        send(&buffer, last: false)
    }

    /// Sends the last part of a streamed answer, possibly empty, and ends it.
    public func finishStream(_ buffer: inout [UInt8]) {
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

    /// Drops the connection in the middle of the answer.
    public func abort() { connection.drop() }

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
    func connectionDropped() { state = .over }

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
