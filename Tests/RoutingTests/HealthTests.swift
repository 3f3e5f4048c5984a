// When a backend counts as up, loading or down, and what becomes of a failed attempt.

import Routing
import Testing

@Suite struct HealthOfABackend {
    private func begins(_ health: inout Health, _ now: Int64) -> Bool {
        health.beginProbe(now: now)
    }

    private func isUp(_ health: Health) -> Bool { health.state == .up }

    /// What a backend is after these facts, a second apart.
    private func health(after facts: [HealthFact]) -> Health {
        var health = Health(now: 0)
        for (index, fact) in facts.enumerated() { health.note(fact, now: Int64(index) * second) }
        return health
    }

    static let deaths: [[HealthFact]] = [
        [.refused], [.succeeded, .refused],
        [.broken, .broken, .broken], [.failed, .broken, .failed],
        [.connectTimedOut(othersStand: false), .connectTimedOut(othersStand: false)],
    ]

    @Test(arguments: deaths)
    func itIsDownAtTheLastOfThese(_ facts: [HealthFact]) {
        #expect(isUp(health(after: facts.dropLast())))
        #expect(!isUp(health(after: facts)))
    }

    static let lives: [[HealthFact]] = [
        Array(repeating: .slow, count: 100),
        Array(repeating: .connectTimedOut(othersStand: true), count: 100),
        [.broken, .broken, .succeeded, .broken, .broken],
        [.failed, .failed, .slow, .succeeded, .failed, .failed],
        [.connectTimedOut(othersStand: false), .succeeded, .connectTimedOut(othersStand: false)],
    ]

    @Test(arguments: lives)
    func itIsUpAfterThese(_ facts: [HealthFact]) {
        #expect(isUp(health(after: facts)))
    }

    @Test func aBackendThatIsBusyForAMinuteIsNeverMarkedDead() {
        var health = Health(now: 0)
        for moment in stride(from: 0, through: 60 * second, by: Int(second)) {
            health.note(.slow, now: moment)
            if health.beginProbe(now: moment) { health.noteProbe(.slow, now: moment) }
            #expect(isUp(health))
        }
    }

    @Test func oneProbeAtATimeFindsItBack() {
        var health = health(after: [.refused])
        #expect(health.nextProbe == Health.firstBackoff)
        #expect(!begins(&health, Health.firstBackoff - 1))
        #expect(begins(&health, Health.firstBackoff))
        #expect(health.nextProbe == nil)
        #expect(!begins(&health, 100 * second))
        health.noteProbe(.succeeded, now: 100 * second)
        #expect(isUp(health))
        #expect(health.nextProbe == 100 * second + Health.probeInterval)
    }

    @Test func thePausesBetweenProbesGrowUpToABound() {
        var health = health(after: [.refused])
        var pauses: [Int64] = []
        var now: Int64 = 0
        for fact in [HealthFact.refused, .slow, .broken, .failed, .refused, .refused, .refused] {
            guard let next = health.nextProbe else { break }
            pauses.append((next - now) / millisecond)
            now = next
            #expect(begins(&health, now))
            health.noteProbe(fact, now: now)
            #expect(health.state == .down(since: 0))
        }
        #expect(pauses == [100, 200, 400, 800, 1600, 3200, 5000])
    }

    @Test func whoAnswersProbesAndFailsAtRequestsIsTriedAtLongerPauses() {
        var health = Health(now: 0)
        var pauses: [Int64] = []
        for round in 1...4 as ClosedRange<Int64> {
            let now = round * 100 * second
            for _ in 0..<Health.failureLimit { health.note(.failed, now: now) }
            pauses.append(((health.nextProbe ?? 0) - now) / millisecond)
            #expect(begins(&health, now + 10 * second))
            health.noteProbe(.succeeded, now: now + 10 * second)
        }
        #expect(pauses == [100, 200, 400, 800])
        health.note(.succeeded, now: 1000 * second)
        health.note(.refused, now: 1000 * second)
        #expect(health.nextProbe == 1000 * second + Health.firstBackoff)
    }

    @Test func anAnswerThatBeganBeforeTheDeathDoesNotRaiseIt() {
        var health = health(after: [.refused])
        for fact in [HealthFact.succeeded, .loading, .slow, .broken] {
            health.note(fact, now: second)
            #expect(health.state == .down(since: 0))
        }
    }

    @Test func loadingEndsWithAProbe() {
        var health = health(after: [.loading])
        #expect(health.state == .loading(since: 0))
        health.note(.loading, now: second)
        health.note(.succeeded, now: second)
        #expect(health.state == .loading(since: 0))
        for fact in [HealthFact.loading, .slow, .failed] {
            let next = health.nextProbe ?? 0
            #expect(begins(&health, next))
            health.noteProbe(fact, now: next)
            #expect(health.nextProbe == next + Health.loadingProbeInterval)
            #expect(health.state == .loading(since: 0))
        }
        health.noteProbe(.succeeded, now: 9 * second)
        #expect(isUp(health))
    }

    @Test func aBackendThatDiesWhileLoadingIsDown() {
        var health = health(after: [.loading])
        health.note(.refused, now: second)
        #expect(health.state == .down(since: second))
        health.noteProbe(.loading, now: 2 * second)
        #expect(health.state == .loading(since: 2 * second))
    }
}

@Suite struct RetryingARequest {
    private func decisions(
        _ failures: [AttemptFailure], hasOtherPlace: Bool = true, clientHasContent: Bool = false
    ) -> [RetryDecision] {
        var policy = RetryPolicy()
        return failures.map {
            policy.decide(
                $0, clientHasContent: clientHasContent, hasOtherPlace: hasOtherPlace)
        }
    }

    static let table: [(failure: AttemptFailure, other: RetryDecision, alone: RetryDecision)] = [
        (.staleConnection, .freshConnection, .freshConnection), (.refused, .elsewhere, .giveUp),
        (.connectTimedOut, .elsewhere, .giveUp), (.broken, .elsewhere, .giveUp),
        (.failed, .elsewhere, .giveUp), (.loading, .wait, .wait),
        (.busy, .elsewhere, .giveUp), (.cured, .wait, .wait), (.final, .giveUp, .giveUp),
        (.deadlinePassed, .giveUp, .giveUp),
    ]

    @Test func theTableKnowsEveryFailure() {
        #expect(Self.table.map(\.failure) == AttemptFailure.allCases)
    }

    @Test(arguments: table.indices)
    func anAttemptIsFollowedByWhatItsFailureAllows(_ index: Int) {
        let row = Self.table[index]
        #expect(decisions([row.failure]) == [row.other])
        #expect(decisions([row.failure], hasOtherPlace: false) == [row.alone])
    }

    @Test(arguments: AttemptFailure.allCases)
    func nothingIsSaidTwice(_ failure: AttemptFailure) {
        #expect(decisions([failure], clientHasContent: true) == [.giveUp])
    }

    @Test func aRequestThatMayHaveKilledAServerIsSentToOneMoreAtMost() {
        #expect(decisions([.broken, .broken]) == [.elsewhere, .giveUp])
        #expect(
            decisions([.refused, .broken, .refused, .failed, .broken])
                == [.elsewhere, .elsewhere, .elsewhere, .elsewhere, .giveUp])
    }

    @Test func aFreshConnectionIsTriedOnce() {
        #expect(
            decisions([.staleConnection, .staleConnection, .staleConnection])
                == [.freshConnection, .elsewhere, .giveUp])
    }

    @Test func aCureIsTriedOnce() {
        #expect(decisions([.cured, .cured]) == [.wait, .giveUp])
    }

    @Test func whatAFailureTellsOfTheBackend() {
        let facts = AttemptFailure.allCases.map { $0.healthFact(othersStand: false) }
        #expect(
            facts == [
                nil, .refused, .connectTimedOut(othersStand: false), .broken, .failed, .loading,
                .slow, nil, .succeeded, .slow,
            ])
    }
}

@Suite struct ModelsThatHang {
    /// A model that has just had a stream cancelled while its tokens came, at `0`.
    private func suspected(firstByteAfter wait: Int64 = second) -> WedgeDetector {
        var detector = WedgeDetector()
        detector.sent(1, now: -wait)
        detector.spoke(1, now: 0)
        detector.cancelled(1, now: 0)
        return detector
    }

    private func hanging(_ detector: inout WedgeDetector, _ now: Int64) -> [UInt64]? {
        detector.check(now: now)
    }

    @Test func silenceAfterACancelledStreamIsCuredOnce() {
        var detector = suspected()
        #expect(detector.due == nil, "nobody is waiting")
        detector.sent(3, now: 5 * second)
        detector.sent(2, now: 6 * second)
        #expect(detector.due == 5 * second + WedgeDetector.leastSilence)
        #expect(hanging(&detector, 5 * second + WedgeDetector.leastSilence - 1) == nil)
        #expect(hanging(&detector, 5 * second + WedgeDetector.leastSilence) == [2, 3])
        #expect(detector.cures == 1)
        // If they stay silent after that, it was something else.
        detector.sent(2, now: 40 * second)
        #expect(detector.due == nil)
        #expect(hanging(&detector, 1000 * second) == nil)
    }

    @Test func aCancelBeforeTheFirstTokenIsNoSuspicion() {
        var detector = WedgeDetector()
        detector.sent(1, now: 0)
        detector.cancelled(1, now: second)
        detector.sent(2, now: second)
        #expect(detector.due == nil)
    }

    @Test func anEndByItselfIsNoSuspicion() {
        var detector = WedgeDetector()
        detector.sent(1, now: 0)
        detector.spoke(1, now: second)
        detector.ended(1, now: 2 * second)
        detector.sent(2, now: 3 * second)
        #expect(detector.due == nil)
        detector.cancelled(2, now: 4 * second)
        #expect(detector.isQuiet)
    }

    @Test func aModelThatAnswersAfterTheCancelIsWell() {
        var detector = suspected()
        detector.sent(2, now: second)
        detector.spoke(2, now: 20 * second)
        #expect(detector.due == nil)
        detector.ended(2, now: 30 * second)
        detector.sent(3, now: 31 * second)
        #expect(detector.due == nil)
    }

    @Test func whileAnotherStreamRunsTheModelIsBusyAndNotHanging() {
        var detector = WedgeDetector()
        detector.sent(1, now: 0)
        detector.sent(2, now: 0)
        detector.spoke(1, now: second)
        detector.spoke(2, now: second)
        detector.cancelled(1, now: 2 * second)
        detector.sent(3, now: 3 * second)
        #expect(hanging(&detector, 500 * second) == nil)
        detector.ended(2, now: 500 * second)
        #expect(detector.due == 500 * second + WedgeDetector.leastSilence)
    }

    @Test func aSlowModelIsGivenMoreTime() {
        var detector = suspected(firstByteAfter: 40 * second)
        detector.sent(2, now: 0)
        #expect(detector.due == 80 * second)
        var slower = suspected(firstByteAfter: 900 * second)
        slower.sent(2, now: 0)
        #expect(slower.due == WedgeDetector.longestSilence)
    }

    @Test func clientsThatGiveUpSoonDoNotHideIt() {
        var detector = suspected()
        var now: Int64 = 0
        for id in 10...20 as ClosedRange<UInt64> {
            detector.sent(id, now: now)
            if let due = detector.due, due <= now + 10 * second { break }
            now += 10 * second
            detector.cancelled(id, now: now)
            // An hour in which nobody asks is no silence.
            now += 3600 * second
        }
        #expect(hanging(&detector, now + 10 * second) == [12])
    }

    @Test func unloadingTheModelEndsTheSuspicion() {
        var detector = suspected()
        detector.sent(2, now: 0)
        detector.unloaded()
        #expect(detector.due == nil)
    }
}
