// What a worker has counted: one value per worker, added up by whoever answers /metrics.

internal import Relay

/// The counters and histograms of one worker.
///
/// A plain value: the worker changes it in place, and sends a copy to the one that was asked. There
/// is nothing to lock.
public struct Metrics: Sendable {
    /// What is counted for one model on one backend.
    struct Series: Sendable {
        let model: String
        let backend: String
        /// Requests by ending, in the order of `Ending.allCases`.
        var endings = [UInt64](repeating: 0, count: Ending.allCases.count)
        var inputTokens: UInt64 = 0
        var outputTokens: UInt64 = 0
        var firstToken = Histogram(bounds: Histogram.firstTokenBounds)
        var perToken = Histogram(bounds: Histogram.tokenBounds)
        var queue = Histogram(bounds: Histogram.queueBounds)
        var duration = Histogram(bounds: Histogram.durationBounds)

        init(model: String, backend: String) {
            self.model = model
            self.backend = backend
        }

        /// Adds another worker's counts.
        mutating func merge(_ other: Series) {
            for place in endings.indices { endings[place] &+= other.endings[place] }
            inputTokens &+= other.inputTokens
            outputTokens &+= other.outputTokens
            firstToken.merge(other.firstToken)
            perToken.merge(other.perToken)
            queue.merge(other.queue)
            duration.merge(other.duration)
        }
    }

    private struct Names: Hashable {
        let model: String
        let backend: String
    }

    /// Requests that have arrived.
    public private(set) var received: UInt64 = 0
    private(set) var series: [Series] = []
    private var places: [Names: Int] = [:]
    /// The place that was asked for last: mostly it is the next one, too.
    private var lastPlace = 0
    private let modelLimit: Int
    private var models: Set<String> = []

    /// The name that models beyond the limit share. Nothing that an upstream lists looks like it.
    public static let otherModels = "(other)"
    /// Model names are an upstream's or, under a wildcard, a client's: longer ones count as others.
    static let longestModelName = 128

    /// Counts nothing yet. At most `modelLimit` models have series of their own: wildcards in the
    /// configuration let clients make names up, and every name costs Prometheus a hundred series.
    public init(modelLimit: Int) {
        self.modelLimit = modelLimit
        // Requests that no backend is asked for. The series is there from the start, so that a
        // first refusal is a rise from 0, which Prometheus's rate() sees.
        _ = place(model: nil, backend: nil)
    }

    // MARK: - Counting

    /// A request has arrived.
    public mutating func requestArrived() { received &+= 1 }

    /// A request has ended; each is counted once.
    public mutating func requestEnded(_ record: RequestRecord) {
        let place = place(
            model: record.isForKnownModel ? record.model : nil, backend: record.backend)
        guard let ending = Ending.allCases.firstIndex(of: record.ending) else { return }
        series[place].endings[ending] &+= 1
        guard record.backend != nil else { return }
        series[place].inputTokens &+= Self.sane(record.promptTokens)
        series[place].outputTokens &+= Self.sane(record.completionTokens)
        series[place].duration.observe(Int64(record.totalMilliseconds) &* 1_000_000)
        if let wait = record.queueMilliseconds {
            series[place].queue.observe(Int64(wait) &* 1_000_000)
        }
    }

    /// The counts are an upstream's, which may say anything.
    private static func sane(_ tokens: Int?) -> UInt64 {
        UInt64(min(max(0, tokens ?? 0), 1 << 32))
    }

    /// The first event of an answer has come after so many nanoseconds; the pace of its tokens is
    /// measured from here on.
    public mutating func answerBegan(
        model: String?, backend: String?, after nanoseconds: Int64, now: Int64
    ) -> TokenPace {
        let place = place(model: model, backend: backend)
        series[place].firstToken.observe(nanoseconds)
        return TokenPace(series: place, last: now)
    }

    /// So many events have come in one read. The time since the last ones is shared out among them:
    /// then sum and count are right, and a batch does not look like one slow token.
    public mutating func eventsArrived(_ events: Int, _ pace: inout TokenPace, now: Int64) {
        defer { pace.last = now }
        guard pace.series >= 0, pace.last > 0, events > 0 else { return }
        let gap = now &- pace.last
        // One event in a read is the rule, and a division costs as much as all the rest.
        let share = events == 1 ? gap : gap / Int64(events)
        series[pace.series].perToken.observe(share, times: events)
    }

    private mutating func place(model: String?, backend: String?) -> Int {
        let (model, backend) = (model ?? "", backend ?? "")
        if lastPlace < series.count, series[lastPlace].model == model,
            series[lastPlace].backend == backend
        {
            return lastPlace
        }
        let names = Names(model: labelled(model), backend: backend)
        if let place = places[names] {
            lastPlace = place
        } else {
            places[names] = series.count
            lastPlace = series.count
            series.append(Series(model: names.model, backend: names.backend))
        }
        return lastPlace
    }

    private mutating func labelled(_ model: String) -> String {
        if model.isEmpty || models.contains(model) { return model }
        guard models.count < modelLimit, model.utf8.count <= Self.longestModelName else {
            return Self.otherModels
        }
        models.insert(model)
        return model
    }

    // MARK: - Adding up

    /// Adds what another worker has counted.
    public mutating func merge(_ other: Metrics) {
        received &+= other.received
        for theirs in other.series {
            series[place(model: theirs.model, backend: theirs.backend)].merge(theirs)
        }
    }

    /// All endings of all series: the requests that have ended.
    public var ended: UInt64 {
        series.reduce(0) { $1.endings.reduce($0, &+) }
    }
}

extension RequestRecord {
    /// Whether the model was found; before that, its name is only what a client said.
    fileprivate var isForKnownModel: Bool {
        switch ending {
        case .refused, .shuttingDown, .requestTimeout, .internal: backend != nil
        case .completed, .clientLeft, .clientStalled, .stoppedByOperator, .queueFull,
            .upstreamRefused, .upstreamUnreachable, .upstreamFailed, .upstreamClosed,
            .upstreamProtocol, .connectTimeout, .queueTimeout, .firstTokenTimeout, .tokenTimeout,
            .totalTimeout:
            true
        }
    }
}

/// How the tokens of one answer follow each other. Held by its session, filled by `Metrics`.
public struct TokenPace: Sendable {
    let series: Int
    /// When the last event came; 0 while nothing can be measured.
    var last: Int64

    /// Nothing has come yet.
    public init() { self.init(series: -1, last: 0) }

    init(series: Int, last: Int64) {
        self.series = series
        self.last = last
    }

    /// The upstream is not being read: what passes until its next event is not its doing.
    public mutating func interrupt() { last = 0 }
}
