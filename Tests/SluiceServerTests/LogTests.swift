// Which lines the log holds, in which shape, and that a check of backends comes to an end.

import Configuration
import Observability
import Synchronization
import Testing

@testable import SluiceServer

@Suite struct LogLevels {
    /// What a log with these settings puts down of one line of each sort, without times.
    private func lines(_ level: LogLevel, _ format: LogFormat = .text) -> [String] {
        let lines = Lines()
        var settings = LogSettings()
        (settings.level, settings.format) = (level, format)
        let log = Log(settings) { lines.append($0) }
        for level in [LogMessage.Level.debug, .info, .warning, .error] { log.write(level, "x") }
        log.write(
            RequestRecord(
                id: "r1", method: "GET", path: "/", ending: .completed, totalMilliseconds: 0))
        return lines.all.map {
            format == .text ? String($0.dropFirst("2026-11-20T14:00:00.000Z ".count)) : $0
        }
    }

    private let request = "request id=r1 client=- method=GET path=/ ending=completed total_ms=0\n"

    @Test func writeWhatMattersAsMuchOrMore() {
        let all = ["debug: x\n", "info: x\n", "warning: x\n", "error: x\n", request]
        #expect(lines(.debug) == all)
        #expect(lines(.info) == Array(all.dropFirst()))
        #expect(lines(.warning) == ["warning: x\n", "error: x\n"])
        #expect(lines(.error) == ["error: x\n"])
    }

    @Test func writeJSONToMachines() {
        let written = lines(.info, .json)
        #expect(written.count == 4)
        #expect(written.first?.hasSuffix(#"","level":"info","message":"x"}"# + "\n") == true)
        #expect(written.last?.contains(#","level":"info","event":"request","id":"r1","#) == true)
    }
}

@Suite struct Checks {
    /// Its end may be known before the loop that waits for it has begun.
    @Test func ofBackendsThatCannotBeAskedEnd() throws {
        let (name, path) = ("https://gpu.invalid", "unix:/" + String(repeating: "x", count: 106))
        let configuration = try configuration(backends: [name, path])
        let (report, isFine) = checkBackends(configuration)
        #expect(!isFine)
        #expect(report.contains("gpu0: \(name): not there: its host name is not known"))
        #expect(report.contains("gpu1: \(path): not there: "))
    }

    private func configuration(backends: [String]) throws -> Configuration {
        let settings = try backends.enumerated().map { number, url in
            BackendSettings(name: "gpu\(number)", url: try BackendURL(url))
        }
        return SluiceServerTests.configuration { $0.backends = settings }
    }
}

/// Lines that were written, whoever wrote them.
private final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }
    func append(_ line: String) { lines.withLock { $0.append(line) } }
}
