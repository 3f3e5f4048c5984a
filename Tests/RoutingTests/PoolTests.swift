// Several backends: which is chosen, how pools share slots, when fallbacks are used, and how
// requests are grouped by model.

import Configuration
import Routing
import Testing

@Suite struct ChoiceOfAPlace {
    /// Options, the index of the best, and why.
    static let table: [(options: [PlaceOption], best: Int?, why: Comment)] = [
        ([], nil, "there is none"),
        ([PlaceOption()], 0, "there is one"),
        (
            [PlaceOption(isWarm: false, prefixLength: 9), PlaceOption(load: (3, 4))], 1,
            "a loaded model counts more than a known prefix"
        ),
        (
            [PlaceOption(load: (0, 4)), PlaceOption(prefixLength: 2, load: (3, 4))], 1,
            "a known prefix counts more than the load"
        ),
        (
            [PlaceOption(prefixLength: 2), PlaceOption(prefixLength: 4)], 1,
            "the longer prefix counts"
        ),
        (
            [PlaceOption(load: (2, 4)), PlaceOption(load: (3, 16))], 1,
            "the load is relative to the slots"
        ),
        (
            [PlaceOption(load: (9, nil)), PlaceOption(load: (1, 2))], 1,
            "a server without a limit does not look idle for ever"
        ),
        (
            [PlaceOption(load: (7, nil)), PlaceOption(load: (1, 2))], 0,
            "a server without a limit takes its share"
        ),
        (
            [PlaceOption(lastTurn: 5), PlaceOption(lastTurn: 4)], 1,
            "equals take turns"
        ),
        ([PlaceOption(), PlaceOption()], 0, "the order of the ticket decides in the end"),
    ]

    @Test(arguments: table.indices)
    func theBestPlaceIsTaken(_ index: Int) {
        let (options, best, why) = Self.table[index]
        #expect(bestPlace(of: options) == best, why)
    }

    @Test func equalPlacesTakeTurns() {
        var lab = AdmissionLab([backend("a", 8), backend("b", 8), backend("c", 8)])
        for id in 1...6 as ClosedRange<UInt64> {
            lab.request(id, "a b c")
            lab.release(id)
        }
        let taken = lab.answers.compactMap { answer in
            if case .granted(let grant) = answer { grant.place.backend } else { nil }
        }
        #expect(taken == ["a", "b", "c", "a", "b", "c"])
    }

    @Test func aModelThatIsLoadedDrawsRequestsUntilItsSlotsAreTaken() {
        var lab = AdmissionLab([ollama("a"), ollama("b")])
        lab.take(lab.admission.setLoaded([], on: "a", now: lab.now))
        lab.take(lab.admission.setLoaded(["m"], on: "b", now: lab.now))
        lab.request(1, "a b")
        lab.request(2, "a b")
        #expect([lab.backend(1), lab.backend(2)] == ["b", "a"])
    }

    @Test func whenOneBackendIsFullRequestsGoToTheOtherRatherThanWait() {
        var lab = AdmissionLab([backend("a", 1), backend("b", 1)])
        let one = [1, 2, 3] as [UInt64]
        lab.request(1, "a b") { $0.prefixes = one }
        #expect(lab.backend(1) == "a")
        // The same conversation would rather go where it was, but not wait for it.
        lab.request(2, "a b") { $0.prefixes = one + [4, 5] }
        #expect(lab.backend(2) == "b")
        #expect(lab.request(3, "a b") == .queued(id: 3, position: 1))
    }
}

@Suite struct WhatAGrantTells {
    private func grant(_ answer: Answer?) -> Grant? {
        if case .granted(let grant)? = answer { grant } else { nil }
    }

    @Test func howLongTheRequestWaited() {
        var lab = AdmissionLab([backend("a", 1)])
        #expect(grant(lab.request(1, "a"))?.waited == 0)
        lab.request(2, "a")
        lab.now += 3 * second
        lab.release(1)
        #expect(grant(lab.answers.last)?.waited == 3 * second)
    }

    @Test func whetherTheConversationReturned() {
        var lab = AdmissionLab([backend("a", 1), backend("b", 1)])
        let turns: [([UInt64], Bool)] = [([1, 2], false), ([1, 2, 3], true), ([1, 4], false)]
        for (id, (prefixes, isReturning)) in zip(1...9 as ClosedRange<UInt64>, turns) {
            let answer = lab.request(id, "a b") { $0.prefixes = prefixes }
            #expect(grant(answer)?.isReturning == isReturning)
            lab.release(id)
        }
    }
}

@Suite struct PoolsThatShareSlots {
    @Test func theOldestGetsTheSlotWhateverItsPool() {
        var lab = AdmissionLab([backend("a", 1), backend("b", 1)])
        lab.request(1, "a")
        lab.request(2, "b")
        lab.request(3, "a")
        lab.request(4, "a b")
        lab.request(5, "b")
        lab.request(6, "a b")
        lab.release(2)
        // 3 waits for the other backend only, so this slot is 4's.
        #expect(lab.running[4] == Place(backend: "b", model: "m"))
        lab.release(4)
        #expect(lab.order.last == 5)
        lab.release(1)
        #expect(lab.order.last == 3)
        lab.release(3)
        #expect(lab.order == [1, 2, 4, 5, 3, 6])
    }

    @Test func neitherPoolStarvesTheOther() {
        var lab = AdmissionLab([backend("a", 1)])
        lab.request(1, "a/x")
        for id in 2...101 as ClosedRange<UInt64> {
            lab.request(id, id.isMultiple(of: 2) ? "a/x" : "a/y")
        }
        for id in 1...101 as ClosedRange<UInt64> { lab.release(id) }
        #expect(lab.order == Array(1...101))
    }

    @Test func aClaimHoldsAcrossPools() {
        var lab = AdmissionLab([backend("a", 2), backend("b", 1)])
        lab.request(1, "a")
        lab.request(2, "a b") { $0.weight = 2 }
        // It fits into b, whose one slot is all there is.
        #expect(lab.backend(2) == "b")
        lab.request(3, "a") { $0.weight = 2 }
        #expect(lab.request(4, "a b") == .queued(id: 4, position: 1))
        lab.release(2)
        #expect(lab.backend(4) == "b")
    }

    @Test func slotsOfOllamaCountForEachModel() {
        var lab = AdmissionLab([ollama("box", 2)])
        for id in 1...3 as ClosedRange<UInt64> { lab.request(id, "box/x") }
        for id in 4...6 as ClosedRange<UInt64> { lab.request(id, "box/y") }
        #expect(lab.order == [1, 2, 4, 5])
        lab.release(4)
        #expect(lab.order.last == 6)
    }

    static let slotRules: [(BackendKind, Slots, Int?, SlotRule)] = [
        (.llamaServer, .auto, 4, .perBackend(4)), (.llamaServer, .auto, nil, .unlimited),
        (.llamaServer, .count(2), 4, .perBackend(2)), (.ollama, .auto, nil, .perModel(1)),
        (.ollama, .count(3), nil, .perModel(3)), (.openai, .auto, nil, .unlimited),
        (.openai, .count(5), nil, .perBackend(5)),
    ]

    @Test(arguments: slotRules.indices)
    func theKindOfABackendDecidesWhatItsSlotsMean(_ index: Int) {
        let (kind, slots, discovered, rule) = Self.slotRules[index]
        #expect(SlotRule(kind, slots, discovered: discovered) == rule)
    }
}

@Suite struct Fallbacks {
    @Test func aFallbackIsNotUsedBecauseTheModelIsBusy() {
        var lab = AdmissionLab([backend("a", 1), backend("b", 1)])
        lab.request(1, "a b>1")
        #expect(lab.request(2, "a b>1") == .queued(id: 2, position: 1))
    }

    @Test func aFallbackServesWhileTheModelIsDownOrLoading() {
        for fact in [HealthFact.refused, .loading] {
            var lab = AdmissionLab([backend("a", 1), backend("b", 1)])
            lab.request(1, "a b>1")
            lab.request(2, "a b>1")
            lab.retry(1, "b>1", fact)
            #expect(lab.backend(1) == "b")
            lab.release(1)
            #expect(lab.backend(2) == "b")
            lab.release(2)
            lab.probed("a", .succeeded)
            lab.request(3, "a b>1")
            #expect(lab.backend(3) == "a")
        }
    }

    @Test func theFirstTierThatCanServeIsUsed() {
        var lab = AdmissionLab([backend("a", 1), backend("b", 1), backend("c", 1)])
        lab.take(lab.admission.report(.refused, on: "a", now: lab.now))
        lab.request(1, "a b>1 c>2")
        lab.request(2, "a b>1 c>2")
        #expect(lab.backend(1) == "b")
        #expect(lab.backend(2) == nil)
        lab.take(lab.admission.report(.refused, on: "b", now: lab.now))
        #expect(lab.backend(2) == "c")
    }
}

@Suite struct GroupingByModel {
    /// One slot, one model at a time; `x` is loaded, and runs as request 1.
    private func swapping(_ fleet: [BackendCapacity] = [backend("gpu", 1, models: 1)])
        -> AdmissionLab
    {
        var lab = AdmissionLab(fleet)
        lab.request(1, "gpu/x")
        return lab
    }

    /// How often the model changed from one grant to the next.
    private func swaps(_ lab: AdmissionLab) -> Int {
        let models = lab.answers.compactMap { answer in
            if case .granted(let grant) = answer { grant.place.model } else { nil }
        }
        return zip(models, models.dropFirst()).count { $0 != $1 }
    }

    @Test func requestsForTheLoadedModelGoFirst() {
        var lab = swapping()
        for id in 2...9 as ClosedRange<UInt64> {
            lab.request(id, id.isMultiple(of: 2) ? "gpu/y" : "gpu/x")
        }
        while let id = lab.running.keys.first { lab.release(id) }
        #expect(lab.order == [1, 3, 5, 7, 9, 2, 4, 6, 8])
        #expect(swaps(lab) == 1)
    }

    @Test func onlySoManyGoFirst() {
        var lab = swapping()
        lab.request(2, "gpu/y")
        for id in 3...60 as ClosedRange<UInt64> { lab.request(id, "gpu/x") }
        while lab.running[2] == nil, let id = lab.running.keys.first { lab.release(id) }
        #expect(lab.order.count == 1 + Admission.overtakingLimit + 1)
    }

    @Test func theyGoFirstOnlyForSoLong() {
        var lab = swapping()
        lab.request(2, "gpu/y")
        for id in 3...60 as ClosedRange<UInt64> { lab.request(id, "gpu/x") }
        lab.release(1)
        #expect(lab.order.last == 3)
        lab.now += Admission.overtakingTime
        lab.release(3)
        #expect(lab.order.last == 2)
    }

    @Test func whenTheBoundIsReachedRunningOnesEndAndNobodyJoinsThem() {
        var lab = swapping([backend("gpu", 4, models: 1)])
        lab.request(2, "gpu/y")
        #expect(lab.request(3, "gpu/x") == lab.answers.last)
        #expect(lab.running[3] != nil)
        lab.now += Admission.overtakingTime
        #expect(lab.request(4, "gpu/x") == .queued(id: 4, position: 1))
        lab.release(1)
        #expect(lab.running[2] == nil)
        lab.release(3)
        // Now the other is loaded, and its bound begins.
        #expect(lab.order == [1, 3, 2])
        lab.request(5, "gpu/y")
        #expect(lab.running[5] != nil)
    }

    @Test func nobodyWaitsForAModelThatNobodyElseWants() {
        var lab = swapping()
        lab.request(2, "gpu/y")
        lab.release(1)
        #expect(lab.order == [1, 2])
    }

    @Test func aBatchDoesNotGoBeforeAnInteractiveRequest() {
        var lab = swapping()
        lab.request(2, "gpu/x") { $0.priority = .batch }
        lab.request(3, "gpu/y")
        lab.release(1)
        #expect(lab.order == [1, 3])
    }

    @Test func noMoreModelsRunAtOnceThanTheServerHolds() {
        var lab = AdmissionLab([ollama("box", 1, models: 2)])
        for (id, model) in zip(1...3 as ClosedRange<UInt64>, ["x", "y", "z"]) {
            lab.request(id, "box/" + model)
        }
        #expect(lab.order == [1, 2])
        lab.release(1)
        #expect(lab.order == [1, 2, 3])
    }

    /// Both run already, one inside the server's own queue, when it is seen that it holds but one.
    @Test func modelsThatRunInTurnAreGroupedFromTheMomentItIsKnown() {
        var lab = AdmissionLab([ollama("box", 1)])
        for id in 1...12 as ClosedRange<UInt64> {
            lab.request(id, id.isMultiple(of: 2) ? "box/y" : "box/x")
        }
        #expect(lab.order == [1, 2])
        lab.take(lab.admission.setLoaded(["x"], on: "box", now: lab.now))
        lab.take(lab.admission.setFleet([ollama("box", 1, models: 1)], now: lab.now))
        lab.release(1)
        #expect(lab.running.count == 1, "while y runs, nobody else can")
        while let id = lab.running.keys.first { lab.release(id) }
        #expect(lab.order.count == 12)
        #expect(swaps(lab) <= 3, "\(lab.order)")
    }

    @Test func whoLetOthersGoIsServedWhenTheyGoElsewhere() {
        // 3 could have had the loaded model here, but has it on the idle neighbour too.
        var lab = swapping([backend("gpu", 1, models: 1), backend("b", 1)])
        lab.request(10, "b")
        lab.request(2, "gpu/y")
        lab.request(3, "gpu/x b/x")
        lab.cancel(10)
        #expect(lab.backend(3) == "b")
        lab.release(1)
        #expect(lab.backend(2) == "gpu")
    }

    @Test func withoutKnowingThatAServerSwapsNothingIsGrouped() {
        var lab = swapping([backend("gpu", 1)])
        lab.request(2, "gpu/y")
        lab.request(3, "gpu/x")
        lab.release(1)
        #expect(lab.order == [1, 2])
    }

    @Test func aServerThatPutsOneModelOutForAnotherIsRecognised() {
        var seen = Residency()
        seen.observe(["x"])
        seen.observe(["x", "y"])
        seen.observe(["y"])
        #expect(seen.limit == nil, "x has only expired")
        seen.observe(["z"])
        #expect(seen.limit == 1)
        seen.observe(["z", "x"])
        #expect(seen.limit == 2, "it holds more than was thought")
        seen.observe([])
        #expect(seen.limit == 2)
    }

    @Test func aListThatIsEmptyWhileModelsAreSwappedHidesNothing() {
        var seen = Residency()
        seen.observe(["x"])
        seen.observe([])
        #expect(seen.limit == nil)
        seen.observe(["x"])
        #expect(seen.limit == nil, "it has expired and come back")
        seen.observe([])
        seen.observe(["y"])
        #expect(seen.limit == 1)
        seen.observe(["x", "y"])
        seen.observe([])
        seen.observe(["z"])
        #expect(seen.limit == 2, "both may have expired")
        seen.observe(["x"])
        #expect(seen.limit == 1)
    }
}
