// Everything that /metrics tells, from what all workers have said.

internal import Relay

/// What of a worker is as large as it is right now. Workers' gauges add up.
public struct Gauges: Sendable, Equatable {
    /// Requests that have not ended.
    public var active = 0
    /// Those of them that wait for a slot.
    public var queued = 0
    /// Connections of clients.
    public var connections = 0
    /// Bytes of request bodies.
    public var bodyBytes = 0
    /// Bytes of answers that clients have not taken.
    public var unsentBytes = 0

    /// All zero.
    public init() {}

    /// Adds another worker's.
    public mutating func merge(_ other: Gauges) {
        active += other.active
        queued += other.queued
        connections += other.connections
        bodyBytes += other.bodyBytes
        unsentBytes += other.unsentBytes
    }
}

/// What the operating system says about the process.
public struct ProcessFigures: Sendable, Equatable {
    /// When it began, in seconds since 1970.
    public var startTime: Double
    /// Processor time, in seconds.
    public var processorSeconds: Double
    /// Memory in use.
    public var residentBytes: Int
    /// Descriptors in use.
    public var openDescriptors: Int
    /// Descriptors it may have.
    public var maxDescriptors: Int

    /// All of them.
    public init(
        startTime: Double, processorSeconds: Double, residentBytes: Int,
        descriptors: (open: Int, max: Int)
    ) {
        self.startTime = startTime
        self.processorSeconds = processorSeconds
        self.residentBytes = residentBytes
        (openDescriptors, maxDescriptors) = descriptors
    }
}

/// What one key has used.
public struct KeyFigures: Sendable, Equatable {
    /// The key's name.
    public var name: String
    /// Tokens since midnight UTC, and how many there may be; `nil` without such a limit.
    public var tokens: (today: Int, limit: Int)?
    /// Requests that run.
    public var active: Int
    /// Requests refused, by the name of the setting that was reached.
    public var refused: [(limit: String, count: UInt64)]

    /// All of them.
    public init(
        name: String, tokens: (today: Int, limit: Int)?, active: Int,
        refused: [(limit: String, count: UInt64)]
    ) {
        self.name = name
        self.tokens = tokens
        self.active = active
        self.refused = refused
    }

    /// Compares all fields; tuples have no comparison of their own.
    public static func == (left: KeyFigures, right: KeyFigures) -> Bool {
        left.name == right.name && left.active == right.active
            && left.tokens?.today == right.tokens?.today
            && left.tokens?.limit == right.tokens?.limit
            && left.refused.map(\.limit) == right.refused.map(\.limit)
            && left.refused.map(\.count) == right.refused.map(\.count)
    }
}

/// What one answer of /metrics holds.
public struct MetricsReport: Sendable {
    /// The counts of all workers.
    public var metrics: Metrics
    /// The gauges of all workers.
    public var gauges: Gauges
    /// How many workers that were.
    public var workers = 1
    /// The backends and whether they are up.
    public var backends: [(name: String, isUp: Bool)] = []
    /// The keys that have limits.
    public var keys: [KeyFigures] = []
    /// What the system says; `nil` if it says nothing.
    public var process: ProcessFigures?
    /// The version of the program.
    public var version = ""

    /// Begins with one worker's share.
    public init(_ metrics: Metrics, _ gauges: Gauges) {
        self.metrics = metrics
        self.gauges = gauges
    }

    /// Adds another worker's share.
    public mutating func merge(_ metrics: Metrics, _ gauges: Gauges) {
        self.metrics.merge(metrics)
        self.gauges.merge(gauges)
        workers += 1
    }

    /// The answer's body, in Prometheus's text format.
    public var prometheusText: String {
        var output = PrometheusText()
        output.single(.received, Double(metrics.received))
        appendCounters(to: &output)
        appendHistograms(to: &output)
        output.single(.active, Double(gauges.active))
        output.single(.queued, Double(gauges.queued))
        output.single(.connections, Double(gauges.connections))
        output.single(.bodyBytes, Double(gauges.bodyBytes))
        output.single(.unsentBytes, Double(gauges.unsentBytes))
        if !backends.isEmpty { output.begin(.backendUp) }
        for backend in backends {
            output.sample(.backendUp, [backend.name], backend.isUp ? 1 : 0)
        }
        appendKeys(to: &output)
        output.single(.workers, Double(workers))
        output.begin(.build)
        output.sample(.build, [version], 1)
        appendProcess(to: &output)
        return output.text
    }

    private func appendCounters(to output: inout PrometheusText) {
        output.begin(.requests)
        for series in metrics.series {
            for (ending, count) in zip(Ending.allCases, series.endings) {
                output.sample(
                    .requests, [series.model, series.backend, ending.rawValue], Double(count))
            }
        }
        output.begin(.tokens)
        for series in metrics.series {
            for (type, count) in [("input", series.inputTokens), ("output", series.outputTokens)] {
                output.sample(.tokens, [series.model, series.backend, type], Double(count))
            }
        }
    }

    private func appendHistograms(to output: inout PrometheusText) {
        let histograms: [(Metric, (Metrics.Series) -> Histogram)] = [
            (.firstToken, \.firstToken), (.perToken, \.perToken), (.queue, \.queue),
            (.duration, \.duration),
        ]
        // Without a backend nothing is measured.
        let measured = metrics.series.filter { !$0.backend.isEmpty }
        for (metric, histogram) in histograms where !measured.isEmpty {
            output.begin(metric)
            for series in measured {
                output.histogram(metric, [series.model, series.backend], histogram(series))
            }
        }
    }

    private func appendKeys(to output: inout PrometheusText) {
        guard !keys.isEmpty else { return }
        let limited = keys.compactMap { key in key.tokens.map { (key.name, $0) } }
        if !limited.isEmpty {
            output.begin(.keyTokens)
            for (name, tokens) in limited {
                output.sample(.keyTokens, [name], Double(tokens.today))
            }
            output.begin(.keyLimit)
            for (name, tokens) in limited { output.sample(.keyLimit, [name], Double(tokens.limit)) }
        }
        output.begin(.keyActive)
        for key in keys { output.sample(.keyActive, [key.name], Double(key.active)) }
        output.begin(.keyRefused)
        for key in keys {
            for (limit, count) in key.refused {
                output.sample(.keyRefused, [key.name, limit], Double(count))
            }
        }
    }

    private func appendProcess(to output: inout PrometheusText) {
        guard let process else { return }
        output.single(.startTime, process.startTime)
        output.single(.processor, process.processorSeconds)
        output.single(.residentBytes, Double(process.residentBytes))
        output.single(.openDescriptors, Double(process.openDescriptors))
        output.single(.maxDescriptors, Double(process.maxDescriptors))
    }
}
