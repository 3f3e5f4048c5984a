// What one chat session does about each thing that happens to it.

/// What has happened. A token is not a fact: the driver hands tokens straight on, and the machine
/// hears of the first event, of the last, and of what is exceptional.
public enum Fact: Hashable, Sendable {
    /// A slot is granted: an upstream may be asked.
    case admitted
    /// No slot will be granted, or no further one after a failed attempt.
    case refused(Ending)
    /// The connection to the upstream stands and the request is on its way.
    case upstreamConnected
    /// The first event of the answer has come.
    case firstEvent
    /// The upstream has given its whole answer.
    case answerCompleted
    /// No answer will come from this upstream, and the client has seen nothing of it: refused
    /// connection, 502, 503. Whether there is another try is not for the session to say.
    case attemptFailed(Ending)
    /// The answer broke off or cannot be read, or the upstream refused.
    case upstreamFailed(Ending)
    /// A deadline has passed.
    case deadlinePassed(Ending)
    /// The upstream's verdict has been long in coming; the client should be told that we are alive.
    case headGracePassed
    /// Unsent bytes have piled up.
    case clientBlocked
    /// The client has caught up.
    case clientDrained
    /// The client has closed, half-closed or reset.
    case clientLeft
    /// The client has taken nothing for too long.
    case clientStalled
    /// The last byte of the reply was handed to the system.
    case replyDelivered
    /// The server or an operator ends the session.
    case stopped(Ending)
    /// The server is about to drop the connection to the client, which can be told nothing more.
    case cutOff(Ending)
}

/// What the driver is to do, in this order.
public enum Order: Hashable, Sendable {
    /// Call the upstream that was granted.
    case callUpstream
    /// Give the slot back and ask for another, after a failed attempt.
    case askAgain(Ending)
    /// Read no more of the answer.
    case pauseUpstream
    /// Read on.
    case resumeUpstream
    /// Close the connection to the upstream.
    case abortUpstream
    /// The answer is whole; the connection may serve another call.
    case releaseUpstream
    /// Begin a streamed reply. Its head leaves with the first bytes.
    case startStream
    /// Send the head of the stream now, without any bytes yet.
    case sendHead
    /// End the streamed reply.
    case finishStream
    /// Send the assembled completion.
    case sendCompletion
    /// Tell of the failure by an error reply with a status.
    case failWithStatus(Ending)
    /// Tell of the failure by a last event in the stream, and end the stream.
    case failInStream(Ending)
    /// Forget the session: log it, count it, release everything. Given exactly once, and last.
    case end(Ending)
}

/// Decides, for one session, what each fact means. Pure: no bytes, no clock, no sockets.
public struct SessionMachine: Hashable, Sendable {
    /// What the upstream half is doing.
    private enum Upstream: Hashable {
        /// A connection is being made.
        case connecting
        /// The request is on its way; no event of the answer has come.
        case awaitingEvents
        /// Events are arriving and being read.
        case streaming
        /// Events may be waiting in the kernel; the client is slower than the model.
        case paused
    }

    /// What the client has been told.
    private enum Reply: Hashable {
        /// Nothing: a failure can still have a status of its own.
        case open
        /// The head of a stream: a failure must be told inside it.
        case streaming
    }

    private enum State: Hashable {
        /// Waiting to be admitted, for the first time or again.
        case waiting(Reply)
        /// An upstream is answering, or is to.
        case relaying(Upstream, Reply)
        /// The upstream is done with; the rest of the reply is on its way to the client.
        case delivering(Ending)
        /// The one `end` order went out. Late facts are expected here and mean nothing.
        case ended
    }

    /// Whether the client asked for a stream.
    private let wantsStream: Bool
    private var state = State.waiting(.open)

    /// Makes the machine of a session whose client wants a stream, or a whole completion.
    public init(wantsStream: Bool) { self.wantsStream = wantsStream }

    /// Whether the session is over.
    public var hasEnded: Bool { state == .ended }

    /// Takes note of a fact and says what to do about it.
    public mutating func receive(_ fact: Fact) -> [Order] {
        switch state {
        case .waiting(let reply): waiting(reply, fact)
        case .relaying(let upstream, let reply): relaying(upstream, reply, fact)
        case .delivering(let ending): delivering(ending, fact)
        case .ended: []
        }
    }

    private mutating func waiting(_ reply: Reply, _ fact: Fact) -> [Order] {
        switch fact {
        case .admitted:
            state = .relaying(.connecting, reply)
            return [.callUpstream]
        case .headGracePassed: return startStream(reply) { .waiting($0) }
        case .deadlinePassed(let ending), .stopped(let ending), .refused(let ending),
            .upstreamFailed(let ending), .attemptFailed(let ending):
            return fail(reply, ending)
        case .clientLeft: return end(.clientLeft)
        case .clientStalled: return end(.clientStalled)
        case .cutOff(let ending): return end(ending)
        // Nobody is being asked, and nothing was sent.
        case .upstreamConnected, .firstEvent, .answerCompleted, .clientBlocked, .clientDrained,
            .replyDelivered:
            return []
        }
    }

    private mutating func relaying(
        _ upstream: Upstream, _ reply: Reply, _ fact: Fact
    ) -> [Order] {
        switch fact {
        case .upstreamConnected:
            guard upstream == .connecting else { return [] }
            state = .relaying(.awaitingEvents, reply)
            return []
        case .firstEvent: return firstEvent(upstream, reply)
        case .answerCompleted:
            state = .delivering(.completed)
            guard wantsStream else { return [.releaseUpstream, .sendCompletion] }
            return reply == .open
                ? [.releaseUpstream, .startStream, .finishStream]
                : [.releaseUpstream, .finishStream]
        case .attemptFailed(let ending):
            guard upstream == .connecting || upstream == .awaitingEvents else {
                return [.abortUpstream] + fail(reply, ending)
            }
            state = .waiting(reply)
            return [.askAgain(ending)]
        case .upstreamFailed(let ending), .deadlinePassed(let ending), .stopped(let ending):
            return [.abortUpstream] + fail(reply, ending)
        case .headGracePassed: return startStream(reply) { .relaying(upstream, $0) }
        case .clientBlocked:
            guard upstream == .streaming else { return [] }
            state = .relaying(.paused, reply)
            return [.pauseUpstream]
        case .clientDrained:
            guard upstream == .paused else { return [] }
            state = .relaying(.streaming, reply)
            return [.resumeUpstream]
        case .clientLeft: return [.abortUpstream] + end(.clientLeft)
        case .clientStalled: return [.abortUpstream] + end(.clientStalled)
        case .cutOff(let ending): return [.abortUpstream] + end(ending)
        case .admitted, .refused, .replyDelivered: return []
        }
    }

    private mutating func delivering(_ ending: Ending, _ fact: Fact) -> [Order] {
        switch fact {
        case .replyDelivered: return end(ending)
        case .clientLeft: return end(.clientLeft)
        case .clientStalled: return end(.clientStalled)
        // A whole answer that is cut off was not given whole; a failure stays the reason it was.
        case .cutOff(let reason): return end(ending == .completed ? reason : ending)
        // The upstream is gone, and what it said is said.
        case .admitted, .refused, .upstreamConnected, .firstEvent, .answerCompleted,
            .attemptFailed, .upstreamFailed, .deadlinePassed, .headGracePassed, .clientBlocked,
            .clientDrained,
            .stopped:
            return []
        }
    }

    private mutating func firstEvent(_ upstream: Upstream, _ reply: Reply) -> [Order] {
        guard upstream == .connecting || upstream == .awaitingEvents else { return [] }
        guard wantsStream, reply == .open else {
            state = .relaying(.streaming, reply)
            return []
        }
        state = .relaying(.streaming, .streaming)
        return [.startStream]
    }

    /// The head of a stream without any bytes. A client that asked for a whole completion waits for
    /// its status.
    private mutating func startStream(_ reply: Reply, _ next: (Reply) -> State) -> [Order] {
        guard wantsStream, reply == .open else { return [] }
        state = next(.streaming)
        return [.startStream, .sendHead]
    }

    private mutating func fail(_ reply: Reply, _ ending: Ending) -> [Order] {
        state = .delivering(ending)
        switch reply {
        case .open: return [.failWithStatus(ending)]
        case .streaming: return [.failInStream(ending)]
        }
    }

    private mutating func end(_ ending: Ending) -> [Order] {
        state = .ended
        return [.end(ending)]
    }
}
