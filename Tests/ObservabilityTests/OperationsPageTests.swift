// The tables of docs/OPERATIONS.md, the alert rules and the dashboard, against the code.

import Relay
import Testing

@testable import Observability

@Suite struct PageForOperators {
    @Test func everyEndingIsInItsTable() {
        let rows = operationsTable("ending")
        #expect(rows.map { quoted($0[0]) } == Ending.allCases.map(\.rawValue))
        for (row, ending) in zip(rows, Ending.allCases) {
            let whose: String =
                switch ending.fault {
                case .client: "client"
                case .upstream: "upstream"
                case .sluice: "Sluice"
                case nil: "–"
                }
            #expect(row[1] == whose, "\(ending)")
            #expect(row[2].hasSuffix("."), "\(ending)")
        }
    }

    @Test func everyMetricIsInItsTable() {
        let rows = operationsTable("metric")
        let wanted = Metric.all.map { metric in
            let labels = metric.labels.map { "`\($0)`" }.joined(separator: ", ")
            return [
                "`\(metric.name)`", metric.kind.rawValue, labels.isEmpty ? "–" : labels,
                metric.meaning,
            ]
        }
        #expect(rows == wanted)
    }

    @Test func everyFieldOfTheLogIsInItsTable() {
        var record = RequestRecord(
            id: "1", method: "GET", path: "/", ending: .completed, totalMilliseconds: 1000)
        (record.key, record.model, record.backend, record.status) = ("k", "m", "b", 200)
        (record.promptTokens, record.completionTokens, record.queueMilliseconds) = (1, 9, 1)
        (record.connectMilliseconds, record.firstTokenMilliseconds) = (1, 1)
        let json = record.json(at: WallTime(seconds: 0, nanoseconds: 0))
        let names = json.split(separator: "\"").enumerated()
            .filter { json.contains("\"\($0.element)\":") && $0.offset % 2 == 1 }
            .map { String($0.element) }
        let fields = names.filter { $0 != "level" && $0 != "event" }
        #expect(operationsTable("field").map { quoted($0[0]) } == fields)
    }

    @Test func everyAlertIsInItsTable() {
        let alerts = rules.filter { $0.contains("- alert: ") }
            .map { String($0.split(separator: " ").last ?? "") }
        #expect(!alerts.isEmpty)
        #expect(operationsTable("alert").map { quoted($0[0]) } == alerts)
    }
}

private let rules = projectLines("config/prometheus/sluice.rules.yaml")
private let dashboard = projectLines("config/prometheus/grafana-dashboard.json")

@Suite struct QueriesForPrometheus {
    /// The lines with queries of both files.
    static let queries =
        rules.filter { !$0.contains("#") && !$0.contains("alert:") }
        + dashboard.filter { $0.contains("\"expr\"") || $0.contains("\"query\"") }

    /// Names as words: letters, digits and low lines.
    private static func words(_ line: String) -> [String] {
        line.split { !($0.isLetter || $0.isNumber || $0 == "_") }.map(String.init)
    }

    private static let samples = Set(
        TextForPrometheus.lines.filter { !$0.hasPrefix("#") }.map {
            String($0.prefix { $0 != "{" && $0 != " " })
        })

    @Test func nameOnlyMetricsThatAreThere() {
        var seen: Set<String> = []
        for line in Self.queries {
            for word in Self.words(line)
            where word.hasPrefix("sluice_") || word.hasPrefix("process_") {
                #expect(Self.samples.contains(word), "\(word) in \(line)")
                seen.insert(word)
            }
        }
        // Else the search has found nothing.
        #expect(seen.count > 12)
    }

    @Test func nameOnlyLabelsThatTheMetricsHave() {
        let labels = Set(Metric.all.flatMap(\.labels) + ["le", "instance", "job"])
        var seen: Set<String> = []
        for line in Self.queries {
            for part in line.split(separator: "by (").dropFirst() {
                for label in Self.words(String(part.prefix { $0 != ")" })) { seen.insert(label) }
            }
            for sign in ["=~", "=\\\"", "=\""] {
                for part in line.split(separator: sign).dropLast() {
                    if let label = Self.words(String(part)).last { seen.insert(label) }
                }
            }
        }
        #expect(seen.subtracting(labels) == [])
        #expect(seen.isSuperset(of: ["model", "backend", "ending", "instance", "le"]))
    }

    @Test func nameOnlyEndingsThatThereAre() {
        let endings = Set(Ending.allCases.map(\.rawValue))
        for line in Self.queries {
            for part in line.split(separator: "ending=").dropFirst() {
                let value = part.drop { "~\\\"".contains($0) }.prefix { $0 != "\"" && $0 != "\\" }
                for ending in value.split(separator: "|") {
                    #expect(endings.contains(String(ending)), "\(line)")
                }
            }
        }
    }
}
