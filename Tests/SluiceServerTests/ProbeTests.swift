// What probes ask, and what they make of recorded answers.

import Configuration
import EventLoop
import Glibc
import HTTPTransport
import Routing
import TestSupport
import Testing

@testable import SluiceServer

@Suite struct Probes {
    private let loop = Loop()

    private func probe(
        _ kind: BackendKind, _ change: (inout BackendSettings) -> Void = { _ in }
    ) throws -> Probe {
        let settings = try backend {
            $0.kind = kind
            change(&$0)
        }
        return Probe(through: ConnectionPool(on: loop), settings, patience: .seconds(1))
    }

    /// The body of a recorded answer that is not chunked.
    private func body(_ path: String) throws -> [UInt8] {
        let bytes = try fixture(path)
        let end = bytes.indices.first { bytes[$0...].starts(with: "\r\n\r\n".utf8) } ?? 0
        return Array(bytes[(end + 4)...])
    }

    @Test func aRouterTellsWhatIsLoadedAndHowManyItHolds() throws {
        let probe = try probe(.llamaServer)
        let list = try body("llama-server/router/models-after.response.http")
        #expect(probe.take(.models, "", 200, list) == nil)
        _ = probe.take(.properties, "", 200, try body("llama-server/router/props.response.http"))
        #expect(probe.found.models.map(\.id) == ["alpha", "beta", "broken", "delta", "gamma"])
        #expect(probe.found.loaded == ["alpha", "beta"])
        #expect(probe.found.residentModels == 2)
        // It has none itself, so one of its models is asked, and not made to load for that.
        let question = try #require(probe.request(.slotsOfAModel))
        #expect(question.path == "/props?autoload=false&model=alpha")
        _ = probe.take(.slotsOfAModel, "", 200, Array(#"{"total_slots":2}"#.utf8))
        #expect(probe.found.slots == .perModel(2))
    }

    @Test func aLlamaServerTellsItsSlots() throws {
        let probe = try probe(.llamaServer)
        _ = probe.take(.properties, "", 200, try body("llama-server/endpoints/props.response.http"))
        #expect(probe.found.slots == .perBackend(2))
        #expect(probe.found.residentModels == nil)
        #expect(probe.request(.slotsOfAModel) == nil)
        // Later it is too busy to say so again.
        _ = probe.take(.properties, "", 503, [])
        #expect(probe.found.slots == .perBackend(2))
    }

    @Test(arguments: [
        (Probe.Question.models, "router/models-after"), (.models, "endpoints/v1-models"),
        (.properties, "router/props"), (.properties, "endpoints/props"),
        (.slotsOfAModel, "endpoints/props"),
    ])
    func everyNumberABackendTellsIsBorne(_ question: Probe.Question, _ name: String) throws {
        let bodies = withOddNumbers(try body("llama-server/\(name).response.http"))
        #expect(!bodies.isEmpty)
        for (what, body) in bodies {
            let probe = try probe(.llamaServer)
            #expect(probe.take(question, "", 200, body) == nil)
            for model in probe.found.models {
                #expect(model.created.map { (0..<253_402_300_800).contains($0) } ?? true, "\(what)")
            }
            let counts = 1...1 << 20
            #expect(probe.found.residentModels.map(counts.contains) ?? true, "\(what)")
            switch probe.found.slots {
            case .perBackend(let count), .perModel(let count):
                #expect(counts.contains(count), "\(what)")
            case .unlimited: break
            }
        }
    }

    /// `--models-max 0`.
    @Test func aRouterWithoutALimitHoldsAnyNumber() throws {
        let probe = try probe(.llamaServer)
        _ = probe.take(
            .properties, "", 200, Array(#"{"role":"router","max_instances":0}"#.utf8))
        #expect(probe.found.residentModels == 1 << 20)
    }

    @Test func whatTheOperatorSaysOfSlotsHolds() throws {
        let probe = try probe(.llamaServer) { $0.slots = .count(7) }
        _ = probe.take(.properties, "", 200, try body("llama-server/endpoints/props.response.http"))
        #expect(probe.found.slots == .perBackend(7))
    }

    @Test func anOllamaTellsWhatIsLoaded() throws {
        let probe = try probe(.ollama)
        _ = probe.take(.running, "", 200, Array(#"{"models":[{"name":"tiny:latest"}]}"#.utf8))
        #expect(probe.found.loaded == ["tiny:latest"])
        #expect(probe.found.slots == .perModel(1))
    }

    @Test func aFixedListOfModelsIsNotAskedFor() throws {
        let probe = try probe(.ollama) { $0.models = ["qwen3"] }
        #expect(probe.request(.models) == nil)
        #expect(probe.found.models.map(\.id) == ["qwen3"])
    }

    @Test(arguments: [
        (200, "", HealthFact.succeeded), (404, "", .succeeded), (401, "", .succeeded),
        (500, "", .succeeded), (502, "", .failed), (503, "busy", .failed),
        (503, #"{"error":{"message":"Loading model","type":"unavailable_error"}}"#, .loading),
    ])
    func anAnswerShowsThatItLives(_ status: Int, _ body: String, _ fact: HealthFact) {
        #expect(Probe.checkup(status, Array(body.utf8)).fact == fact)
    }

    @Test func silenceIsNoDeath() {
        #expect(FetchFailure.late(milliseconds: 5, wasConnected: true).healthFact == .slow)
        #expect(
            FetchFailure.late(milliseconds: 5, wasConnected: false).healthFact
                == .connectTimedOut(othersStand: false))
        #expect(FetchFailure.call(.closedBeforeAnswer).healthFact == .broken)
        let shortage = CallFailure.unreachable(
            .failed(operation: "connect", address: "", errno: EMFILE))
        #expect(FetchFailure.call(shortage).healthFact == .slow)
        #expect(AttemptFailure(shortage).healthFact(othersStand: false) == .slow)
        #expect(
            FetchFailure.call(.unreachable(.unknownHost("gpu", reason: "no"))).healthFact
                == .refused)
    }

    @Test(arguments: [("tiny", "tiny"), ("a/b:c d", "a%2Fb%3Ac%20d"), ("é", "%C3%A9")])
    func namesOfModelsAreWrittenAsQueries(_ name: String, _ written: String) {
        #expect(percentEncoded(name) == written)
    }
}

@Suite struct Resolvers {
    /// Runs the loop until `isDone`, for at most five seconds.
    private func run(_ loop: Loop, until isDone: () -> Bool) {
        let end = loop.now + .seconds(5)
        let timer = Timer(on: loop) {}
        while !isDone(), loop.now < end {
            timer.arm(after: .milliseconds(5))
            loop.runOnce()
        }
    }

    @Test func addressesNeedNoThread() throws {
        let resolver = Resolver(on: Loop())
        var found: [String] = []
        for url in ["http://127.0.0.1:8080", "http://[::1]:80", "unix:/run/x.sock"] {
            resolver.resolve(try BackendURL(url)) {
                found += ((try? $0.get()) ?? []).map(\.description)
            }
            #expect(!resolver.isBusy)
        }
        #expect(found == ["127.0.0.1:8080", "[::1]:80", "unix:/run/x.sock"])
    }

    @Test func namesAreLookedUpByAThread() throws {
        let loop = Loop()
        let resolver = Resolver(on: loop)
        var outcome: Resolver.Outcome?
        resolver.resolve(try BackendURL("http://localhost:8080")) { outcome = $0 }
        #expect(outcome == nil)
        #expect(resolver.isBusy)
        run(loop) { outcome != nil }
        let addresses = try #require(outcome).get()
        #expect(addresses.contains { $0.description == "127.0.0.1:8080" })
        #expect(!resolver.isBusy)
    }

    @Test func aNameThatIsNotKnownIsTold() throws {
        let loop = Loop()
        let resolver = Resolver(on: loop)
        var outcome: Resolver.Outcome?
        resolver.resolve(try BackendURL("http://gpu.invalid:1")) { outcome = $0 }
        run(loop) { outcome != nil }
        guard case .failure(.unknownHost("gpu.invalid", _))? = outcome else {
            Issue.record("\(String(describing: outcome))")
            return
        }
    }
}
