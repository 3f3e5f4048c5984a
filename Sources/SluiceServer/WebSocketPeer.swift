// One client on a WebSocket, and the requests it has going.

internal import Chat
internal import Configuration
internal import HTTPTransport

/// Makes requests of messages, and knows them by their ids until they end.
final class WebSocketPeer: WebSocketHandler {
    /// How many requests may be under way on one connection, waiting ones included.
    static let requestLimit = 128

    let socket: WebSocket
    let path: String
    let clientAddress: String
    /// Where the frames of a message are put together; kept, so that a token allocates nothing.
    var frames: [UInt8] = []
    private unowned let worker: Worker
    private let upgrade: Exchange
    /// Who opened it: asks again with each message.
    private let caller: Caller
    /// In the order they came.
    private var requests: [WebSocketRequest] = []
    /// Those without an id are answered one after the other, since nothing would tell their ends
    /// apart: these wait for the one before.
    private var waiting: [WebSocketRequest] = []

    init(_ worker: Worker, _ socket: WebSocket, _ incoming: IncomingRequest, _ caller: Caller) {
        self.worker = worker
        self.socket = socket
        upgrade = incoming.exchange
        self.caller = caller
        path = incoming.path
        clientAddress = incoming.record.client
    }

    /// A field of the handshake.
    func header(_ name: StaticString) -> String? { upgrade.header(name) }

    // MARK: - Messages

    func received(_ text: [UInt8]) {
        var body = text
        let envelope = MessageEnvelope(takenOutOf: &body)
        if envelope.isCancel {
            socket.release(text.count)
            // One that has just ended has told so already.
            requests.first { $0.id == envelope.id }?.cancel()
            return
        }
        let request = WebSocketRequest(body, heldBytes: text.count, id: envelope.id, of: self)
        let error = envelope.fault ?? reasonToRefuse(request)
        socket.requestBegan()
        if error == nil, request.id == nil, requests.contains(where: { $0.id == nil }) {
            return waiting.append(request)
        }
        begin(request, refusing: error)
    }

    private func reasonToRefuse(_ request: WebSocketRequest) -> APIError? {
        if let id = request.id, requests.contains(where: { $0.id == id }) {
            return .invalidValue("id", "must not be that of a request that is still running")
        }
        if requests.count + waiting.count >= Self.requestLimit {
            return APIError(
                .overloaded, "There are \(Self.requestLimit) requests on this connection already.")
        }
        guard socket.mayBeginRequest else {
            return APIError(.overloaded, "Sluice has as many requests as it is allowed.")
        }
        return nil
    }

    private func begin(_ request: WebSocketRequest, refusing error: APIError?) {
        requests.append(request)
        worker.take(request, with: caller, refusing: error)
    }

    /// A request is over, however it ended.
    func ended(_ request: WebSocketRequest) {
        guard let position = requests.firstIndex(where: { $0 === request }) else { return }
        requests.remove(at: position)
        if request.id == nil, !waiting.isEmpty {
            // Not now: the sinks that all sessions share may be somebody's.
            worker.loop.afterThisTurn { [self] in beginNext() }
        }
        socket.requestEnded()
    }

    private func beginNext() {
        guard !waiting.isEmpty, !requests.contains(where: { $0.id == nil }) else { return }
        begin(waiting.removeFirst(), refusing: nil)
    }

    // MARK: - The client

    /// All that it asked for is dropped.
    func clientLeft() { leave(stalled: false) }
    func clientStalled() { leave(stalled: true) }

    private func leave(stalled: Bool) {
        // Those that wait are known to nobody yet, so they end without a word; each is let go.
        let unheard = waiting
        waiting = []
        for request in unheard {
            request.releaseBody()
            socket.requestEnded()
        }
        for request in requests { request.clientLeft(stalled: stalled) }
    }

    func clientBlocked() { for request in requests { request.clientBlocked() } }
    func clientDrained() { for request in requests { request.clientDrained() } }

    func outputMoved() {
        let sentBytes = socket.sentBytes
        for request in requests { request.outputMoved(sentBytes: sentBytes) }
    }
}
