// What a session hears from outside: of its client, and from whoever ends it.

internal import Chat
internal import HTTPTransport
internal import Relay

extension ChatSession: ExchangeObserver {
    func clientLeft() { happened(.clientLeft) }
    func clientStalled() { happened(.clientStalled) }
    func clientBlocked() { happened(.clientBlocked) }
    func clientDrained() { happened(.clientDrained) }
    func replyDelivered() { happened(.replyDelivered) }
}

extension ChatSession {
    /// Ends the session from outside: shutdown, an operator.
    func stop(_ ending: Ending, _ error: APIError) {
        // Who is told the end no longer waits, however slowly he reads it.
        if slot == .waiting { leaveDesk() }
        failure = error
        happened(.stopped(ending))
    }

    /// Ends the session because its connection is about to be dropped.
    func cutOff(_ ending: Ending) { happened(.cutOff(ending)) }
}
