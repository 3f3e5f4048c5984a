// What the gate does with a client that went on as a WebSocket: reads on, and closes in order.

internal import EventLoop

extension ClientConnection {
    /// Reads frames, as long as the client takes what it gets for them.
    func readMessages(_ webSocket: WebSocket, _ seen: Readiness) {
        if !unread.isEmpty, webSocket.wantsBytes {
            let bytes = unread
            unread = []
            webSocket.take(bytes.span)
        }
        for _ in 0..<Self.readsPerTurn {
            guard case .replying = phase else { return }
            guard webSocket.wantsBytes else {
                webSocket.waitsForRoom = true
                // Not read to the end of the stream, but the kernel has told of it, or knows of an
                // error.
                if seen.contains(.closed) || socket?.pendingError() != 0 { clientLeft() }
                return
            }
            switch unsafe receive(into: server.loop.scratch) {
            case .bytes(let count): server.loop.withScratch(count) { webSocket.take($0) }
            case .wouldBlock, .wantsRead: return
            case .ended, .failed: return clientLeft()
            }
        }
        watch?.callAgain(seen)
    }

    /// The last frame is written: what the client still sends is thrown away until it has closed.
    func closeWebSocket() {
        guard case .replying(let exchange) = phase else { return }
        exchange.connectionDropped()
        unread = []
        linger()
        // What came while there was no room for answers was not read.
        watch?.callAgain(.read)
    }
}
