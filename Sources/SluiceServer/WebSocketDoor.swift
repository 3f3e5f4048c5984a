// GET /v1/chat/completions with an upgrade: how a WebSocket is opened, and how its messages come in.

internal import Chat
internal import Configuration
internal import Framing
internal import HTTPTransport
internal import JSON

/// How a browser, which cannot set header fields on a WebSocket, tells its key: as a subprotocol of
/// this name and the key, as OpenAI's own API takes it.
let keySubprotocol = "openai-insecure-api-key."

/// The subprotocol to offer beside it, so that the key does not come back in the answer.
let chatSubprotocol = "sluice"

extension Worker {
    /// Answers a request to go on as a WebSocket, once it was let in.
    func openWebSocket(_ incoming: IncomingRequest) {
        let exchange = incoming.exchange
        guard exchange.header("sec-websocket-version") == WebSocketHandshake.version else {
            return refuse(
                incoming,
                APIError(
                    .invalidValue,
                    "Sluice speaks version \(WebSocketHandshake.version) of the WebSocket protocol."
                ),
                fields: [
                    Reply.HeaderLine("Sec-WebSocket-Version", WebSocketHandshake.version)
                ])
        }
        if isDraining {
            return refuse(incoming, APIError(.shuttingDown, "Sluice is shutting down."))
        }
        var fields = [Reply.HeaderLine("x-request-id", incoming.identity.id)]
        if let name = exchange.header("sec-websocket-protocol").flatMap(chosenSubprotocol) {
            fields.append(Reply.HeaderLine("Sec-WebSocket-Protocol", name))
        }
        let key = exchange.header("sec-websocket-key") ?? ""
        guard WebSocketHandshake.accept(key: key) != nil else {
            return refuse(
                incoming,
                APIError(.invalidValue, "Sec-WebSocket-Key must be 16 bytes in base64."))
        }
        var record = incoming.record
        record.status = 101
        record.totalMilliseconds = incoming.began.milliseconds(to: loop.now)
        let caller = Caller(exchange, path: exchange.path)
        let socket = exchange.openWebSocket(fields)
        if socket == nil { record.ending = .clientLeft }
        finished(record)
        if let socket { socket.handler = WebSocketPeer(self, socket, incoming, caller) }
    }

    /// Answers a request that came as a message, or refuses it.
    func take(_ message: WebSocketRequest, with caller: Caller, refusing error: APIError?) {
        meter.metrics.requestArrived()
        let incoming = IncomingRequest(message, id: ids.next(), began: loop.now)
        incoming.clientProtocol = .webSocket
        incoming.record.method = "MESSAGE"
        // Asked anew: the keys may have been read anew.
        incoming.key = access.key(of: caller)
        incoming.record.key = incoming.key?.name
        if let error = error ?? access.refuse(caller, with: incoming.key) {
            return refuse(incoming, error)
        }
        withinLimits(incoming) { [unowned self] in chat($0) }
    }
}

/// Which of the subprotocols on offer is spoken. A browser gives up if it is none of them.
func chosenSubprotocol(_ field: String) -> String? {
    let offered = WebSocketHandshake.protocols(field)
    return offered.first { $0 == chatSubprotocol }
        ?? offered.first { $0.hasPrefix(keySubprotocol) }
}

/// The key among the subprotocols on offer.
func keyInSubprotocols(_ field: String) -> String? {
    WebSocketHandshake.protocols(field).first { $0.hasPrefix(keySubprotocol) }
        .map { String($0.dropFirst(keySubprotocol.count)) }
}
