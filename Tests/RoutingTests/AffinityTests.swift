// Conversations return to where they were served.

import Routing
import Testing

/// The prefixes of a conversation with these messages.
func prefixes(_ messages: [String], model: String = "m") -> [UInt64] {
    var hasher = PrefixHasher(model: model)
    for message in messages {
        hasher.add(Array(message.utf8).span)
        hasher.endMessage()
    }
    return hasher.prefixes
}

@Suite struct HashesOfPrefixes {
    @Test func aLongerConversationHasTheHashesOfTheShorter() {
        let short = prefixes(["system: be kind", "user: hello"])
        let long = prefixes(["system: be kind", "user: hello", "assistant: hi", "user: more"])
        #expect(long.count == 4)
        #expect(Array(long.prefix(2)) == short)
        #expect(Set(long).count == 4)
    }

    @Test func howTheBytesAreCutDoesNotMatter() {
        let bytes = Array("a message of some twenty-five bytes".utf8)
        var whole = PrefixHasher(model: "m")
        whole.add(bytes.span)
        whole.endMessage()
        for cut in 0...bytes.count {
            var pieces = PrefixHasher(model: "m")
            pieces.add(Array(bytes[..<cut]).span)
            pieces.add(Array(bytes[cut...]).span)
            pieces.endMessage()
            #expect(pieces.prefixes == whole.prefixes)
        }
    }

    @Test(arguments: [
        (["ab", "c"], ["a", "bc"]), (["a"], ["a\0"]), (["", "a"], ["a"]), ([""], ["", ""]),
        (["12345678"], ["1234567"]), (["a", "b"], ["b", "a"]), (["", "a"], ["a", ""]),
    ])
    func differentConversationsHaveDifferentEnds(_ pair: ([String], [String])) {
        #expect(prefixes(pair.0).last != prefixes(pair.1).last)
    }

    @Test func anotherModelHasOtherHashes() {
        #expect(prefixes(["a"], model: "x") != prefixes(["a"], model: "y"))
    }

    @Test func onlyTheLastOnesAreKept() {
        let many = (0..<1000).map { "message \($0)" }
        let kept = prefixes(many)
        #expect(kept.count == PrefixHasher.limit)
        #expect(kept.last == prefixes(many).last)
        #expect(prefixes(Array(many.prefix(999))).last == kept.dropLast().last)
    }
}

@Suite struct MemoryOfPlaces {
    @Test func theLongestKnownPrefixComesFirst() {
        var affinity = Affinity(capacity: 10)
        affinity.remember(11, at: 1)
        affinity.remember(13, at: 2)
        affinity.remember(14, at: 1)
        let found = affinity.places(for: [10, 11, 12, 13, 14, 15])
        #expect(found.map(\.place) == [1, 2])
        #expect(found.map(\.length) == [5, 4])
        #expect(affinity.places(for: []).isEmpty)
    }

    @Test func theLastPlaceCounts() {
        var affinity = Affinity(capacity: 10)
        affinity.remember(1, at: 1)
        affinity.remember(1, at: 2)
        #expect(affinity.place(of: 1) == 2)
        #expect(affinity.count == 1)
    }

    @Test func theOldestIsForgotten() {
        var affinity = Affinity(capacity: 3)
        for prefix in 1...3 as ClosedRange<UInt64> { affinity.remember(prefix, at: 0) }
        affinity.remember(1, at: 0)
        affinity.remember(4, at: 0)
        #expect(affinity.count == 3)
        #expect((1...4 as ClosedRange<UInt64>).filter { affinity.place(of: $0) == nil } == [2])
    }

    /// Against a list that is searched.
    @Test func itIsTheMemoryOfTheLastOnesUsed() {
        var numbers = SeededNumbers(3)
        var affinity = Affinity(capacity: 5)
        var model: [(prefix: UInt64, place: Int)] = []
        for _ in 0..<2000 {
            let prefix = numbers.next() % 12
            let place = Int(numbers.next() % 3)
            affinity.remember(prefix, at: place)
            model.removeAll { $0.prefix == prefix }
            model.append((prefix, place))
            if model.count > 5 { model.removeFirst() }
            for prefix in 0..<12 as Range<UInt64> {
                let expected = model.first { $0.prefix == prefix }?.place
                guard affinity.place(of: prefix) != expected else { continue }
                Issue.record("\(prefix): \(String(describing: expected))")
                return
            }
        }
    }
}

@Suite struct ReplayedConversations {
    /// What became of a replay.
    private struct Outcome {
        var turns: [String: Int] = [:]
        var returned = 0
        var later = 0

        var share: Double { Double(turns["a", default: 0]) / Double(turns.values.reduce(0, +)) }
    }

    /// Twenty conversations of ten turns over two backends, so many of them at a time. With one
    /// system prompt for all, and first questions that differ.
    private func replay(slots: Int, atOnce: Int, shuffled: UInt64? = nil) -> Outcome {
        var lab = AdmissionLab([backend("a", slots), backend("b", slots)])
        var talks = (0..<20).map { ["You are a helpful assistant.", "I am number \($0)."] }
        var last: [Int: String] = [:]
        var outcome = Outcome()
        var numbers = SeededNumbers(shuffled ?? 0)
        for turn in 0..<10 {
            var order = Array(0..<20)
            if shuffled != nil { order.shuffle(using: &numbers) }
            for group in stride(from: 0, to: 20, by: atOnce) {
                let talking = order[group..<min(group + atOnce, 20)]
                for talk in talking {
                    lab.now += millisecond
                    lab.request(UInt64(talk), "a b") { $0.prefixes = prefixes(talks[talk]) }
                }
                for talk in talking {
                    let place = lab.backend(UInt64(talk)) ?? "none"
                    outcome.turns[place, default: 0] += 1
                    if let before = last[talk] {
                        outcome.later += 1
                        outcome.returned += before == place ? 1 : 0
                    }
                    last[talk] = place
                    talks[talk] += ["Answer \(turn) to \(talk).", "Question \(turn) of \(talk)."]
                    lab.release(UInt64(talk))
                }
            }
        }
        return outcome
    }

    @Test(arguments: [20, 10, 7, 3, 1])
    func nearlyAllTurnsReturnAndBothBackendsWorkAlike(_ atOnce: Int) {
        let outcome = replay(slots: 10, atOnce: atOnce)
        #expect(outcome.turns["none"] == nil)
        #expect(outcome.later == 180)
        #expect(outcome.returned >= 171, "\(outcome)")
        #expect((0.45...0.55).contains(outcome.share), "\(outcome)")
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func soTheyDoInAnyOrder(_ seed: UInt64) {
        let outcome = replay(slots: 10, atOnce: 20, shuffled: seed)
        #expect(outcome.returned >= 171, "\(outcome)")
        #expect((0.45...0.55).contains(outcome.share), "\(outcome)")
    }

    @Test func aCommonSystemPromptDoesNotBindThemTogether() {
        // With room for all on one backend, only the choice can spread them.
        let outcome = replay(slots: 100, atOnce: 20)
        #expect(outcome.returned == 180, "\(outcome)")
        #expect((0.45...0.55).contains(outcome.share), "\(outcome)")
    }
}
