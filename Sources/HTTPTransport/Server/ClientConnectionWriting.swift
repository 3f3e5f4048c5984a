// How the gate writes: straight to the socket, and what that does not take into the output.

internal import CLibevent
internal import EventLoop
internal import Glibc

extension ClientConnection {
    /// Sends what waits, a head or what is in the output, as far as the socket takes it.
    func flush() {
        guard let output = unsafe bufferevent_get_output(stream) else { return }
        if !waitingHead.isEmpty { appendHead() }
        while mayHaveOutput, unsafe evbuffer_get_length(output) > 0 {
            switch unsafe send(output) {
            case .bytes: break
            case .wouldBlock, .wantsRead: return waitForRoom()
            case .ended, .failed: return clientLeft()
            }
            stallDeadline = nil
        }
        stallDeadline = nil
        mayHaveOutput = false
        drained()
    }

    /// Sends a part of the output: all of its pieces by one call, or by TLS its first one.
    private func send(_ output: OpaquePointer) -> Socket.Transfer {
        guard let descriptor = socket?.descriptor else { return .ended }
        if !isSecure {
            while true {
                let count = unsafe evbuffer_write(output, descriptor)
                if count >= 0 { return .bytes(Int(count)) }
                if errno != EINTR { return errno == EAGAIN ? .wouldBlock : .failed(errno) }
            }
        }
        // A write that would block is repeated with at least as many bytes, and they must follow
        // each other in memory: a TLS record holds 16 KiB.
        let length = unsafe min(evbuffer_get_length(output), 16 * 1024)
        guard let start = unsafe evbuffer_pullup(output, length) else { return .failed(ENOMEM) }
        let bytes = unsafe UnsafeRawBufferPointer(start: start, count: length)
        let sent = unsafe socket?.send(bytes) ?? .ended
        if case .bytes(let count) = sent { unsafe evbuffer_drain(output, count) }
        return sent
    }

    /// Sends bytes of a streamed answer at once, or as soon as what is before them has gone.
    @inline(__always)
    func write(_ bytes: UnsafeRawBufferPointer) {
        if unsafe bytes.isEmpty { return }
        if mayHaveOutput {
            if !waitingHead.isEmpty { return unsafe writeHead(before: bytes) }
            if unsentBytes > 0 {
                unsafe append(bytes)
                return flush()
            }
        }
        switch unsafe socket?.send(bytes) {
        case .bytes(let count):
            if count == bytes.count { return }
            unsafe append(UnsafeRawBufferPointer(rebasing: bytes[count...]))
            // The socket took a part, so it is full: it will tell when there is room.
            flush()
        case .wouldBlock, .wantsRead:
            unsafe append(bytes)
            waitForRoom()
        case .ended, .failed, nil: clientLeft()
        }
    }

    /// Sends a head and what is behind it by one call, without a copy of either. By TLS together,
    /// so that they share a record.
    private func writeHead(before bytes: UnsafeRawBufferPointer) {
        if isSecure {
            appendHead()
            unsafe append(bytes)
            return flush()
        }
        let head = waitingHead
        waitingHead = []
        switch unsafe socket?.send(head, bytes) {
        case .bytes(let count):
            if count == head.count + bytes.count {
                mayHaveOutput = false
                return
            }
            unsafe head.dropFirst(count).withUnsafeBytes { unsafe append($0) }
            let rest = max(0, count - head.count)
            unsafe append(UnsafeRawBufferPointer(rebasing: bytes[rest...]))
            flush()
        case .wouldBlock, .wantsRead:
            unsafe head.withUnsafeBytes { unsafe append($0) }
            unsafe append(bytes)
            waitForRoom()
        case .ended, .failed, nil: clientLeft()
        }
    }

    private func appendHead() {
        unsafe waitingHead.withUnsafeBytes { unsafe append($0) }
        waitingHead = []
    }

    /// Takes a head, its date and last line added. It leaves with the next `write` or `flush`.
    func put(_ head: inout ReplyHead) {
        head.end(&server.dateClock)
        waitingHead = head.bytes
        // Behind what is still to be sent, it has to wait like everything else.
        if mayHaveOutput, outputBytes > 0 { appendHead() }
        mayHaveOutput = true
    }

    private func append(_ bytes: UnsafeRawBufferPointer) {
        mayHaveOutput = true
        unsafe evbuffer_add(bufferevent_get_output(stream), bytes.baseAddress, bytes.count)
    }

    func writeNow(_ text: StaticString) {
        unsafe write(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Whether this answer is the connection's last whatever the client wants.
    var isDraining: Bool { server.isDraining }

    /// Bytes that the client has not taken yet.
    var unsentBytes: Int { waitingHead.count + outputBytes }

    private var outputBytes: Int {
        guard let output = unsafe bufferevent_get_output(stream) else { return 0 }
        return unsafe evbuffer_get_length(output)
    }

    private func waitForRoom() {
        if stallDeadline == nil, let stall = server.options.deadlines.clientStall {
            heldAtStall = socket?.unacknowledgedBytes ?? 0
            stallBegan = server.loop.now
            stallDeadline = stallBegan + stall
            armDeadlineTimer()
        }
        guard case .replying(let exchange) = phase else { return }
        let unsent = unsentBytes
        if !isBlocked, unsent > server.options.blockedAbove {
            isBlocked = true
            exchange.observer?.clientBlocked()
        } else if isBlocked, unsent <= server.options.drainedBelow {
            isBlocked = false
            exchange.observer?.clientDrained()
        }
        exchange.webSocket?.outputMoved()
    }

    private func drained() {
        switch phase {
        case .replying(let exchange):
            if isBlocked {
                isBlocked = false
                exchange.observer?.clientDrained()
            }
            if exchange.isComplete { finish(exchange) }
            exchange.webSocket?.outputMoved()
        case .lingering: socket?.endSending()
        case .reading, .closed: return
        }
    }
}
