// Many clients that want to know of models at once: what no scenario file wants to spell out.

import EventLoop
import TestSupport
import Testing

@testable import HTTPTransport
@testable import SluiceServer

extension ScenarioTests {
    private static let list = #"{"models":[{"name":"m1","size":7}]}"#

    /// With a connection for each client a crowd that asks for lists took the descriptors of chats.
    @Test(arguments: ["/api/tags", "/api/ps"])
    func aCrowdThatAsksForAListCostsABackendOneQuestion(_ path: String) throws {
        try Descriptors.expectNoneLeft { try shareAnswer(path) }
    }

    private func shareAnswer(_ path: String) throws {
        let lab = try ollamaLab(models: 1)
        let upstream = try #require(lab.upstreams[1])
        let end = lab.loop.now + .seconds(10) * Runner.slowness
        var crowd = 1...100
        for round in 1...2 {
            for number in crowd { try lab.client(number).request("GET", path, [], nil) }
            #expect(lab.drive(until: end) { lab.worker.inquiries.count == crowd.count })
            #expect(lab.drive(until: end) { requests(upstream) == round })
            // The first to ask leaves, and some others.
            for number in crowd.prefix(10) { lab.client(number).close() }
            crowd = (crowd.lowerBound + 10)...100
            #expect(lab.drive(until: end) { lab.worker.inquiries.count == crowd.count })
            upstream.calls.last?.reply(200, [], Array(Self.list.utf8))
            for number in crowd {
                let reader = { lab.client(number).reader }
                #expect(
                    lab.drive(until: end) {
                        reader().responses.count == round
                            && reader().responses.last?.completedAt != nil
                    })
                let response = reader().responses.last
                let size = response.flatMap { value(at: "models.0.size", in: $0.body) }
                #expect(response?.status == 200 && size?.int == 7)
            }
            // What was told is not kept: who asks later asks anew.
            #expect(lab.worker.sharedQuestions.isEmpty && lab.worker.inquiries.isEmpty)
        }
        #expect(upstream.calls.count == 1, "one connection")
        #expect(lab.close() == [])
    }

    @Test func aQuestionEndsWithTheLastWhoAsks() throws {
        try Descriptors.expectNoneLeft { try leaveOneByOne() }
    }

    private func leaveOneByOne() throws {
        let lab = try ollamaLab(models: 1)
        let upstream = try #require(lab.upstreams[1])
        let end = lab.loop.now + .seconds(5) * Runner.slowness
        for number in 1...3 { try lab.client(number).request("GET", "/api/tags", [], nil) }
        #expect(lab.drive(until: end) { lab.worker.inquiries.count == 3 })
        #expect(lab.drive(until: end) { requests(upstream) == 1 })
        for number in 1...2 {
            lab.client(number).close()
            #expect(lab.drive(until: end) { lab.worker.inquiries.count == 3 - number })
            #expect(lab.worker.sharedQuestions.count == 1 && upstream.calls[0].wire.end == nil)
        }
        lab.client(3).wire?.reset()
        #expect(lab.drive(until: end) { upstream.calls[0].wire.end != nil })
        #expect(lab.worker.sharedQuestions.isEmpty && lab.worker.inquiries.isEmpty)
        #expect(lab.log.all.filter { $0.contains("ending=client_left") }.count == 3)
        #expect(lab.close() == [])
    }

    @Test func manyModelsAreNotAskedForAtATime() throws {
        try Descriptors.expectNoneLeft { try showMany() }
    }

    private func showMany() throws {
        let limit = SharedQuestion.limit
        let lab = try ollamaLab(models: limit + 1)
        let upstream = try #require(lab.upstreams[1])
        let end = lab.loop.now + .seconds(10) * Runner.slowness
        func show(_ model: Int, client: Int) throws {
            let body = Array(#"{"model":"m\#(model)"}"#.utf8)
            try lab.client(client).request("POST", "/api/show", [], body)
        }
        for number in 1...limit { try show(number, client: number) }
        #expect(lab.drive(until: end) { lab.worker.sharedQuestions.count == limit })
        // One more model is refused; one that is being asked for is not, nor is a list.
        try show(limit + 1, client: limit + 1)
        let refused = lab.client(limit + 1)
        #expect(lab.drive(until: end) { refused.reader.responses.last?.completedAt != nil })
        #expect(refused.reader.responses.last?.status == 503)
        try show(1, client: limit + 2)
        try lab.client(limit + 3).request("GET", "/api/tags", [], nil)
        #expect(lab.drive(until: end) { lab.worker.inquiries.count == limit + 2 })
        #expect(lab.worker.sharedQuestions.count == limit + 1)
        #expect(lab.drive(until: end) { requests(upstream) == limit + 1 })
        for call in upstream.calls { call.reply(200, [], Array(Self.list.utf8)) }
        #expect(lab.drive(until: end) { lab.worker.inquiries.isEmpty })
        for number in [1, limit, limit + 2, limit + 3] {
            #expect(
                lab.drive(until: end) {
                    lab.client(number).reader.responses.last?.completedAt != nil
                })
            #expect(lab.client(number).reader.responses.last?.status == 200)
        }
        #expect(lab.close() == [])
    }

    // MARK: - Parts

    private func ollamaLab(models: Int) throws -> Lab {
        var upstream = Scenario.UpstreamSettings()
        upstream.kind = "ollama"
        upstream.models = (1...models).map { "m\($0)" }
        return try Lab(Scenario.Settings(upstreams: [1: upstream]))
    }

    private func requests(_ upstream: ScriptedUpstream) -> Int {
        upstream.calls.forEach { $0.parse() }
        return upstream.calls.reduce(0) { $0 + $1.requests.count }
    }
}
