// How long a client may take: the gate's deadlines and its one timer.

internal import EventLoop

extension ClientConnection {
    /// A connection may be idle from its start; but a handshake is a head that the client owes.
    func setFirstDeadline() {
        let deadlines = server.options.deadlines
        isShakingHands = socket?.tls != nil
        setDeadline(isShakingHands ? deadlines.requestHead : deadlines.idle)
    }

    func lookAtHandshake() {
        guard socket?.tls?.isEstablished == true else { return }
        isShakingHands = false
        if case .reading = phase, parser.isIdle { setDeadline(server.options.deadlines.idle) }
    }

    func setReadingDeadline() {
        if parser.isIdle { return }
        let deadlines = server.options.deadlines
        let isFirstRead = !hasRequestBegun
        if isFirstRead {
            hasRequestBegun = true
            requestDeadline = deadlines.requestTotal.map { server.loop.now + $0 }
        }
        if !parser.isReadingHead {
            setDeadline(deadlines.requestBody)
        } else if isFirstRead {
            // A head is given one deadline: a drip of bytes does not move it.
            setDeadline(deadlines.requestHead)
        }
    }

    func setDeadline(_ duration: Duration?) {
        deadline = duration.map { server.loop.now + $0 }
        armDeadlineTimer()
    }

    /// The kernel holds megabytes for a client and tells of room only when a third of it is free. A
    /// client that has taken less than that is slow, not stalled: so what counts is what the kernel
    /// still holds, and when it last got rid of some.
    private func lookAtStall(_ now: Instant) {
        let held = socket?.unacknowledgedBytes ?? 0
        guard held < heldAtStall, let stall = server.options.deadlines.clientStall else {
            return leave { $0.clientStalled() }
        }
        heldAtStall = held
        // Where the kernel does not tell, the clock begins anew now, which is late, never early.
        let moved = now + (.zero - (socket?.timeSinceProgress ?? .zero))
        stallBegan = max(stallBegan, moved)
        stallDeadline = stallBegan + stall
        guard stallBegan + stall > now else { return leave { $0.clientStalled() } }
        armDeadlineTimer()
    }

    private var nextDeadline: Instant? {
        var next = deadline
        if let requestDeadline { next = min(next ?? requestDeadline, requestDeadline) }
        if let stallDeadline { next = min(next ?? stallDeadline, stallDeadline) }
        return next
    }

    /// The timer is not moved when a deadline moves back, which happens with every read: it fires,
    /// sees that it is early, and sleeps on.
    func armDeadlineTimer() {
        guard let next = nextDeadline else { return }
        deadlineTimer?.arm(noLaterThan: next)
    }

    func deadlinePassed() {
        guard let next = nextDeadline else { return }
        let now = server.loop.now
        guard next <= now else { return armDeadlineTimer() }
        if let stall = stallDeadline, stall <= now { return lookAtStall(now) }
        switch phase {
        case .reading where parser.isIdle: drop()
        case .reading: refuse(.request(parser.isReadingHead ? .headTimedOut : .bodyTimedOut))
        case .lingering: drop()
        case .replying, .closed: return
        }
    }
}
