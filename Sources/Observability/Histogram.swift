// Counts of durations by size: what a Prometheus histogram is made of.

/// How often durations of which size were seen.
///
/// The bounds are fixed, so that instances of several workers can be added up and queries compare
/// like with like for years.
public struct Histogram: Sendable, Equatable {
    /// Upper bounds in nanoseconds, each included in its bucket (`le`), in rising order.
    public let bounds: [Int64]
    /// Observations by bucket, each on its own; the last one is for what is above every bound.
    public private(set) var counts: [UInt64]
    /// All durations added up, in nanoseconds. In 64 bits of integer, ten thousand streams would
    /// have overflowed after eleven days.
    public private(set) var sum: Double = 0

    /// Makes one without observations. `bounds` rise.
    public init(bounds: [Int64]) {
        self.bounds = bounds
        counts = [UInt64](repeating: 0, count: bounds.count + 1)
    }

    /// How many durations were observed.
    public var count: UInt64 { counts.reduce(0, &+) }

    /// Counts `times` durations of so many nanoseconds each. A negative one counts as none at all.
    public mutating func observe(_ nanoseconds: Int64, times: Int = 1) {
        let value = max(0, nanoseconds)
        // From below: tokens come fast, and a dozen compares of neighbours cost less than the
        // branches of a binary search.
        var bucket = 0
        while bucket < bounds.count, value > bounds[bucket] { bucket += 1 }
        counts[bucket] &+= UInt64(truncatingIfNeeded: times)
        sum += Double(value) * Double(times)
    }

    /// Adds another worker's observations. Both have the same bounds.
    public mutating func merge(_ other: Histogram) {
        precondition(bounds == other.bounds)
        for bucket in counts.indices { counts[bucket] &+= other.counts[bucket] }
        sum += other.sum
    }
}

extension Histogram {
    private static func seconds(_ values: [Double]) -> [Int64] {
        values.map { Int64(($0 * 1_000_000_000).rounded()) }
    }

    /// Bounds for the time to the first token: those that OpenTelemetry advises for
    /// `gen_ai.server.time_to_first_token` (semantic conventions, GenAI metrics), and longer ones,
    /// since prompts on a household's machine take minutes.
    public static let firstTokenBounds = seconds([
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30,
        60, 120, 300, 600, 1800,
    ])

    /// Bounds for the time between tokens: those of `gen_ai.server.time_per_output_token`, with
    /// shorter ones for small models and longer ones for models that do not fit into memory.
    public static let tokenBounds = seconds([
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1,
        2.5, 10, 60,
    ])

    /// Bounds for whole requests: those of `gen_ai.server.request.duration`, and longer ones.
    public static let durationBounds = seconds([
        0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
        163.84, 327.68, 655.36, 1310.72,
    ])

    /// Bounds for the wait for a slot. OpenTelemetry has none; `queue` is ten minutes by default.
    public static let queueBounds = seconds([
        0.001, 0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
    ])
}
