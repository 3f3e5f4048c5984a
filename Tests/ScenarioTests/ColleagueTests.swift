// Two workers in one thread: what becomes of a client that leaves while one waits for the other.

import Configuration
import EventLoop
import Testing

@testable import HTTPTransport
@testable import SluiceServer

extension ScenarioTests {
    @Test(arguments: [false, true])
    func aClientThatLeavesWhileItsMetricsWaitForAnotherWorkerIsLoggedOnce(resets: Bool) throws {
        try Descriptors.expectNoneLeft { try leaveDuringScrape(resets: resets) }
    }

    private func leaveDuringScrape(resets: Bool) throws {
        let lab = try Lab(.init())
        // A worker whose loop stands still until it is told to go on.
        let elsewhere = Loop()
        let log = LogLines()
        let colleague = Worker(
            on: elsewhere, Configuration(), seed: 2, log: Log(LogSettings()) { log.append($0) })
        let addresses = [lab.worker, colleague].compactMap { $0.mailbox?.address }
        lab.worker.hear(.colleagues(addresses))
        let end = lab.loop.now + .seconds(5) * Runner.slowness

        let client = lab.client(1)
        try client.request("GET", "/metrics", [], nil)
        #expect(lab.drive(until: end) { !lab.worker.meter.scrapes.isEmpty })
        if resets { client.wire?.reset() } else { client.close() }
        #expect(lab.drive(until: end) { lab.worker.server?.connectionCount == 0 })

        elsewhere.runReady()
        #expect(lab.drive(until: end) { lab.worker.meter.scrapes.isEmpty })
        let lines = lab.log.all.filter { $0.contains(" path=/metrics ") }
        #expect(lines.count == 1)
        #expect(lines.first?.contains(" ending=client_left") == true)

        // The next one is answered by both, and no request stays counted as running.
        let next = lab.client(2)
        try next.request("GET", "/metrics", [], nil)
        #expect(lab.drive(until: end) { !lab.worker.meter.scrapes.isEmpty })
        elsewhere.runReady()
        #expect(lab.drive(until: end) { next.response?.completedAt != nil })
        let text = String(decoding: next.response?.body ?? [], as: UTF8.self)
        #expect(text.contains("\nsluice_workers 2\n"))
        #expect(text.contains("\nsluice_requests_active 1\n"))  // itself
        #expect(text.contains(#"ending="client_left"} 1"#))

        #expect(lab.close() == [])
        #expect(log.all.isEmpty)
        colleague.close()
        for _ in 0..<3 { elsewhere.runReady() }
    }
}
