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
    func header(_ name: String) -> String? { upgrade.header(name) }

    // MARK: - Messages

    func received(_ text: [UInt8]) {
        let heldBytes = text.count
        var body = text
        let envelope: MessageEnvelope
        do throws(APIError) {
            envelope = try MessageEnvelope(takenOutOf: &body)
        } catch {
            return refuse(body, heldBytes, id: nil, error)
        }
        switch envelope {
        case .request(let id): begin(WebSocketRequest(body, heldBytes: heldBytes, id: id, of: self))
        case .cancel(let id):
            socket.release(heldBytes)
            // One that has just ended has told so already.
            requests.first { $0.id == id }?.cancel()
        }
    }

    private func begin(_ request: WebSocketRequest) {
        let error: APIError?
        if let id = request.id, requests.contains(where: { $0.id == id }) {
            error = .invalidValue("id", "must not be that of a request that is still running")
        } else if requests.count + waiting.count >= Self.requestLimit {
            error = APIError(
                .overloaded, "There are \(Self.requestLimit) requests on this connection already.")
        } else if !socket.mayBeginRequest {
            error = APIError(.overloaded, "Sluice has as many requests as it is allowed.")
        } else {
            error = nil
        }
        socket.requestBegan()
        if request.id == nil, error == nil, requests.contains(where: { $0.id == nil }) {
            return waiting.append(request)
        }
        requests.append(request)
        worker.take(request, with: caller, refusing: error)
    }

    private func refuse(_ body: [UInt8], _ heldBytes: Int, id: String?, _ error: APIError) {
        let request = WebSocketRequest(body, heldBytes: heldBytes, id: id, of: self)
        socket.requestBegan()
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
        let next = waiting.removeFirst()
        requests.append(next)
        worker.take(next, with: caller, refusing: nil)
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
