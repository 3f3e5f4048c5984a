// Queues and pools with many in them: what no scenario file wants to spell out.

import EventLoop
import TestSupport
import Testing

@testable import HTTPTransport
@testable import SluiceServer

extension ScenarioTests {
    @Test(arguments: [1, 2, 3])
    func twoHundredWaitInOrderAndFiftyMayLeave(_ seed: UInt64) throws {
        try Descriptors.expectNoneLeft { try queueUp(seed) }
    }

    private func queueUp(_ seed: UInt64) throws {
        var upstream = Scenario.UpstreamSettings()
        upstream.slots = 2
        let lab = try Lab(Scenario.Settings(upstreams: [1: upstream]))
        let end = lab.loop.now + .seconds(20) * Runner.slowness
        let count = 202
        for number in 1...count {
            try lab.client(number).ask(stream: true, extra: "\"seed\":\(number)")
            #expect(lab.drive(until: end) { lab.worker.sessions.count == number })
        }
        var random = SplitMix(seed: seed)
        var staying = Array(1...count)
        for _ in 0..<50 {
            // Any of those that wait; the first two have their slots.
            let place = 2 + Int(random.next() % UInt64(staying.count - 2))
            lab.client(staying.remove(at: place)).close()
        }
        #expect(lab.drive(until: end) { lab.worker.sessions.count == staying.count })

        let calls = try #require(lab.upstreams[1])
        var served: [Int] = []
        while served.count < staying.count {
            // Two are there, or the last one. What comes of one end is seen before the next: two
            // connections made in one turn may be accepted in any order.
            let wanted = min(served.count + 2, staying.count)
            #expect(
                lab.drive(until: end) {
                    calls.calls.forEach { $0.parse() }
                    return calls.calls.count >= wanted
                        && calls.calls.allSatisfy { $0.requests.count == 1 }
                })
            #expect(calls.calls.count == wanted)
            guard served.count < calls.calls.count else { break }
            let next = calls.calls[served.count]
            served.append(seedOf(next))
            next.answer()
            next.finish("stop")
        }
        // The first two may have come in either order.
        #expect(served.prefix(2).sorted() + served.dropFirst(2) == staying)
        #expect(calls.calls.count == staying.count)
        #expect(lab.drive(until: end) { lab.worker.sessions.isEmpty })
        #expect(lab.log.all.filter { $0.contains("ending=client_left") }.count == 50)
        #expect(lab.log.all.filter { $0.contains("ending=completed") }.count == staying.count)
        #expect(lab.close() == [])
    }

    private func seedOf(_ call: ScriptedCall) -> Int {
        let seed = call.requests.first.flatMap { value(at: "seed", in: $0.body) }
        return seed.flatMap { Int($0.description) } ?? 0
    }
}

extension ScenarioTests {
    private static let conversations = 20
    private static let turns = 10

    /// Everybody asks, everybody is answered, and again: the worst case for who looks only at which
    /// backend is free.
    @Test func conversationsStayWhereTheyAreAndBackendsShareThem() throws {
        var upstream = Scenario.UpstreamSettings()
        upstream.slots = 10
        let lab = try Lab(Scenario.Settings(upstreams: [1: upstream, 2: upstream]))
        var places = [[Int]](repeating: [], count: Self.conversations)
        for turn in 0..<Self.turns {
            for number in 0..<Self.conversations {
                // Not always in the same order.
                let conversation = (number * 7 + turn * 3) % Self.conversations
                try lab.client(conversation + 1).request(
                    "POST", "/v1/chat/completions", [], Self.request(conversation, turn))
            }
            try answerAll(lab)
            for conversation in 0..<Self.conversations {
                let response = try #require(
                    lab.client(conversation + 1).reader.responses.last)
                #expect(response.status == 200)
                places[conversation].append(
                    response.value("x-sluice-backend") == "one" ? 1 : 2)
            }
        }
        let returns = places.reduce(0) { sum, turns in
            sum + zip(turns, turns.dropFirst()).count { $0 == $1 }
        }
        let possible = Self.conversations * (Self.turns - 1)
        let first = places.joined().count { $0 == 1 }
        let all = Self.conversations * Self.turns
        #expect(returns * 100 >= 95 * possible, "\(returns) of \(possible) turns returned")
        #expect((45 * all...55 * all).contains(first * 100), "\(first) of \(all) went to one")
        #expect(lab.close() == [])
    }

    private static func request(_ conversation: Int, _ turn: Int) -> [UInt8] {
        var messages = [#"{"role":"system","content":"You are terse."}"#]
        for past in 0...turn {
            messages.append(#"{"role":"user","content":"\#(conversation): question \#(past)"}"#)
            if past < turn { messages.append(#"{"role":"assistant","content":"answer \#(past)"}"#) }
        }
        let list = messages.joined(separator: ",")
        return Array(#"{"model":"tiny","messages":[\#(list)]}"#.utf8)
    }

    private func answerAll(_ lab: Lab) throws {
        let end = lab.loop.now + .seconds(5) * Runner.slowness
        func unanswered() -> [ScriptedCall] {
            lab.upstreams.values.flatMap(\.calls).filter { call in
                call.parse()
                return call.wire.isOpen && call.wire.end == nil && !call.requests.isEmpty
            }
        }
        #expect(lab.drive(until: end) { unanswered().count == Self.conversations })
        for call in unanswered() {
            call.answer()
            call.says("answer")
            call.finish("stop")
        }
        #expect(lab.drive(until: end) { lab.worker.sessions.isEmpty })
        #expect(
            lab.drive(until: end) {
                (1...Self.conversations).allSatisfy {
                    lab.client($0).reader.responses.last?.completedAt != nil
                }
            })
    }
}

extension ScenarioTests {
    /// An upstream that closes its connection as soon as it has answered, without having said that
    /// it would: the next request is often on its way by then.
    @Test(arguments: ["ollama", "llama-server"])
    func anUpstreamThatClosesAfterEachReplyIsNeverSeen(_ kind: String) throws {
        var settings = Scenario.UpstreamSettings()
        settings.kind = kind
        let lab = try Lab(Scenario.Settings(upstreams: [1: settings]))
        let upstream = try #require(lab.upstreams[1])
        let client = lab.client(1)
        let end = lab.loop.now + .seconds(20) * Runner.slowness
        var answered = 0
        for number in 1...500 {
            try client.ask(stream: false, extra: "")
            var next = upstream.calls.count - 1
            #expect(
                lab.drive(until: end) {
                    next =
                        upstream.calls.indices.last { place in
                            upstream.calls[place].parse()
                            return upstream.calls[place].wire.isOpen
                                && upstream.calls[place].requests.count > 0
                        } ?? -1
                    return next >= 0
                })
            guard next >= 0 else { break }
            upstream.calls[next].answer()
            upstream.calls[next].says("x")
            upstream.calls[next].finish("stop")
            upstream.calls[next].wire.close()
            #expect(
                lab.drive(until: end) {
                    client.reader.responses.last?.completedAt != nil
                        && client.reader.responses.count == number
                })
            answered += client.reader.responses.last?.status == 200 ? 1 : 0
        }
        #expect(answered == 500)
        #expect(lab.close() == [])
    }
}
