// The promises of a session, kept as a ledger of what its client and its upstream have seen.

import Relay

/// Carries orders out on paper, and complains of each that breaks a promise.
///
/// It is written against the contract and knows nothing of the machine's states: another machine
/// would have to keep the same promises.
struct Ledger: Hashable {
    enum Upstream: Hashable { case notCalled, open, paused, closed }
    enum Reply: Hashable { case none, head, complete, failed(Ending) }

    let wantsStream: Bool
    private(set) var upstream = Upstream.notCalled
    private(set) var reply = Reply.none
    private(set) var hasHead = false
    private(set) var ended: Ending?
    /// Whether an event of the answer has come: from then on no other upstream may be asked.
    private var hasEvents = false
    /// What the last fact was, as far as an end may depend on it.
    private var cause: Fact?

    init(wantsStream: Bool) { self.wantsStream = wantsStream }

    /// Notes what happened and what was ordered; returns what is wrong with it.
    mutating func note(_ fact: Fact, _ orders: [Order]) -> [String] {
        let (before, wasOver) = (reply, ended != nil)
        if fact == .firstEvent, upstream == .open { hasEvents = true }
        cause = fact
        var complaints = orders.compactMap { carryOut($0) }
        cause = nil
        if wasOver, !orders.isEmpty { complaints.append("orders after the end") }
        if !wasOver, fact.endsAtOnce, ended == nil { complaints.append("did not end") }
        if fact.isFailure, !wasOver, !before.isOver, ended == nil, reply == before,
            !orders.asksAgain, upstream != .notCalled
        {
            complaints.append("a failure was not told")
        }
        return complaints
    }

    private mutating func carryOut(_ order: Order) -> String? {
        guard ended == nil else { return "\(order) after the end" }
        switch order {
        case .callUpstream, .askAgain, .pauseUpstream, .resumeUpstream, .abortUpstream,
            .releaseUpstream:
            return carryOutUpstream(order)
        case .startStream, .sendHead, .finishStream, .sendCompletion, .failWithStatus,
            .failInStream:
            return carryOutReply(order)
        case .end(let ending): return end(ending)
        }
    }

    private mutating func carryOutUpstream(_ order: Order) -> String? {
        switch (order, upstream) {
        case (.callUpstream, .notCalled): upstream = .open
        case (.callUpstream, .closed):
            guard !hasEvents else { return "a second run after an event" }
            guard !reply.isOver else { return "a call after the reply" }
            upstream = .open
        case (.askAgain, .open), (.askAgain, .paused):
            guard !hasEvents else { return "asks again after an event" }
            upstream = .closed
        case (.pauseUpstream, .open): upstream = .paused
        case (.resumeUpstream, .paused): upstream = .open
        case (.abortUpstream, .open), (.abortUpstream, .paused): upstream = .closed
        case (.releaseUpstream, .open), (.releaseUpstream, .paused):
            guard cause == .answerCompleted else { return "released without a whole answer" }
            upstream = .closed
        default: return "\(order) while the upstream is \(upstream)"
        }
        return nil
    }

    private mutating func carryOutReply(_ order: Order) -> String? {
        guard !reply.isOver else { return "\(order) after the whole reply" }
        switch order {
        case .startStream:
            guard wantsStream, !hasHead else { return "a second head, or one nobody wants" }
            (reply, hasHead) = (.head, true)
        case .sendHead:
            guard hasHead else { return "no head to send" }
        case .finishStream:
            guard wantsStream, hasHead, isUpstreamGone else { return "a stream ends too early" }
            reply = .complete
        case .sendCompletion:
            guard !wantsStream, !hasHead, isUpstreamGone else { return "not a completion" }
            reply = .complete
        case .failWithStatus(let ending):
            guard !hasHead, isUpstreamGone else { return "a status after the head" }
            reply = .failed(ending)
        case .failInStream(let ending):
            guard wantsStream, hasHead, isUpstreamGone else { return "no stream to fail in" }
            reply = .failed(ending)
        default: return "\(order) is no order about the reply"
        }
        return nil
    }

    private var isUpstreamGone: Bool { upstream == .closed || upstream == .notCalled }

    private mutating func end(_ ending: Ending) -> String? {
        ended = ending
        guard isUpstreamGone else { return "an upstream is left behind" }
        switch (cause, reply) {
        case (.clientLeft, _): return ending == .clientLeft ? nil : "the client left: \(ending)"
        case (.clientStalled, _): return ending == .clientStalled ? nil : "it stalled: \(ending)"
        case (.cutOff(let reason), .none), (.cutOff(let reason), .head),
            (.cutOff(let reason), .complete):
            return ending == reason ? nil : "cut off for \(reason), ended \(ending)"
        case (.cutOff, .failed(let told)), (.replyDelivered, .failed(let told)):
            return ending == told ? nil : "told \(told), ended \(ending)"
        case (.replyDelivered, .complete):
            return ending == .completed ? nil : "delivered whole, ended \(ending)"
        default: return "an end for no reason"
        }
    }
}

extension Ledger.Reply {
    /// Whether nothing more may be said.
    var isOver: Bool {
        switch self {
        case .none, .head: false
        case .complete, .failed: true
        }
    }
}

extension [Order] {
    /// Whether the failure is answered by another try.
    fileprivate var asksAgain: Bool {
        if case .askAgain? = first { count == 1 } else { false }
    }
}

extension Fact {
    /// Whether nobody is left to tell anything.
    var endsAtOnce: Bool {
        switch self {
        case .clientLeft, .clientStalled, .cutOff: true
        default: false
        }
    }

    /// Whether the client has to hear of it.
    var isFailure: Bool {
        switch self {
        case .attemptFailed, .upstreamFailed, .deadlinePassed, .stopped: true
        default: false
        }
    }
}
