// Every recorded stream, cut by FIN and by RST: what a client is told is what arrived.

import EventLoop
import Glibc
import TestSupport
import Testing

@testable import HTTPTransport
@testable import SluiceServer

extension ScenarioTests {
    /// All of the positions, which takes minutes, instead of some hundred thousandths of them.
    private static let isExhaustive = unsafe getenv("SLUICE_TEST_EVERY_CUT") != nil

    @Test func aStreamThatIsCutAnywhereIsToldAsItArrived() throws {
        let recordings = try Recording.all()
        try #require(recordings.count > 90)
        var cuts = 0
        for (place, recording) in recordings.enumerated() {
            let lab = try CutLab(recording)
            // The shortest of both kinds everywhere.
            let isWhole = Self.isExhaustive || place < 1
            var random = SplitMix(seed: UInt64(place))
            for position in 0...recording.bytes.count {
                let isChosen = isWhole || random.next() % UInt64(recording.bytes.count) < 16
                lab.advance(to: position)
                guard isChosen || position == recording.bytes.count else { continue }
                for byReset in Self.isExhaustive ? [false, true] : [position % 2 == 0] {
                    cuts += 1
                    if let fault = try lab.cut(byReset: byReset) {
                        Issue.record(
                            "\(recording.name), \(byReset ? "RST" : "FIN") after \(position) bytes: \(fault)"
                        )
                        return
                    }
                }
            }
            #expect(lab.close() == [], "\(recording.name)")
        }
        #expect(cuts > 2000)
        if Self.isExhaustive { print("\(recordings.count) recorded streams, \(cuts) cuts") }
    }
}

/// Plays beginnings of one recorded stream to a client.
private final class CutLab {
    private let recording: Recording
    private var lab: Lab
    private var client: ScriptedClient
    private var offset = 0
    private var calls = 0
    /// Reads the beginning as an upstream's client would.
    private var reader = ResponseReader()
    private var scanned = 0
    private var arrived = Gist()

    init(_ recording: Recording) throws {
        self.recording = recording
        lab = try Self.lab(for: recording)
        client = lab.client(1)
        reader.methods = ["POST"]
    }

    private static func lab(for recording: Recording) throws -> Lab {
        var upstream = Scenario.UpstreamSettings()
        if recording.isOllama { upstream.kind = "ollama" }
        var settings = Scenario.Settings()
        settings.upstreams = [1: upstream]
        return try Lab(settings)
    }

    func close() -> [String] { lab.close() }

    /// A lab keeps all that was seen in it, so it is not used for ever.
    private func renew() throws -> String? {
        let faults = lab.close()
        lab = try Self.lab(for: recording)
        client = lab.client(1)
        (calls, answered) = (0, 0)
        return faults.isEmpty ? nil : faults.joined(separator: "; ")
    }

    // MARK: - What has arrived

    /// Reads on to a position.
    func advance(to next: Int) {
        guard next > offset else { return }
        let bytes = Array(recording.bytes[offset..<next])
        reader.feed(bytes.span, at: Instant(nanoseconds: 0))
        offset = next
        guard let body = reader.responses.first?.body else { return }
        let mark: [UInt8] = recording.isOllama ? [10] : [10, 10]
        while let end = position(after: mark, in: body, from: scanned) {
            take(body[scanned..<end], &arrived)
            scanned = end
        }
    }

    @discardableResult
    private func take(_ block: ArraySlice<UInt8>, _ gist: inout Gist) -> Bool {
        let data = recording.isOllama ? block : block.dropFirst("data: ".utf8.count)
        guard recording.isOllama || block.starts(with: "data: ".utf8) else { return false }
        var text = Array(data)
        while text.last == 10 { text.removeLast() }
        return !text.isEmpty && gist.take(text, isOllama: recording.isOllama)
    }

    /// With the last event, if only its end mark is missing.
    private var arrivedWithTheLast: Gist {
        var gist = arrived
        if let body = reader.responses.first?.body { take(body[scanned...], &gist) }
        return gist
    }

    // MARK: - A cut

    /// Lets the upstream send what has been advanced to, then break the connection. Says what is
    /// wrong with what the client is told.
    func cut(byReset: Bool) throws -> String? {
        if calls >= 200, let fault = try renew() { return fault }
        let upstream = try #require(lab.upstreams[1])
        let end = lab.loop.now + .seconds(5) * Runner.slowness
        lab.forgetFailures()
        try client.ask(stream: true, extra: #""n":\#(recording.choices)"#)
        let wasAsked = lab.drive(until: end) {
            guard upstream.calls.count > calls, let call = upstream.calls.last else { return false }
            call.parse()
            return call.requests.count == 1
        }
        guard wasAsked, let wire = upstream.calls.last?.wire else { return "no request came" }
        calls = upstream.calls.count
        wire.send(Array(recording.bytes[..<offset]))
        guard lab.drive(until: end, { wire.unsentBytes == 0 }) else { return "it is not read" }
        byReset ? wire.reset() : wire.close()
        let isAnswered = lab.drive(until: end) {
            client.reader.responses.last?.completedAt != nil
                && client.reader.responses.count > answered
        }
        answered = client.reader.responses.count
        guard isAnswered, let response = client.reader.responses.last else {
            return "the client has no whole answer"
        }
        return fault(in: response)
    }
    private var answered = 0

    private func fault(in response: ReceivedResponse) -> String? {
        let expected = arrivedWithTheLast
        if response.status != 200 {
            let code = value(at: "error.code", in: response.body)?.string
            // A failure that is the first thing said has its own status.
            let isTold = !arrived.errors.isEmpty || code == "upstream_closed"
            return arrived.events == arrived.errors.count && response.status >= 400 && isTold
                ? nil : "status \(response.status), \(response.text)"
        }
        var told = Gist()
        for block in response.text.split(separator: "\n\n") where !block.hasPrefix(":") {
            guard block.hasPrefix("data: ") else { return "no event: \(block)" }
            told.take(Array(block.dropFirst(6).utf8), isOllama: false)
        }
        if told.late > 0 { return "something follows the end: \(response.text.suffix(400))" }
        let isComplete = expected.isComplete(recording.choices)
        if isComplete != told.isComplete(recording.choices) {
            return "finish: \(response.text.suffix(400))"
        }
        if isComplete != told.isDone { return "[DONE]: \(response.text.suffix(400))" }
        if told.errors.count != (isComplete ? 0 : 1) { return "errors: \(told.errors)" }
        if expected.hasStrayBytes { return nil }
        return told.textsAsSent == expected.textsAsSent
            ? nil : "\(told.texts) instead of \(expected.texts)"
    }
}
