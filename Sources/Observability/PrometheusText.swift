// Prometheus's text format, version 0.0.4: how metrics leave.

/// Writes metrics in the text format that Prometheus scrapes
/// (https://prometheus.io/docs/instrumenting/exposition_formats/).
public struct PrometheusText {
    /// The media type of the format.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// What has been written so far, UTF-8.
    public private(set) var text = ""

    /// Begins with nothing.
    public init() {}

    /// Writes a metric's HELP and TYPE. Its samples have to follow at once.
    mutating func begin(_ metric: Metric) {
        text += "# HELP \(metric.name) \(Self.escaped(metric.meaning, quote: false))\n"
        text += "# TYPE \(metric.name) \(metric.kind.rawValue)\n"
    }

    /// Writes a metric that has one value and no labels.
    mutating func single(_ metric: Metric, _ value: Double) {
        begin(metric)
        sample(metric, [], value)
    }

    /// Writes one value. `values` belong to the metric's labels, in their order.
    mutating func sample(_ metric: Metric, _ values: [String], _ value: Double) {
        line(metric.name, Self.pairs(metric, values), value)
    }

    /// Writes the buckets, the sum in seconds and the count of a histogram.
    mutating func histogram(_ metric: Metric, _ values: [String], _ histogram: Histogram) {
        let pairs = Self.pairs(metric, values)
        var total: UInt64 = 0
        for (bucket, count) in histogram.counts.enumerated() {
            // Prometheus wants buckets that include the smaller ones.
            total &+= count
            let isLast = bucket == histogram.bounds.count
            let bound = isLast ? "+Inf" : Self.seconds(histogram.bounds[bucket])
            line(metric.name + "_bucket", pairs + [("le", bound)], Double(total))
        }
        line(metric.name + "_sum", pairs, histogram.sum / 1_000_000_000)
        line(metric.name + "_count", pairs, Double(total))
    }

    private static func pairs(_ metric: Metric, _ values: [String]) -> [(String, String)] {
        precondition(metric.labels.count == values.count)
        return Array(zip(metric.labels, values))
    }

    private mutating func line(_ name: String, _ pairs: [(String, String)], _ value: Double) {
        text += name
        for (position, (label, value)) in pairs.enumerated() {
            text += position == 0 ? "{" : ","
            text += "\(label)=\"\(Self.escaped(value, quote: true))\""
        }
        if !pairs.isEmpty { text += "}" }
        text += " \(Self.number(value))\n"
    }

    /// Whole numbers without a point, as counters are usually written; others as Swift does, which
    /// is a form that Go's ParseFloat reads.
    private static func number(_ value: Double) -> String {
        // Above 2^53 not every integer is a Double; the exponent then says so.
        guard value == value.rounded(), abs(value) < 9e15 else { return "\(value)" }
        return "\(Int64(value))"
    }

    /// A bound as a decimal number without zeros at its end: 2.5, 60.
    private static func seconds(_ nanoseconds: Int64) -> String {
        let (whole, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        guard rest != 0 else { return "\(whole)" }
        let digits = String(rest)
        let padded = String(repeating: "0", count: 9 - digits.count) + digits
        return "\(whole)."
            + padded.prefix(padded.lastIndex { $0 != "0" }.map(padded.distanceTo) ?? 9)
    }

    /// Label values escape backslash, quote and line feed; help texts all but the quote.
    private static func escaped(_ text: String, quote: Bool) -> String {
        var result = ""
        // Scalars and not characters: a quote with an accent on it ends a label all the same.
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quote: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

extension String {
    /// How many characters there are up to and with the one at `index`.
    fileprivate func distanceTo(_ index: Index) -> Int { distance(from: startIndex, to: index) + 1 }
}
