// Those who look at the live page: as events, or once.

internal import Chat
internal import EventLoop
internal import Framing
internal import HTTPTransport
internal import Relay

/// A page, or a terminal, that is told the figures every second.
final class PageWatcher: ExchangeObserver {
    let incoming: IncomingRequest
    private unowned let worker: Worker
    /// Which requests that have ended it has been told of.
    private var recentVersion: UInt64?

    init(_ worker: Worker, _ incoming: IncomingRequest) {
        self.worker = worker
        self.incoming = incoming
    }

    func begin() {
        incoming.exchange.observer = self
        incoming.exchange.startStream(ClientProtocol.openAI.streamFields(incoming.identity.id))
        incoming.exchange.flush()
    }

    /// Whether it has not taken all that it was sent.
    var isBehind: Bool { incoming.exchange.hasUnsentBytes }

    /// Sends the figures; the list of what has ended only if it is another one. `buffer` begins
    /// with room for the chunk's head, and comes back with nothing else.
    func show(_ snapshot: PageSnapshot, through buffer: inout [UInt8]) {
        buffer.append("event: state\ndata: ")
        buffer.append(contentsOf: snapshot.state)
        buffer.append("}\n\n")
        if recentVersion != snapshot.recentVersion {
            recentVersion = snapshot.recentVersion
            buffer.append("event: recent\ndata: ")
            buffer.append(contentsOf: snapshot.recent)
            buffer.append("\n\n")
        }
        incoming.exchange.write(&buffer)
        buffer.removeSubrange(ChunkFraming.headroom...)
    }

    /// There will be no more.
    func end() {
        incoming.exchange.observer = nil
        var buffer = [UInt8](repeating: 0, count: ChunkFraming.headroom)
        incoming.exchange.finishStream(&buffer)
    }

    func clientLeft() { worker.ended(self, .clientLeft) }
    func clientStalled() { worker.ended(self, .clientStalled) }
    // Whoever is behind is passed over.
    func clientBlocked() {}
    func clientDrained() {}
    func replyDelivered() {}
}

/// A request whose answer somebody else has to give first.
final class PageQuestion: ExchangeObserver {
    enum News {
        case snapshot(PageSnapshot)
        /// Whether the request that was to be stopped was there.
        case stopped(Bool)
    }

    /// Longer than a look takes; a worker that is stuck must not keep an operator waiting.
    private static let patience = Duration.seconds(2)

    let number: Int
    let incoming: IncomingRequest
    private unowned let worker: Worker
    private let take: (IncomingRequest, News) -> Bool
    private var timer: Timer?

    init(
        _ worker: Worker, _ number: Int, _ incoming: IncomingRequest,
        _ take: @escaping (IncomingRequest, News) -> Bool
    ) {
        self.worker = worker
        self.number = number
        self.incoming = incoming
        self.take = take
        timer = Timer(on: worker.loop) { [unowned self] in isLate() }
    }

    func begin() {
        incoming.exchange.observer = self
        timer?.arm(after: Self.patience)
    }

    /// Hears of news, which may be for others.
    func answer(_ news: News) {
        guard worker.page.questions[number] != nil else { return }
        incoming.exchange.observer = nil
        if take(incoming, news) { forget() } else { incoming.exchange.observer = self }
    }

    private func forget() {
        timer?.cancel()
        worker.page.questions[number] = nil
        // This may be one of its callbacks.
        worker.loop.afterThisTurn { _ = self }
        worker.stopIfDone()
    }

    private func isLate() {
        incoming.exchange.observer = nil
        worker.refuse(
            incoming, APIError(.overloaded, "A worker of Sluice does not answer in time."))
        forget()
    }

    private func gone(_ ending: Ending) {
        incoming.exchange.observer = nil
        var record = incoming.record
        record.ending = ending
        record.totalMilliseconds = incoming.began.milliseconds(to: worker.loop.now)
        worker.finished(record)
        forget()
    }

    func clientLeft() { gone(.clientLeft) }
    func clientStalled() { gone(.clientStalled) }
    // Nothing has been sent yet.
    func clientBlocked() {}
    func clientDrained() {}
    func replyDelivered() {}
}
