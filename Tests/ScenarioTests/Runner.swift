// Plays a scenario in a lab, step by step.

import EventLoop
import Glibc

@testable import HTTPTransport
@testable import SluiceServer

/// Why a scenario did not go as it says.
struct Failure: Error, CustomStringConvertible {
    var line: Int
    var step: String
    var message: String
    /// Whether only time was missed. A busy machine does that too, but not again and again: it is
    /// late itself, or it was late to do what the time is counted from, and then it sees too early.
    var missesTimeOnly = false
    /// What everybody saw, for the report.
    var report: [String] = []

    var description: String {
        (["line \(line): \(step)", "  " + message] + report.map { "  " + $0 }).joined(
            separator: "\n")
    }
}

/// Plays one scenario.
final class Runner {
    /// How much slower than usual the program may be: sanitizers cost a factor.
    static let slowness =
        unsafe getenv("SLUICE_TEST_SLOWNESS").flatMap { unsafe Int(String(cString: $0)) } ?? 1
    /// A hang fails after this time.
    private static let patience = Duration.seconds(10) * slowness

    private let scenario: Scenario
    private let lab: Lab
    private let end: Instant
    /// When somebody did something last; windows count from here.
    private var lastDeed: Instant

    private init(_ scenario: Scenario) throws {
        self.scenario = scenario
        lab = try Lab(scenario.settings)
        lastDeed = lab.loop.now
        // What is known to hang need not be waited for.
        end = lab.loop.now + (scenario.expectedFailure == nil ? Self.patience : .milliseconds(300))
    }

    /// Plays a scenario to its end and looks at what it leaves behind.
    static func play(_ scenario: Scenario) throws {
        let before = Descriptors.open()
        try playInLab(scenario)
        let leaked = Descriptors.leaked(since: before)
        if !leaked.isEmpty {
            throw Failure(
                line: 0, step: "after", message: "descriptors left open: \(leaked.sorted())")
        }
    }

    private static func playInLab(_ scenario: Scenario) throws {
        let runner = try Runner(scenario)
        var failure: Failure?
        do { try runner.playSteps() } catch let caught as Failure { failure = caught }
        failure?.report = runner.report
        let faults = runner.lab.close()
        if let failure { throw failure }
        if !faults.isEmpty {
            throw Failure(
                line: 0, step: "after", message: faults.joined(separator: "; "),
                report: runner.report)
        }
    }

    private func playSteps() throws {
        for step in scenario.steps { try play(step) }
        try waitForEndings(
            scenario.endings, Scenario.Step(line: 1, text: "ending: …", action: .quiet(.zero)))
    }

    private func play(_ step: Scenario.Step) throws {
        switch step.action {
        case .client(let number, .sees(let sight, let window)):
            let client = lab.client(number)
            try wait(step, window) { now in
                if case .wholeFlood = sight { return self.lookForFlood(client, now) }
                return sight.look(client, now: now)
            }
        case .upstream(let number, let call, .sees(let sight, let window)):
            let upstream = try upstream(number, step)
            try wait(step, window) { sight.look(upstream, call, now: $0) }
        case .client(let number, let deed):
            try carryOut(deed, lab.client(number), step)
            lastDeed = lab.loop.now
        case .upstream(let number, let call, let deed):
            try carryOut(deed, try upstream(number, step), call, step)
            lastDeed = lab.loop.now
        case .server(let deed): try carryOut(deed, step)
        case .quiet(let duration): try beQuiet(duration, step)
        case .time(let duration):
            lab.desk.lead += duration.wholeNanoseconds
            lab.desk.wake()
            lastDeed = lab.loop.now
        case .after(let checks): for check in checks { try self.check(check, step) }
        }
    }

    private func upstream(_ number: Int, _ step: Scenario.Step) throws -> ScriptedUpstream {
        guard let upstream = lab.upstreams[number] else {
            throw fail(step, "there is no upstream \(number); say what it is before the first step")
        }
        return upstream
    }

    // MARK: - Doing

    private func carryOut(_ deed: ClientStep, _ client: ScriptedClient, _ step: Scenario.Step)
        throws
    {
        switch deed {
        case .connect(let smallBuffers): try client.connect(smallBuffers: smallBuffers)
        case .request(let method, let target, let fields, let body):
            try client.request(method, target, fields, body)
        case .ask(let stream, let extra): try client.ask(stream: stream, extra: extra)
        case .send(let bytes, let pieces): try client.send(bytes, pieces: pieces)
        case .openWebSocket(let fields): try client.openWebSocket(fields)
        case .askByMessage(let extra): try client.message(client.chat(stream: true, extra: extra))
        case .message(let text): try client.message(text)
        case .drip(let bytes, let interval): try client.drip(bytes, every: interval)
        case .close: client.close()
        case .reset: client.wire?.reset()
        case .halfClose: client.wire?.halfClose()
        case .stopReading: client.wire?.stopReading()
        case .readOn: client.wire?.readOn()
        case .read(let count): client.wire?.read(atMost: count)
        case .goOn:
            try client.request("GET", "/health", [], nil)
            try wait(step, .init()) { ClientSight.status(200).look(client, now: $0) }
            try wait(step, .init()) { ClientSight.endOfBody.look(client, now: $0) }
        case .sees: break
        }
    }

    private func carryOut(
        _ deed: UpstreamStep, _ upstream: ScriptedUpstream, _ number: Int?, _ step: Scenario.Step
    ) throws {
        switch deed {
        case .stopReading where upstream.calls.isEmpty: return upstream.readsNothing = true
        case .die: return upstream.die()
        case .comeBack: return try upstream.comeBack()
        case .acceptNoMore: return try upstream.acceptNoMore()
        case .load: return upstream.isLoading = true
        case .beReady: return upstream.isLoading = false
        default: break
        }
        let wasCalled = lab.drive(until: end) { upstream.call(number) != nil }
        guard wasCalled, let call = upstream.call(number) else {
            throw fail(step, "it was not called")
        }
        switch deed {
        case .head(let status, let type, let fields): call.send(call.head(status, type, fields))
        case .reply(let status, let fields, let body): call.reply(status, fields, body)
        case .chunk(let bytes): call.chunk(bytes)
        case .send(let bytes): call.send(bytes)
        case .event(let text): call.event(text)
        case .answer: call.answer()
        case .says(let text): call.says(text)
        case .thinks(let text): call.thinks(text)
        case .finish(let reason): call.finish(reason)
        case .flood(let bytes): call.flood(bytes)
        case .end: call.end()
        case .close: call.wire.close()
        case .reset: call.wire.reset()
        case .halfClose: call.wire.halfClose()
        case .stopReading: call.wire.stopReading()
        case .readOn: call.wire.readOn()
        case .sees, .die, .comeBack, .load, .beReady, .acceptNoMore: break
        }
    }

    private func carryOut(_ deed: ServerStep, _ step: Scenario.Step) throws {
        switch deed {
        case .drain:
            lab.worker.mailbox?.address.send(.drain)
            lastDeed = lab.loop.now
        case .stopSessions:
            lab.worker.mailbox?.address.send(.stopSessions)
            lastDeed = lab.loop.now
        case .reload(let change):
            try lab.reload(change, line: step.line)
            lastDeed = lab.loop.now
        case .knowsUpstreams:
            let isKnown = lab.drive(until: end) {
                !lab.worker.fleet.backends.isEmpty && lab.worker.fleet.backends.allSatisfy(\.isUp)
            }
            if !isKnown {
                throw fail(step, "\(lab.worker.fleet.backends.map { $0.problem ?? "up" })")
            }
        case .holdsUnsent(let limit):
            let held = lab.worker.server?.unsentBytes ?? 0
            if held > limit { throw fail(step, "it holds \(held) bytes") }
        case .holdsBodies(let limit):
            let held = lab.worker.server?.bodyBytes ?? 0
            if held > limit { throw fail(step, "it holds \(held) bytes") }
        }
    }

    // MARK: - Seeing

    private func lookForFlood(_ client: ScriptedClient, _ now: Instant) -> Sight {
        client.countFloodEvents()
        let total = lab.upstreams.values.flatMap(\.calls).map(\.floodTotal).max() ?? 0
        return client.floodEvents == total && total > 0
            ? .seen(at: now) : .pending("\(client.floodEvents) of \(total) events have come whole")
    }

    /// Drives the loop until something is seen, in its window.
    private func wait(_ step: Scenario.Step, _ window: Scenario.Window, _ look: (Instant) -> Sight)
        throws
    {
        var last = ""
        var seen: Instant?
        let isSeen = try lab.drive(until: end) {
            switch look(lab.loop.now) {
            case .pending(let what): last = what
            case .failed(let why): throw fail(step, why)
            case .seen(let at): seen = at
            }
            return seen != nil
        }
        guard isSeen, let seen else { throw fail(step, "not seen in time: " + last) }
        let taken = seen - lastDeed
        if let notBefore = window.notBefore, taken < notBefore {
            throw Failure(
                line: step.line, step: step.text,
                message: "seen after \(taken.wholeMilliseconds) ms already", missesTimeOnly: true)
        }
        if let within = window.within, taken > within * Self.slowness {
            throw Failure(
                line: step.line, step: step.text,
                message: "seen only after \(taken.wholeMilliseconds) ms",
                missesTimeOnly: true)
        }
    }

    /// Nobody may see anything for a while.
    private func beQuiet(_ duration: Duration, _ step: Scenario.Step) throws {
        let wires =
            lab.clients.values.compactMap(\.wire)
            + lab.upstreams.values.flatMap(\.calls).map(\.wire)
        let before = wires.map { ($0.received.count, $0.end == nil) }
        _ = lab.drive(until: lab.loop.now + duration) { false }
        for (wire, old) in zip(wires, before)
        where wire.received.count != old.0 || (wire.end == nil) != old.1 {
            let news = String(decoding: wire.received[old.0...].prefix(200), as: UTF8.self)
            throw fail(
                step, "something came: \(news)\(wire.end.map { " and the end: \($0.how)" } ?? "")")
        }
    }

    // MARK: - Afterwards

    /// `client goes on` asks for /health; that is the lab's question, not the scenario's.
    private var requestLines: [String] {
        lab.log.all.filter { $0.contains(" request id=") && !$0.contains(" path=/health ") }
    }

    private func waitForEndings(_ endings: [String], _ step: Scenario.Step) throws {
        _ = lab.drive(until: end) {
            requestLines.count >= endings.count && lab.worker.sessions.isEmpty
        }
        let found = requestLines.map { line in
            line.split(separator: " ").first { $0.hasPrefix("ending=") }.map {
                String($0.dropFirst(7))
            } ?? "?"
        }
        guard found == endings else { throw fail(step, "the log tells the endings: \(found)") }
    }

    private func check(_ check: AfterCheck, _ step: Scenario.Step) throws {
        switch check {
        // Looked at when the lab is closed, whether a scenario says so or not.
        case .nothingLeft: break
        case .endings(let endings): try waitForEndings(endings, step)
        case .noRetry:
            let calls = lab.upstreams.values.flatMap(\.calls)
            calls.forEach { $0.parse() }
            let count = calls.reduce(0) { $0 + $1.requests.count }
            if count > 1 { throw fail(step, "upstreams were asked \(count) times") }
        case .log(let text):
            try waitForEndings(scenario.endings, step)
            guard requestLines.contains(where: { $0.contains(" " + text) }) else {
                throw fail(step, "the log says: \(requestLines)")
            }
        case .notInLog(let text):
            try waitForEndings(scenario.endings, step)
            if requestLines.contains(where: { $0.contains(" " + text) }) {
                throw fail(step, "the log says: \(requestLines)")
            }
        }
    }

    private func fail(_ step: Scenario.Step, _ message: String) -> Failure {
        Failure(line: step.line, step: step.text, message: message)
    }

    private var report: [String] {
        var lines: [String] = []
        for (number, client) in lab.clients.sorted(by: { $0.key < $1.key }) {
            guard let wire = client.wire else { continue }
            let tail = String(decoding: wire.received.suffix(600), as: UTF8.self)
            let end = wire.end.map { " then \($0.how)" } ?? ""
            lines.append(
                "client \(number) has \(wire.received.count) bytes\(end), the last: \(tail)")
        }
        for (number, upstream) in lab.upstreams.sorted(by: { $0.key < $1.key }) {
            for (place, call) in upstream.calls.enumerated() {
                let end = call.wire.end.map { ", then \($0.how)" } ?? ""
                let tail = String(decoding: call.wire.received.suffix(300), as: UTF8.self)
                lines.append(
                    "upstream \(number) call \(place + 1) has \(call.wire.received.count) bytes\(end): \(tail)"
                )
            }
        }
        return lines + lab.log.all.map { "log: " + $0.dropLast() }
    }
}
