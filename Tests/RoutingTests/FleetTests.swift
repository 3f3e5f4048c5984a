// Backends that die, load, come and go while requests run and wait.

import Configuration
import Routing
import Testing

@Suite struct BackendsThatDie {
    @Test func oneOfTwoIsKilledUnderAHundredStreams() {
        var lab = AdmissionLab([backend("a", 50), backend("b", 50)])
        let all = 1...100 as ClosedRange<UInt64>
        for id in all { lab.request(id, "a b") }
        let hit = all.filter { lab.backend($0) == "a" }
        #expect(hit.count == 50)
        for id in hit {
            lab.now += millisecond / 10
            let decision = lab.fail(id, .broken)
            #expect(decision == .elsewhere)
        }
        // They wait for slots of the other in the order of their coming, and all get one.
        #expect(lab.admission.waitingCount == 50)
        let done = all.filter { lab.backend($0) == "b" }
        for id in done { lab.release(id) }
        #expect(Array(lab.order.suffix(50)) == hit)
        #expect(lab.refused.isEmpty)
        for id in hit { lab.release(id) }
        lab.request(200, "a b")
        #expect(lab.backend(200) == "b")
    }

    @Test func oneRefusedConnectSendsAllLaterRequestsElsewhere() {
        var lab = AdmissionLab([backend("a", 8), backend("b", 8)])
        lab.request(1, "a b")
        #expect(lab.backend(1) == "a")
        lab.fail(1, .refused)
        #expect(lab.backend(1) == "b")
        lab.now += 50 * millisecond
        for id in 10...13 as ClosedRange<UInt64> {
            lab.request(id, "a b")
            #expect(lab.backend(id) == "b")
        }
    }

    @Test func aBackendComesBackWhenAProbeSucceeds() {
        var lab = AdmissionLab([backend("a", 1), backend("b", 1)])
        lab.probed("a", .succeeded)
        lab.probed("b", .succeeded)
        lab.request(1, "a b")
        lab.retry(1, "b", .refused)
        lab.request(2, "a b")
        #expect(lab.backend(2) == nil)
        let next = lab.admission.nextWake
        #expect(next == lab.now + Health.firstBackoff)
        lab.wait(Health.firstBackoff)
        let (due, dueAgain) = (lab.dueProbes(), lab.dueProbes())
        #expect(due == ["a"])
        #expect(dueAgain == [])
        lab.take(lab.admission.probed("a", .succeeded, now: lab.now))
        #expect(lab.backend(2) == "a")
    }

    @Test func whenAllAreDownNewRequestsAreRefusedAtOnce() {
        var lab = AdmissionLab([backend("a", 1)])
        lab.request(1, "a")
        lab.release(1, .refused)
        #expect(lab.request(2, "a") == .refused(id: 2, .noBackend(retryAfterSeconds: 1)))
        #expect(lab.request(3, "") == .refused(id: 3, .noBackend(retryAfterSeconds: 1)))
        #expect(lab.request(4, "zzz") == .refused(id: 4, .noBackend(retryAfterSeconds: 1)))
    }

    @Test func whoWaitsAlreadyOutlastsARestart() {
        var lab = AdmissionLab([backend("a", 1)])
        for id in 1...3 as ClosedRange<UInt64> { lab.request(id, "a") }
        lab.release(1, .refused)
        lab.wait(Admission.restartGrace - 1)
        #expect(lab.refused.isEmpty)
        lab.probed("a", .loading)
        lab.wait(100 * second)
        lab.probed("a", .succeeded)
        #expect(lab.order == [1, 2])
        lab.release(2)
        #expect(lab.order == [1, 2, 3])
    }

    @Test func butNotADeath() {
        var lab = AdmissionLab([backend("a", 1)])
        for id in 1...4 as ClosedRange<UInt64> {
            lab.request(id, "a") { $0.priority = id == 3 ? .batch : .interactive }
        }
        lab.release(1, .refused)
        _ = lab.admission.takeDueProbes(now: lab.now + second)
        let next = lab.admission.nextWake
        #expect(next == lab.now + Admission.restartGrace)
        lab.wait(Admission.restartGrace)
        #expect(Set(lab.refused.keys) == [2, 3, 4])
        #expect(lab.refused[2] == .noBackend(retryAfterSeconds: 1))
        #expect(lab.admission.waitingCount == 0)
    }

    @Test func theGraceIsNotBegunAnewWhenAnotherBackendChanges() {
        var lab = AdmissionLab([backend("a", 1), backend("b", 1)])
        lab.request(1, "a")
        lab.request(2, "a")
        lab.release(1, .refused)
        lab.wait(Admission.restartGrace / 2)
        lab.take(lab.admission.report(.refused, on: "b", now: lab.now))
        lab.wait(Admission.restartGrace / 2)
        #expect(lab.refused.keys.sorted() == [2])
    }

    @Test func aClientThatLeavesNeverCountsAgainstABackend() {
        var lab = AdmissionLab([backend("a", 2)])
        for id in 1...100 as ClosedRange<UInt64> {
            lab.request(id, "a")
            lab.cancel(id)
        }
        #expect(lab.admission.health(of: "a") == .up)
    }

    @Test func aBackendThatIsBusyForAMinuteKeepsItsRequests() {
        var lab = AdmissionLab([backend("a", 2)])
        for id in 1...40 as ClosedRange<UInt64> { lab.request(id, "a") }
        for _ in 0..<60 {
            lab.wait(second)
            for name in lab.dueProbes() {
                lab.take(lab.admission.probed(name, .slow, now: lab.now))
            }
            lab.take(
                lab.admission.report(
                    .connectTimedOut(othersStand: true), on: "a", now: lab.now))
        }
        #expect(lab.admission.health(of: "a") == .up)
        #expect(lab.refused.isEmpty)
        lab.release(1, .slow)
        #expect(lab.order == [1, 2, 3])
    }
}

@Suite struct FailedAttempts {
    @Test func aRequestGoesFromPlaceToPlaceAndIsGivenUpAtTheLast() {
        var lab = AdmissionLab([backend("a", 1), backend("b", 1), backend("c", 1)])
        lab.request(1, "a b c>1")
        var been: [String?] = []
        var decisions: [RetryDecision] = []
        for failure in [AttemptFailure.refused, .failed, .connectTimedOut] {
            been.append(lab.backend(1))
            decisions.append(lab.fail(1, failure))
        }
        #expect(been == ["a", "b", "c"])
        #expect(decisions == [.elsewhere, .elsewhere, .giveUp])
        #expect(lab.running.isEmpty)
        // One failure is no death: b still serves others.
        lab.request(2, "a b c>1")
        #expect(lab.backend(2) == "b")
    }

    @Test func aFallbackIsNotTriedWhileAnotherOfTheTierCanServe() {
        var lab = AdmissionLab([backend("a", 1), backend("b", 1), backend("c", 1)])
        lab.request(1, "a b c>1")
        lab.request(2, "a b c>1")
        lab.fail(1, .refused)
        #expect(lab.running[1] == nil)
        lab.release(2)
        #expect(lab.backend(1) == "b")
    }

    @Test func aStaleConnectionKeepsItsSlot() {
        var lab = AdmissionLab([backend("a", 1)])
        lab.request(1, "a")
        lab.request(2, "a")
        let decision = lab.fail(1, .staleConnection)
        #expect(decision == .freshConnection)
        #expect(lab.backend(1) == "a")
        #expect(lab.order == [1])
    }

    @Test func onceTheClientHasContentNothingIsTriedAgain() {
        var lab = AdmissionLab([backend("a", 1), backend("b", 1)])
        lab.request(1, "a b")
        let decision = lab.fail(1, .broken, clientHasContent: true)
        #expect(decision == .giveUp)
        #expect(lab.running.isEmpty)
        #expect(lab.admission.running(on: "a") == 0)
    }

    @Test func aRetryKeepsItsPlaceBeforeThoseWhoCameLater() {
        var lab = AdmissionLab([backend("a", 1), backend("b", 1)])
        lab.request(1, "a b")
        lab.request(2, "b")
        lab.request(3, "b")
        lab.fail(1, .refused)
        lab.release(2)
        #expect(lab.backend(1) == "b")
        #expect(lab.backend(3) == nil)
    }

    @Test func connectsInVainWhileStreamsStandAreNoDeath() {
        for standing in [true, false] {
            var lab = AdmissionLab([backend("a", 8), backend("b", 8)])
            lab.request(1, "a")
            if standing { lab.take(lab.admission.answered(1, now: lab.now)) }
            for id in 2...9 as ClosedRange<UInt64> {
                lab.request(id, "a")
                lab.fail(id, .connectTimedOut)
            }
            #expect((lab.admission.health(of: "a") == .up) == standing)
        }
    }

    @Test func aFailureOfOneWhoIsForgottenChangesNothing() {
        var lab = AdmissionLab([backend("a", 1)])
        let decision = lab.fail(9, .refused)
        #expect(decision == .giveUp)
        #expect(lab.admission.health(of: "a") == .up)
    }
}

@Suite struct BackendsThatLoad {
    @Test func requestsWaitForTheModel() {
        var lab = AdmissionLab([backend("a", 2)])
        lab.request(1, "a")
        lab.fail(1, .loading)
        #expect(lab.request(2, "a") == .queued(id: 2, position: 2))
        lab.wait(10 * second)
        lab.probed("a", .succeeded)
        #expect(lab.order == [1, 1, 2])
    }

    @Test func eachForSoLong() {
        var lab = AdmissionLab([backend("a", 2)], loadWait: 60 * second)
        lab.request(1, "a")
        lab.retry(1, "a", .loading)
        lab.wait(30 * second)
        lab.request(2, "a")
        _ = lab.admission.takeDueProbes(now: lab.now)
        lab.wait(30 * second - 1)
        #expect(lab.refused.isEmpty)
        let next = lab.admission.nextWake
        #expect(next == lab.now + 1)
        lab.wait(1)
        #expect(lab.refused.keys.sorted() == [1])
        lab.wait(30 * second)
        guard case .modelLoading? = lab.refused[2] else {
            Issue.record("\(String(describing: lab.refused[2]))")
            return
        }
    }

    @Test func theWaitIsNotBegunAnewWhenAnotherBackendChanges() {
        var lab = AdmissionLab([backend("a", 1), backend("b", 1)], loadWait: 60 * second)
        lab.request(1, "a")
        lab.retry(1, "a", .loading)
        lab.wait(40 * second)
        lab.take(lab.admission.report(.refused, on: "b", now: lab.now))
        lab.wait(20 * second)
        #expect(lab.refused.keys.sorted() == [1])
    }

    @Test func anotherBackendThatHasTheModelServesMeanwhile() {
        var lab = AdmissionLab([backend("a", 2), backend("b", 1)])
        lab.probed("a", .loading)
        lab.request(1, "a b")
        #expect(lab.backend(1) == "b")
        lab.request(2, "a b")
        #expect(lab.backend(2) == nil)
        lab.probed("a", .succeeded)
        #expect(lab.backend(2) == "a")
    }

    @Test func nothingIsSentToAModelThatIsBeingCured() {
        var lab = AdmissionLab([ollama("box")])
        lab.request(1, "box/x")
        lab.request(2, "box/x")
        let place = Place(backend: "box", model: "x")
        lab.admission.suspend(place, now: lab.now)
        lab.retry(1, "box/x", .slow)
        #expect(lab.running.isEmpty)
        lab.request(3, "box/y")
        #expect(lab.backend(3) == "box")
        lab.take(lab.admission.resume(place, now: lab.now))
        #expect(lab.order == [1, 2, 3, 1].filter { $0 != 2 })
        lab.release(1)
        #expect(lab.order.last == 2)
    }

    @Test func afterTheCureTheModelHasToBeLoaded() {
        var lab = AdmissionLab([ollama("a", 2), ollama("b", 2)])
        for name in ["a", "b"] {
            lab.take(lab.admission.setLoaded(["m"], on: name, now: lab.now))
        }
        let place = Place(backend: "a", model: "m")
        lab.admission.suspend(place, now: lab.now)
        lab.take(lab.admission.resume(place, now: lab.now))
        for id in 1...2 as ClosedRange<UInt64> { lab.request(id, "a b") }
        #expect([lab.backend(1), lab.backend(2)] == ["b", "b"])
    }

    @Test func aModelThatIsBeingLoadedForARequestCountsAsLoaded() {
        var lab = AdmissionLab([ollama("a", 2), ollama("b", 2)])
        for name in ["a", "b"] {
            lab.take(lab.admission.setLoaded([], on: name, now: lab.now))
        }
        lab.request(1, "a b")
        // The server does not list it yet.
        lab.take(lab.admission.setLoaded([], on: "a", now: lab.now))
        lab.request(2, "a b")
        #expect([lab.backend(1), lab.backend(2)] == ["a", "a"])
    }
}

@Suite struct LoadWaitOfABackend {
    @Test func theLongestOfThePoolHolds() {
        var patient = backend("a", 1)
        patient.loadWait = 90 * second
        var lab = AdmissionLab([patient, backend("b", 1)], loadWait: 60 * second)
        lab.probed("a", .loading)
        lab.probed("b", .loading)
        lab.request(1, "a b")
        lab.request(2, "b")
        lab.now += 60 * second
        lab.take(lab.admission.wake(now: lab.now))
        #expect(lab.refused.keys.sorted() == [2])
        lab.now += 30 * second
        lab.take(lab.admission.wake(now: lab.now))
        #expect(lab.refused.keys.sorted() == [1, 2])
    }
}

@Suite struct BackendsThatComeAndGo {
    @Test func moreSlotsLetMoreGo() {
        var lab = AdmissionLab([backend("a", 1)])
        for id in 1...4 as ClosedRange<UInt64> { lab.request(id, "a") }
        lab.take(lab.admission.setFleet([backend("a", 3)], now: lab.now))
        #expect(lab.order == [1, 2, 3])
        lab.take(lab.admission.setFleet([backend("a", 1)], now: lab.now))
        lab.release(1)
        lab.release(2)
        #expect(lab.order == [1, 2, 3])
        lab.release(3)
        #expect(lab.order == [1, 2, 3, 4])
    }

    @Test func aRuleOfAnotherKindCountsWhatRuns() {
        var lab = AdmissionLab([ollama("a", 1)])
        lab.request(1, "a/x")
        lab.request(2, "a/y")
        lab.request(3, "a/x")
        lab.take(lab.admission.setFleet([backend("a", 2)], now: lab.now))
        #expect(lab.order == [1, 2])
        lab.release(2)
        #expect(lab.order == [1, 2, 3])
        #expect(lab.admission.running(on: "a") == 2)
    }

    @Test func theRequestsOfABackendThatIsTakenAwayRunOn() {
        var lab = AdmissionLab([backend("a", 1), backend("b", 1)])
        lab.request(1, "a b")
        lab.request(2, "a b")
        lab.request(3, "a b")
        lab.take(lab.admission.setFleet([backend("b", 1)], now: lab.now))
        #expect(lab.admission.health(of: "a") == nil)
        lab.release(1)
        #expect(lab.order == [1, 2])
        #expect(lab.admission.running(on: "a") == 0)
        lab.release(2)
        #expect(lab.backend(3) == "b")
        // It can come back.
        lab.take(lab.admission.setFleet([backend("a", 1), backend("b", 1)], now: lab.now))
        lab.request(4, "a b")
        #expect(lab.backend(4) == "a")
    }

    @Test func thoseThatWaitAreLedToANewBackendAndKeepTheirOrder() {
        var lab = AdmissionLab([backend("a", 1)])
        for id in 1...6 as ClosedRange<UInt64> { lab.request(id, "a") }
        lab.take(lab.admission.setFleet([backend("b", 1), backend("c", 1)], now: lab.now))
        #expect(lab.refused.isEmpty)
        for id in [4, 2, 6, 3, 5] as [UInt64] {
            lab.take(lab.admission.reroute(id, to: places("b c"), now: lab.now))
        }
        // The first two to be rerouted found free slots; the others keep their order.
        #expect(lab.order == [1, 4, 2])
        #expect(lab.admission.position(of: 3) == 1)
        for id in [4, 2, 3, 5, 6] as [UInt64] { lab.release(id) }
        #expect(lab.order == [1, 4, 2, 3, 5, 6])
        #expect(lab.refused.isEmpty)
    }
}
