// One request that came as a message, and its answer as messages.

internal import Chat
internal import Framing
internal import HTTPTransport
internal import HTTPTypes
internal import JSON

/// An exchange on a WebSocket, beside others.
///
/// Chunks leave as they are, one a message; a request with an id finds it in their `id`. What is not
/// a chunk, and so has no id of its own, is given it: an error, and the end.
final class WebSocketRequest: Exchange {
    private enum State {
        case awaitingReply
        case streaming
        /// All of the answer is written; the system has it once it has taken so many bytes.
        case complete(mark: Int)
        case over
    }

    let id: String?
    private let peer: WebSocketPeer
    private var state = State.awaitingReply
    /// The body's bytes, as long as they are held.
    private var heldBytes: Int
    /// What an answer by HTTP would have said in its head.
    private var fields: [Reply.HeaderLine] = []
    private var isToldBlocked = false

    init(_ body: [UInt8], heldBytes: Int, id: String?, of peer: WebSocketPeer) {
        self.id = id
        self.peer = peer
        self.heldBytes = heldBytes
        super.init(method: .get, target: peer.path, body: body)
    }

    /// The fields of the handshake hold for all requests, but those that tell one request from
    /// another.
    override func header(_ name: StaticString) -> String? {
        switch name.description {
        case "x-request-id", "content-encoding": nil
        default: peer.header(name)
        }
    }

    override var clientAddress: String { peer.clientAddress }
    override var clientID: String? { id }

    override var isOpen: Bool {
        switch state {
        case .awaitingReply, .streaming: true
        case .complete, .over: false
        }
    }

    override var hasUnsentBytes: Bool { isOpen && peer.socket.unsentBytes > 0 }

    // MARK: - Answering

    override func respond(_ reply: Reply) {
        guard case .awaitingReply = state else { return }
        var frames: [UInt8] = []
        append(reply.body.span, isError: reply.status >= 400, to: &frames)
        complete(with: frames)
    }

    override func startStream(_ fields: [Reply.HeaderLine]) {
        guard case .awaitingReply = state else { return }
        state = .streaming
        guard id != nil else { return }
        self.fields = fields.filter {
            $0.name == "x-request-id" || $0.name.hasPrefix("x-sluice-")
        }
    }

    override func write(_ buffer: inout [UInt8]) {
        guard case .streaming = state else { return }
        takeLines(buffer)
        peer.socket.write(peer.frames)
        if case .streaming = state, peer.socket.isBlocked { clientBlocked() }
    }

    override func finishStream(_ buffer: inout [UInt8]) {
        guard case .streaming = state else { return }
        takeLines(buffer)
        complete(with: peer.frames)
    }

    override func keepAlive() { if isOpen { peer.socket.ping() } }

    override func releaseBody() {
        peer.socket.release(heldBytes)
        heldBytes = 0
        super.releaseBody()
    }

    private func complete(with frames: [UInt8]) {
        // Before it is written, for writing may find that the client has left.
        state = .complete(mark: .max)
        let mark = peer.socket.write(frames)
        guard case .complete = state else { return }
        state = .complete(mark: mark)
        outputMoved(sentBytes: peer.socket.sentBytes)
    }

    // MARK: - Frames

    /// Makes frames of what a sink has collected behind its headroom.
    private func takeLines(_ buffer: [UInt8]) {
        peer.frames.removeAll(keepingCapacity: peer.frames.capacity <= 1 << 20)
        let lines = buffer.span.extracting(ChunkFraming.headroom...)
        WebSocketFrames.forEachLine(in: lines) { line in
            if id != nil, line.count == 6, line.equals("[DONE]") {
                append(doneMessage.span, isError: false, to: &peer.frames)
            } else {
                append(line, isError: line.hasPrefix(#"{"error":"#), to: &peer.frames)
            }
        }
    }

    private func append(_ text: Span<UInt8>, isError: Bool, to frames: inout [UInt8]) {
        guard isError, id != nil else { return WebSocketFrames.appendText(text, to: &frames) }
        var tagged = opening
        tagged.append(text.extracting(1...))
        WebSocketFrames.appendText(tagged.span, to: &frames)
    }

    /// An object's beginning, with the id as its first member.
    private var opening: [UInt8] {
        var json: [UInt8] = []
        json.append(#"{"id":"#)
        json.appendJSONString(id ?? "")
        json.append(",")
        return json
    }

    private var doneMessage: [UInt8] {
        var json = opening
        json.append(#""done":true,"headers":{"#)
        for (position, field) in fields.enumerated() {
            if position > 0 { json.append(",") }
            json.appendJSONString(field.name)
            json.append(":")
            json.appendJSONString(field.value)
        }
        json.append("}}")
        return json
    }

    private var cancelledMessage: [UInt8] {
        var json: [UInt8] = []
        if id == nil { json.append("{") } else { json = opening }
        json.append(#""cancelled":true}"#)
        return json
    }

    // MARK: - The client

    /// It wants no more of this, and is told that there is no more.
    func cancel() {
        guard isOpen else { return }
        state = .over
        observer?.clientLeft()
        var frame: [UInt8] = []
        WebSocketFrames.appendText(cancelledMessage.span, to: &frame)
        peer.socket.write(frame)
        leave()
    }

    func clientLeft(stalled: Bool) {
        switch state {
        case .over: return
        case .awaitingReply, .streaming, .complete: state = .over
        }
        if stalled { observer?.clientStalled() } else { observer?.clientLeft() }
        leave()
    }

    func clientBlocked() {
        guard case .streaming = state, !isToldBlocked else { return }
        isToldBlocked = true
        observer?.clientBlocked()
    }

    func clientDrained() {
        guard isToldBlocked else { return }
        isToldBlocked = false
        observer?.clientDrained()
    }

    /// The system has taken so many of all bytes ever written to the connection.
    func outputMoved(sentBytes: Int) {
        guard case .complete(let mark) = state, mark <= sentBytes else { return }
        state = .over
        observer?.replyDelivered()
        leave()
    }

    private func leave() {
        releaseBody()
        observer = nil
        peer.ended(self)
    }
}

extension Span<UInt8> {
    fileprivate func hasPrefix(_ text: StaticString) -> Bool {
        count >= text.utf8CodeUnitCount && extracting(0..<text.utf8CodeUnitCount).equals(text)
    }
}
