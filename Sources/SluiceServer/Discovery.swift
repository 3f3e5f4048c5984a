// Asks all backends once, for the commands that only look.

internal import Configuration
internal import HTTPTransport

/// One round of questions to every backend. Lives on one loop.
final class Discovery {
    /// For one question.
    static let patience = Duration.seconds(5)

    private let probes: [Probe]
    private let finished: ([BackendState]) -> Void

    /// `finished` is called once, when all have answered or were waited for in vain.
    init(
        through pool: ConnectionPool, _ backends: [BackendSettings],
        finished: @escaping ([BackendState]) -> Void
    ) {
        self.finished = finished
        probes = backends.map { Probe(through: pool, $0, patience: Self.patience) }
    }

    /// Asks every backend now.
    func start() {
        for probe in probes {
            probe.begin(.full, checked: { _ in }) { [unowned self] _ in
                guard probes.allSatisfy(\.hasFinishedOnce) else { return }
                finished(probes.map(\.state))
            }
        }
    }
}
