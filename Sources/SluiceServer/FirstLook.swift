// Requests that come before every backend has been asked once: they wait for what is found.

internal import Chat
internal import EventLoop
internal import HTTPTransport
internal import Relay

extension Worker {
    /// How long a request waits. Backends on this machine have answered after some milliseconds; one
    /// that does not answer must not make mistakes in names look like a Sluice that hangs.
    private static let patience = Duration.seconds(2)

    /// Whether the request came before it could be known what there is: at the start, and after a
    /// reload that brought a backend.
    func isEarly(_ incoming: IncomingRequest) -> Bool {
        !fleet.hasLooked && !isDraining && loop.now < incoming.began + Self.patience
    }

    /// Holds an early request, and answers it anew when more is known or its patience ends.
    func hold(_ incoming: IncomingRequest) {
        lastEarly += 1
        let number = lastEarly
        let early = EarlyRequest(self, number, incoming)
        earlyRequests[number] = early
        incoming.exchange.observer = early
        early.timer.arm(after: incoming.began + Self.patience - loop.now)
    }

    /// More is known of the backends.
    func resumeEarlyRequests() {
        for number in earlyRequests.keys.sorted() { resume(early: number) }
    }

    fileprivate func resume(early number: Int) {
        guard let early = earlyRequests.removeValue(forKey: number) else { return }
        release(early)
        guard let endpoint = Endpoint(path: early.incoming.path) else { return }
        answer(early.incoming, at: endpoint)
    }

    /// The client has left, or everything ends.
    func drop(early number: Int, _ ending: Ending) {
        guard let early = earlyRequests.removeValue(forKey: number) else { return }
        release(early)
        var record = early.incoming.record
        record.ending = ending
        record.totalMilliseconds = early.incoming.began.milliseconds(to: loop.now)
        finished(record)
        stopIfDone()
    }

    private func release(_ early: EarlyRequest) {
        early.incoming.exchange.observer = nil
        // This may be a callback of its own or of its timer.
        loop.afterThisTurn { _ = early }
    }
}

/// A request that waits until the backends have been asked.
final class EarlyRequest: ExchangeObserver {
    let incoming: IncomingRequest
    let timer: Timer
    private let number: Int
    private unowned let worker: Worker

    init(_ worker: Worker, _ number: Int, _ incoming: IncomingRequest) {
        (self.worker, self.number, self.incoming) = (worker, number, incoming)
        timer = Timer(on: worker.loop) { [unowned worker] in worker.resume(early: number) }
    }

    func clientLeft() { worker.drop(early: number, .clientLeft) }
    func clientStalled() { worker.drop(early: number, .clientStalled) }
    // Nothing has been sent yet.
    func clientBlocked() {}
    func clientDrained() {}
    func replyDelivered() {}
}

extension APIError {
    /// Whether it says that there is no such model, or nobody for it: which another backend may
    /// change.
    var isAboutWhatThereIs: Bool {
        switch code {
        case .noBackend, .modelNotFound: true
        case .missingField: param == "model"
        default: false
        }
    }
}
