// The text that Prometheus scrapes: its grammar, and that it holds every metric of the table.

import Relay
import Testing

@testable import Observability

@Suite struct TextForPrometheus {
    /// A report in which every metric has something to say.
    static let report: MetricsReport = {
        var metrics = Metrics(modelLimit: 3)
        metrics.requestArrived()
        var pace = metrics.answerBegan(
            model: "tiny", backend: "gpu", after: 30_000_000, now: 1_000_000_000)
        metrics.eventsArrived(1, &pace, now: 1_020_000_000)
        var record = RequestRecord(
            id: "1", method: "POST", path: "/", ending: .completed, totalMilliseconds: 100)
        (record.model, record.backend, record.queueMilliseconds) = ("tiny", "gpu", 3)
        metrics.requestEnded(record)
        var gauges = Gauges()
        gauges.connections = 7
        var report = MetricsReport(metrics, gauges)
        report.backends = [("gpu", true), ("box", false)]
        report.keys = [
            KeyFigures(
                name: "alice", tokens: (12, 100), active: 1, refused: [("max_in_flight", 2)])
        ]
        report.process = ProcessFigures(
            startTime: 1.5, processorSeconds: 0.25, residentBytes: 4096, descriptors: (9, 1024))
        report.version = "1.0"
        return report
    }()

    static let lines = report.prometheusText.split(
        separator: "\n", omittingEmptySubsequences: false)

    @Test func everyMetricOfTheTableIsThereOnceAndNoOther() {
        let types = Self.lines.filter { $0.hasPrefix("# TYPE ") }
        #expect(types == Metric.all.map { "# TYPE \($0.name) \($0.kind.rawValue)" })
        let helps = Self.lines.filter { $0.hasPrefix("# HELP ") }
        #expect(helps == Metric.all.map { "# HELP \($0.name) \($0.meaning)" })
    }

    @Test func everySampleBelongsToTheMetricBeforeItAndHasItsLabels() {
        var metric: Metric?
        for line in Self.lines.dropLast() {
            if line.hasPrefix("#") {
                metric = Metric.all.first { line.hasPrefix("# TYPE \($0.name) ") }
                continue
            }
            guard let metric else {
                Issue.record("\(line) belongs to nothing")
                continue
            }
            let name = line.prefix { $0 != "{" && $0 != " " }
            let suffixes = metric.kind == .histogram ? ["_bucket", "_sum", "_count"] : [""]
            #expect(suffixes.contains { metric.name + $0 == name }, "\(line)")
            var labels = line.dropFirst(name.count).split(separator: "=\"").dropLast().map {
                String($0.split { "{,".contains($0) }.last ?? "")
            }
            if name.hasSuffix("_bucket") { #expect(labels.popLast() == "le") }
            #expect(labels == metric.labels, "\(line)")
        }
        #expect(Self.lines.last == "")
    }

    @Test func namesFollowTheCustomsOfPrometheus() {
        #expect(Set(Metric.all.map(\.name)).count == Metric.all.count)
        for metric in Metric.all {
            let isOurs = metric.name.hasPrefix("sluice_") || metric.name.hasPrefix("process_")
            #expect(isOurs, "\(metric.name)")
            #expect((metric.kind == .counter) == metric.name.hasSuffix("_total"), "\(metric.name)")
            #expect(metric.meaning.hasSuffix("."), "\(metric.name)")
            #expect(!metric.meaning.contains("|"), "\(metric.name) would break the table")
        }
    }

    @Test func bucketsIncludeTheSmallerOnes() {
        var output = PrometheusText()
        var histogram = Histogram(bounds: [1_000_000, 2_500_000_000, 60_000_000_000])
        for value in [500_000, 2_000_000_000, 2_000_000_000, 90_000_000_000] as [Int64] {
            histogram.observe(value)
        }
        output.histogram(.queue, ["m", "b"], histogram)
        #expect(
            output.text == """
                sluice_queue_duration_seconds_bucket{model="m",backend="b",le="0.001"} 1
                sluice_queue_duration_seconds_bucket{model="m",backend="b",le="2.5"} 3
                sluice_queue_duration_seconds_bucket{model="m",backend="b",le="60"} 3
                sluice_queue_duration_seconds_bucket{model="m",backend="b",le="+Inf"} 4
                sluice_queue_duration_seconds_sum{model="m",backend="b"} 94.0005
                sluice_queue_duration_seconds_count{model="m",backend="b"} 4

                """)
    }

    @Test(
        arguments: [
            ("plain/name:7b", "plain/name:7b"), (#"a"b"#, #"a\"b"#), (#"a\b"#, #"a\\b"#),
            ("a\nb", #"a\nb"#), (#"\""#, #"\\\""#), ("ünï", "ünï"), ("\"\u{301}", "\\\"\u{301}"),
            ("a} 1\nforged 2", #"a} 1\nforged 2"#),
        ])
    func labelValuesCannotLeaveTheirQuotes(_ value: String, _ written: String) {
        var output = PrometheusText()
        output.sample(.backendUp, [value], 1)
        #expect(output.text == "sluice_backend_up{backend=\"\(written)\"} 1\n")
    }

    @Test(
        arguments: [
            (0, "0"), (1, "1"), (-3, "-3"), (0.25, "0.25"), (1e15, "1000000000000000"),
            (9_007_199_254_740_991, "9007199254740991.0"), (1e17, "1e+17"),
        ])
    func numbersAreReadable(_ value: Double, _ written: String) {
        var output = PrometheusText()
        output.sample(.queued, [], value)
        #expect(output.text == "sluice_requests_queued \(written)\n")
    }

    @Test func workersAreAddedUp() {
        var report = Self.report
        report.merge(Self.report.metrics, Self.report.gauges)
        let text = report.prometheusText
        #expect(text.contains("\nsluice_connections 14\n"))
        #expect(text.contains("\nsluice_workers 2\n"))
        #expect(text.contains("sluice_requests_received_total 2\n"))
        #expect(
            text.contains(
                #"sluice_requests_total{model="tiny",backend="gpu",ending="completed"} 2"#))
    }
}
