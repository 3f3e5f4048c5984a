// What a worker counts, and how /metrics gathers it from all workers.

internal import EventLoop
internal import HTTPTransport
internal import Observability
internal import Relay
internal import Routing

/// What workers say to each other. Each has its own thread, so all of it is values.
enum WorkerTalk: Sendable {
    /// All workers, the one that leads first. Sent once, when the last of them has begun.
    case colleagues([Mailbox<WorkerMessage>.Address])
    /// Somebody asks for metrics and wants everybody's share.
    case measure(scrape: Int, for: Mailbox<WorkerMessage>.Address)
    /// A worker's share of what was asked for.
    case measured(scrape: Int, MeterShare)
    /// May a request of this key go on? Only the leading worker is asked.
    case admit(question: Int, key: String, for: Mailbox<WorkerMessage>.Address?)
    /// The answer; no refusal means yes, and then the request has to be released.
    case decided(question: Int, key: String, KeyQuota.Refusal?)
    /// A request of this key has ended and used so many tokens.
    case release(key: String, tokens: Int)
    /// About the live page.
    case page(PageTalk)
}

/// One worker's share of an answer of /metrics.
struct MeterShare: Sendable {
    var metrics: Metrics
    var gauges: Gauges
    var keys: [KeyFigures] = []
}

/// What one worker counts, and the scrapes it is answering.
struct Meter {
    /// How many models have series of their own; `Metrics` says why there is a limit.
    static let modelLimit = 200
    /// How long a scrape waits for the other workers. They answer within a turn; Prometheus gives
    /// up after ten seconds, and a worker that is stuck must not hide what the others say.
    static let patience = Duration.seconds(1)

    var metrics = Metrics(modelLimit: modelLimit)
    /// All workers; empty until they are known, and where there is only one.
    var colleagues: [Mailbox<WorkerMessage>.Address] = []
    var scrapes: [Int: Scrape] = [:]
    var lastScrape = 0
}

/// A request for metrics that waits for the other workers.
struct Scrape {
    let incoming: IncomingRequest
    var report: MetricsReport
    var missing: Int
    let timer: Timer
}

extension Worker {
    // MARK: - Counting

    /// The one place where a request ends: it is counted and logged, both in the same word.
    func finished(_ record: RequestRecord) {
        meter.metrics.requestEnded(record)
        page.ended(record, at: log.now)
        log.write(record)
        release(key: record.admittedKey, tokens: record.tokens)
        stopIfDone()
    }

    /// The first event of an answer is here.
    func answerBegan(_ incoming: IncomingRequest, dispatched: Instant) -> TokenPace {
        let now = loop.now
        return meter.metrics.answerBegan(
            model: incoming.record.model, backend: incoming.record.backend,
            after: now.nanoseconds &- dispatched.nanoseconds, now: now.nanoseconds)
    }

    private var share: MeterShare {
        var gauges = Gauges()
        gauges.active = Int(truncatingIfNeeded: meter.metrics.received &- meter.metrics.ended)
        gauges.queued = sessions.values.count { $0.slot == .waiting }
        gauges.connections = server?.connectionCount ?? 0
        gauges.bodyBytes = server?.bodyBytes ?? 0
        gauges.unsentBytes = server?.unsentBytes ?? 0
        return MeterShare(
            metrics: meter.metrics, gauges: gauges, keys: ledger?.figures ?? [])
    }

    // MARK: - Answering

    /// Answers /metrics, as soon as every worker has given its share.
    func respondWithMetrics(_ incoming: IncomingRequest) {
        let mine = share
        var report = MetricsReport(mine.metrics, mine.gauges)
        report.keys = mine.keys
        report.backends = fleet.backends.map { ($0.name, $0.isUp) }
        report.version = Version.number
        let own = mailbox?.address
        let others = meter.colleagues.filter { $0 !== own }
        guard let own, !others.isEmpty else { return respond(incoming, with: report) }

        meter.lastScrape += 1
        let number = meter.lastScrape
        let timer = Timer(on: loop) { [unowned self] in finishScrape(number) }
        timer.arm(after: Meter.patience)
        meter.scrapes[number] = Scrape(
            incoming: incoming, report: report, missing: others.count, timer: timer)
        for other in others { other.send(.talk(.measure(scrape: number, for: own))) }
    }

    /// What another worker says.
    func hear(_ talk: WorkerTalk) {
        switch talk {
        case .colleagues(let all):
            meter.colleagues = all
            for talk in unsent { all[0].send(.talk(talk)) }
            unsent = []
        case .measure(let scrape, let asking):
            asking.send(.talk(.measured(scrape: scrape, share)))
        case .measured(let number, let share):
            // One that comes after the others were tired of waiting belongs to nothing.
            guard var scrape = meter.scrapes[number] else { return }
            scrape.report.merge(share.metrics, share.gauges)
            scrape.report.keys += share.keys
            scrape.missing -= 1
            meter.scrapes[number] = scrape
            if scrape.missing == 0 { finishScrape(number) }
        case .admit(let question, let key, let asking):
            guard let ledger else { return }
            asking?.send(
                .talk(.decided(question: question, key: key, ledger.admit(key))))
        case .decided(let question, let key, let refusal):
            decided(question: question, key: key, refusal)
        case .release(let key, let tokens): ledger?.release(key, tokens: tokens)
        case .page(let talk): hear(talk)
        }
    }

    private func finishScrape(_ number: Int) {
        guard let scrape = meter.scrapes.removeValue(forKey: number) else { return }
        // This may be the timer's own callback.
        loop.afterThisTurn { _ = scrape.timer }
        respond(scrape.incoming, with: scrape.report)
    }

    /// Requests that wait for other workers when everything is closed have their lines, too.
    func giveUpWaiting() {
        for question in questions.keys { drop(question: question, .shuttingDown) }
        for number in earlyRequests.keys { drop(early: number, .shuttingDown) }
        for inquiry in inquiries.values { inquiry.end(.shuttingDown) }
        let others =
            meter.scrapes.values.map(\.incoming) + desk.questions.values + page.takeAll()
        desk.questions = [:]
        for incoming in others {
            var record = incoming.record
            record.ending = .shuttingDown
            finished(record)
        }
        meter.scrapes = [:]
    }

    private func respond(_ incoming: IncomingRequest, with report: MetricsReport) {
        guard incoming.exchange.isOpen else {
            var record = incoming.record
            record.ending = .clientLeft
            record.totalMilliseconds = incoming.began.milliseconds(to: loop.now)
            return finished(record)
        }
        var report = report
        report.process = ProcessFigures.now
        let fields = [
            Reply.HeaderLine("Content-Type", PrometheusText.contentType),
            Reply.HeaderLine("x-request-id", incoming.identity.id),
        ]
        respond(
            incoming, Reply(status: 200, fields: fields, body: Array(report.prometheusText.utf8)))
    }
}
