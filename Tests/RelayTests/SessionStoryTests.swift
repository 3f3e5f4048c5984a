// What a session does, told as stories: the facts of one chat from its admission to its end, and
// the orders they give.

import Relay
import Testing

/// One chat.
struct Story: CustomTestStringConvertible, Sendable {
    let testDescription: String
    /// Facts, each with the orders that follow it.
    let turns: [(fact: Fact, orders: [Order])]

    init(_ title: String, _ turns: KeyValuePairs<Fact, [Order]>) {
        testDescription = title
        self.turns = turns.map { ($0.key, $0.value) }
    }
}

/// The one place where stories meet the machine.
private func expect(_ story: Story, wantsStream: Bool) {
    var machine = SessionMachine(wantsStream: wantsStream)
    for (step, turn) in story.turns.enumerated() {
        let orders = machine.receive(turn.fact)
        #expect(orders == turn.orders, "step \(step + 1): \(turn.fact)")
    }
    let isTold = story.turns.contains { turn in
        turn.orders.contains { if case .end = $0 { true } else { false } }
    }
    #expect(machine.hasEnded == isTold)
}

@Suite struct SessionStories {
    static let streams = [
        Story(
            "an answer is streamed from its first event to its last",
            [
                .admitted: [.callUpstream],
                .upstreamConnected: [],
                .firstEvent: [.startStream],
                .answerCompleted: [.releaseUpstream, .finishStream],
                .replyDelivered: [.end(.completed)],
            ]),
        Story(
            "an answer without any event is an empty stream",
            [
                .admitted: [.callUpstream],
                .upstreamConnected: [],
                .answerCompleted: [.releaseUpstream, .startStream, .finishStream],
                .replyDelivered: [.end(.completed)],
            ]),
        Story(
            "a verdict that is long in coming has its head sent before it",
            [
                .admitted: [.callUpstream],
                .upstreamConnected: [],
                .headGracePassed: [.startStream, .sendHead],
                .firstEvent: [],
                .answerCompleted: [.releaseUpstream, .finishStream],
                .replyDelivered: [.end(.completed)],
            ]),
        Story(
            "a client that is told it waits is told inside the stream that it waited in vain",
            [
                .headGracePassed: [.startStream, .sendHead],
                .deadlinePassed(.queueTimeout): [.failInStream(.queueTimeout)],
                .replyDelivered: [.end(.queueTimeout)],
            ]),
        Story(
            "a slow client pauses the upstream, as often as it falls behind",
            [
                .admitted: [.callUpstream],
                .upstreamConnected: [],
                .firstEvent: [.startStream],
                .clientBlocked: [.pauseUpstream],
                .clientBlocked: [],
                .clientDrained: [.resumeUpstream],
                .clientDrained: [],
                .clientBlocked: [.pauseUpstream],
                .clientDrained: [.resumeUpstream],
                .answerCompleted: [.releaseUpstream, .finishStream],
                .replyDelivered: [.end(.completed)],
            ]),
        Story(
            "a client that stalls while the upstream is paused is dropped",
            [
                .admitted: [.callUpstream],
                .firstEvent: [.startStream],
                .clientBlocked: [.pauseUpstream],
                .clientStalled: [.abortUpstream, .end(.clientStalled)],
            ]),
        Story(
            "a failure after the first event is told inside the stream and never tried elsewhere",
            [
                .admitted: [.callUpstream],
                .upstreamConnected: [],
                .firstEvent: [.startStream],
                .attemptFailed(.upstreamClosed): [
                    .abortUpstream, .failInStream(.upstreamClosed),
                ],
                .replyDelivered: [.end(.upstreamClosed)],
            ]),
        Story(
            "the next backend is tried although comments were sent",
            [
                .admitted: [.callUpstream],
                .headGracePassed: [.startStream, .sendHead],
                .attemptFailed(.connectTimeout): [.askAgain(.connectTimeout)],
                .admitted: [.callUpstream],
                .upstreamConnected: [],
                .firstEvent: [],
                .answerCompleted: [.releaseUpstream, .finishStream],
                .replyDelivered: [.end(.completed)],
            ]),
        Story(
            "shutting down tells a stream of it",
            [
                .admitted: [.callUpstream],
                .firstEvent: [.startStream],
                .stopped(.shuttingDown): [.abortUpstream, .failInStream(.shuttingDown)],
                .cutOff(.shuttingDown): [.end(.shuttingDown)],
            ]),
        Story(
            "an answer that is cut off before the client has it was not given whole",
            [
                .admitted: [.callUpstream],
                .firstEvent: [.startStream],
                .answerCompleted: [.releaseUpstream, .finishStream],
                .cutOff(.shuttingDown): [.end(.shuttingDown)],
            ]),
        Story(
            "a client that leaves before it has read all has left",
            [
                .admitted: [.callUpstream],
                .firstEvent: [.startStream],
                .answerCompleted: [.releaseUpstream, .finishStream],
                .clientLeft: [.end(.clientLeft)],
            ]),
    ]

    @Test(arguments: streams)
    func ofAStream(_ story: Story) { expect(story, wantsStream: true) }

    static let completions = [
        Story(
            "a whole completion is sent when the answer is whole",
            [
                .admitted: [.callUpstream],
                .upstreamConnected: [],
                .firstEvent: [],
                .answerCompleted: [.releaseUpstream, .sendCompletion],
                .replyDelivered: [.end(.completed)],
            ]),
        Story(
            "its client waits for the status however long that takes",
            [
                .admitted: [.callUpstream],
                .headGracePassed: [],
                .deadlinePassed(.firstTokenTimeout): [
                    .abortUpstream, .failWithStatus(.firstTokenTimeout),
                ],
                .replyDelivered: [.end(.firstTokenTimeout)],
            ]),
        Story(
            "a failure after tokens have come has a status and no second run",
            [
                .admitted: [.callUpstream],
                .upstreamConnected: [],
                .firstEvent: [],
                .attemptFailed(.upstreamClosed): [
                    .abortUpstream, .failWithStatus(.upstreamClosed),
                ],
                .replyDelivered: [.end(.upstreamClosed)],
            ]),
    ]

    @Test(arguments: completions)
    func ofAWholeCompletion(_ story: Story) { expect(story, wantsStream: false) }

    static let both = [
        Story(
            "a queued client that leaves never reaches an upstream",
            [.clientLeft: [.end(.clientLeft)], .admitted: []]),
        Story(
            "a client that leaves between two tries reaches no second upstream",
            [
                .admitted: [.callUpstream],
                .attemptFailed(.upstreamClosed): [.askAgain(.upstreamClosed)],
                .clientLeft: [.end(.clientLeft)], .admitted: [],
            ]),
        Story(
            "a full queue has a status of its own",
            [
                .refused(.queueFull): [.failWithStatus(.queueFull)],
                .replyDelivered: [.end(.queueFull)],
            ]),
        Story(
            "a failure before the first event has a status of its own",
            [
                .admitted: [.callUpstream],
                .upstreamConnected: [],
                .upstreamFailed(.upstreamRefused): [
                    .abortUpstream, .failWithStatus(.upstreamRefused),
                ],
                .replyDelivered: [.end(.upstreamRefused)],
            ]),
        Story(
            "every backend is tried, and the last one's failure is told",
            [
                .admitted: [.callUpstream],
                .attemptFailed(.upstreamUnreachable): [.askAgain(.upstreamUnreachable)],
                .admitted: [.callUpstream],
                .upstreamConnected: [],
                .attemptFailed(.upstreamFailed): [.askAgain(.upstreamFailed)],
                .admitted: [.callUpstream],
                .attemptFailed(.connectTimeout): [.askAgain(.connectTimeout)],
                .refused(.connectTimeout): [.failWithStatus(.connectTimeout)],
                .replyDelivered: [.end(.connectTimeout)],
            ]),
        Story(
            "a client that leaves takes the upstream with it",
            [
                .admitted: [.callUpstream],
                .upstreamConnected: [],
                .clientLeft: [.abortUpstream, .end(.clientLeft)],
            ]),
        Story(
            "a second signal ends what nobody was asked for yet",
            [.cutOff(.shuttingDown): [.end(.shuttingDown)], .admitted: []]),
        Story(
            "a second signal ends what an upstream is working on",
            [
                .admitted: [.callUpstream],
                .cutOff(.shuttingDown): [.abortUpstream, .end(.shuttingDown)],
            ]),
        Story(
            "a failure that is cut off keeps its reason",
            [
                .admitted: [.callUpstream],
                .upstreamFailed(.upstreamProtocol): [
                    .abortUpstream, .failWithStatus(.upstreamProtocol),
                ],
                .cutOff(.shuttingDown): [.end(.upstreamProtocol)],
            ]),
        Story(
            "the upstream's late words mean nothing",
            [
                .admitted: [.callUpstream],
                .deadlinePassed(.totalTimeout): [
                    .abortUpstream, .failWithStatus(.totalTimeout),
                ],
                .upstreamConnected: [], .firstEvent: [], .answerCompleted: [],
                .attemptFailed(.upstreamClosed): [], .refused(.queueFull): [],
                .upstreamFailed(.upstreamClosed): [], .deadlinePassed(.tokenTimeout): [],
                .headGracePassed: [], .stopped(.shuttingDown): [],
                .replyDelivered: [.end(.totalTimeout)],
                .clientLeft: [], .clientStalled: [], .cutOff(.shuttingDown): [],
            ]),
    ]

    @Test(arguments: both, [true, false])
    func ofEither(_ story: Story, _ wantsStream: Bool) { expect(story, wantsStream: wantsStream) }
}
