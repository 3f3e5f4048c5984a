// Many clients that leave at once: what no scenario file wants to spell out.

import EventLoop
import Glibc
import Testing

@testable import HTTPTransport
@testable import SluiceServer

extension ScenarioTests {
    private static let crowd = 500

    @Test func fiveHundredClientsLeavingAtOnceCloseFiveHundredUpstreamConnections() throws {
        try raiseDescriptorLimit()
        try Descriptors.expectNoneLeft { try leaveAtOnce() }
    }

    private func leaveAtOnce() throws {
        let lab = try Lab(.init())
        let upstream = try #require(lab.upstreams[1])
        let end = lab.loop.now + .seconds(5) * Runner.slowness
        for number in 1...Self.crowd {
            try lab.client(number).ask(stream: number % 2 == 0, extra: "")
        }
        #expect(lab.drive(until: end) { upstream.calls.count == Self.crowd })
        #expect(
            lab.drive(until: end) {
                upstream.calls.forEach { $0.parse() }
                return upstream.calls.allSatisfy { $0.requests.count == 1 }
            })
        // A third has a head, a third a token, a third nothing.
        for (i, call) in upstream.calls.enumerated() where i % 3 > 0 {
            call.answer()
            if i % 3 == 2 { call.says("Hel") }
        }
        _ = lab.drive(until: lab.loop.now + .milliseconds(20)) { false }
        #expect(lab.worker.sessions.count == Self.crowd)

        for number in 1...Self.crowd {
            let client = lab.client(number)
            if number % 5 == 0 { client.wire?.reset() } else { client.close() }
        }
        #expect(lab.drive(until: end) { upstream.calls.allSatisfy { $0.wire.end != nil } })
        #expect(lab.worker.sessions.isEmpty)
        #expect(lab.worker.server?.connectionCount == 0)
        #expect(lab.log.all.filter { $0.contains("ending=client_left") }.count == Self.crowd)
        #expect(lab.close() == [])
    }

    /// Four descriptors for each client: both ends of both connections.
    private func raiseDescriptorLimit() throws {
        var limit = rlimit()
        unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = max(limit.rlim_cur, min(limit.rlim_max, 4096))
        unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        try #require(limit.rlim_cur >= 4 * Self.crowd + 100)
    }
}
