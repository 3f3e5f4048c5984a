// How much a key may ask for: what is let in, what is refused, and for how long.

import Configuration
import Testing

@testable import Routing

/// A moment so many seconds after 2026-11-20T00:00:00Z.
private func at(_ seconds: Double) -> QuotaTime {
    QuotaTime(
        nanoseconds: 5_000_000_000 + Int64(seconds * 1_000_000_000),
        wallSeconds: 1_795_132_800 + Int(seconds.rounded(.down)))
}

private func quota(_ change: (inout KeySettings) -> Void) -> KeyQuota {
    var key = KeySettings(name: "alice", key: Secret("k"))
    change(&key)
    return KeyQuota(key)
}

/// What became of a request: the limit and the wait, or `nil` if it was let in.
private func refusal(_ quota: inout KeyQuota, _ now: QuotaTime) -> KeyQuota.Refusal? {
    do throws(KeyQuota.Refusal) {
        try quota.admit(at: now)
        return nil
    } catch {
        return error
    }
}

@Suite struct RequestsAtOneTime {
    @Test func areLetInUpToTheLimitAndAgainWhenOneHasEnded() {
        var quota = quota { $0.maxInFlight = 2 }
        #expect(refusal(&quota, at(0)) == nil)
        #expect(refusal(&quota, at(0)) == nil)
        #expect(
            refusal(&quota, at(0)) == .init(limit: .maxInFlight, value: 2, retryAfterSeconds: 1))
        quota.release(tokens: 0, at: at(1))
        #expect(refusal(&quota, at(1)) == nil)
        #expect(quota.inFlight == 2)
    }

    @Test func aLimitOfZeroLetsNobodyIn() {
        var quota = quota { $0.maxInFlight = 0 }
        #expect(refusal(&quota, at(0))?.limit == .maxInFlight)
    }

    @Test func oneReleaseTooManyIsNoLicence() {
        var quota = quota { $0.maxInFlight = 1 }
        quota.release(tokens: 0, at: at(0))
        #expect(refusal(&quota, at(0)) == nil)
        #expect(refusal(&quota, at(0)) != nil)
    }
}

@Suite struct RequestsInAMinute {
    @Test(arguments: [1, 2, 3, 7, 59, 60, 61, 100, 600, 10_000])
    func asManyAsTheLimitAtOnceAndThenOneAfterTheOther(_ limit: Int) {
        var quota = quota { $0.requestsPerMinute = limit }
        for _ in 0..<limit { #expect(refusal(&quota, at(0)) == nil) }
        let first = refusal(&quota, at(0))
        #expect(first?.limit == .requestsPerMinute)
        // Nobody who waits as long as he was told is refused again.
        let wait = Double(first?.retryAfterSeconds ?? 0)
        #expect(wait == (60 / Double(limit)).rounded(.up))
        #expect(refusal(&quota, at(wait)) == nil)
    }

    @Test func whoIsRefusedLosesNothing() {
        var quota = quota { $0.requestsPerMinute = 1 }
        #expect(refusal(&quota, at(0)) == nil)
        for tenth in 1..<600 { #expect(refusal(&quota, at(Double(tenth) / 10)) != nil) }
        #expect(refusal(&quota, at(60)) == nil)
    }

    @Test func theWaitGrowsShorter() {
        var quota = quota { $0.requestsPerMinute = 2 }
        for _ in 0..<2 { _ = refusal(&quota, at(0)) }
        let waits = [0, 10, 20, 29.5].map { refusal(&quota, at($0))?.retryAfterSeconds }
        #expect(waits == [30, 20, 10, 1])
    }

    /// The long run: no more than the limit in each minute after the first.
    @Test func hoursOfKnockingGetTheLimitAndNoMore() {
        var quota = quota { $0.requestsPerMinute = 60 }
        var letIn = 0
        for tenth in 0..<(3600 * 10) where refusal(&quota, at(Double(tenth) / 10)) == nil {
            letIn += 1
        }
        #expect(letIn == 60 * 60 + 59)
    }
}

@Suite struct TokensInADay {
    @Test func areCountedWhenAnAnswerEndsAndRefusedWhenUsedUp() {
        var quota = quota { $0.tokensPerDay = 100 }
        #expect(refusal(&quota, at(10)) == nil)
        quota.release(tokens: 99, at: at(20))
        #expect(refusal(&quota, at(20)) == nil)
        quota.release(tokens: 50, at: at(30))
        #expect(quota.tokensToday(at: at(30)) == 149)
        #expect(
            refusal(&quota, at(30))
                == .init(limit: .tokensPerDay, value: 100, retryAfterSeconds: 86_370))
    }

    @Test(arguments: [(0.0, 86_400), (1.0, 86_399), (86_399.0, 1), (86_399.9, 1)])
    func comeBackAtMidnightUTC(_ moment: Double, _ wait: Int) {
        var quota = quota { $0.tokensPerDay = 1 }
        quota.spend(tokens: 1, at: at(moment))
        #expect(refusal(&quota, at(moment))?.retryAfterSeconds == wait)
        #expect(refusal(&quota, at(86_400)) == nil)
        #expect(quota.tokensToday(at: at(86_400)) == 0)
    }

    @Test func ofAnAnswerThatPassesMidnightAreTheNewDays() {
        var quota = quota { $0.tokensPerDay = 100 }
        #expect(refusal(&quota, at(86_390)) == nil)
        quota.release(tokens: 40, at: at(86_410))
        #expect(quota.tokensToday(at: at(86_410)) == 40)
    }

    @Test(arguments: [Int.min, -1, 0])
    func cannotBeGivenBack(_ told: Int) {
        var quota = quota { $0.tokensPerDay = 100 }
        quota.spend(tokens: 10, at: at(0))
        quota.spend(tokens: told, at: at(0))
        #expect(quota.tokensToday(at: at(0)) == 10)
    }

    @Test func ofAnyNumberAddUp() {
        var quota = quota { $0.tokensPerDay = 100 }
        quota.spend(tokens: .max, at: at(0))
        quota.spend(tokens: .max, at: at(0))
        #expect(quota.tokensToday(at: at(0)) == .max)
    }
}

@Suite struct SeveralLimits {
    @Test func ofThoseReachedTheLongestIsTold() {
        var quota = quota { ($0.maxInFlight, $0.requestsPerMinute, $0.tokensPerDay) = (1, 1, 1) }
        #expect(refusal(&quota, at(0)) == nil)
        #expect(refusal(&quota, at(0))?.limit == .requestsPerMinute)
        #expect(refusal(&quota, at(60))?.limit == .maxInFlight)
        quota.release(tokens: 1, at: at(60))
        #expect(refusal(&quota, at(60))?.limit == .tokensPerDay)
    }

    @Test func refusalsAreCountedByLimit() {
        var quota = quota { ($0.maxInFlight, $0.tokensPerDay) = (1, 1000) }
        for _ in 0..<4 { _ = refusal(&quota, at(0)) }
        #expect(quota.refused.map(\.limit) == [.maxInFlight, .tokensPerDay])
        #expect(quota.refused.map(\.count) == [3, 0])
    }

    @Test func mayChangeWhileRequestsRun() {
        var quota = quota { ($0.maxInFlight, $0.tokensPerDay) = (2, 100) }
        quota.spend(tokens: 50, at: at(0))
        for _ in 0..<2 { _ = refusal(&quota, at(0)) }
        var key = KeySettings(name: "alice", key: Secret("k"))
        (key.maxInFlight, key.tokensPerDay) = (3, 60)
        quota.setLimits(key)
        #expect(refusal(&quota, at(0)) == nil)
        #expect(refusal(&quota, at(0))?.limit == .maxInFlight)
        quota.release(tokens: 10, at: at(0))
        #expect(refusal(&quota, at(0))?.limit == .tokensPerDay)
        #expect(quota.inFlight == 2)
    }

    @Test func withoutAnyEverybodyIsLetIn() {
        var quota = quota { _ in }
        for _ in 0..<10_000 { #expect(refusal(&quota, at(0)) == nil) }
        #expect(quota.refused.isEmpty)
        #expect(!KeyQuota.hasLimits(KeySettings(name: "a", key: Secret("k"))))
    }
}

@Suite struct StateFile {
    private static let tokens = KeyTokens(day: 20_777, tokens: ["bob": 0, "alice": 12_345])
    private static let text = """
        sluice-tokens 1
        day 20777
        key alice 12345
        key bob 0
        end 2

        """

    @Test func isReadAsItWasWritten() throws {
        #expect(Self.tokens.text == Self.text)
        #expect(try KeyTokens(reading: Self.text) == Self.tokens)
        let empty = KeyTokens(day: 1, tokens: [:])
        #expect(try KeyTokens(reading: empty.text) == empty)
    }

    @Test func cutOffAnywhereItIsNoStateFile() {
        for length in 0..<Self.text.utf8.count {
            let cut = String(Self.text.prefix(length))
            #expect(throws: KeyTokens.Failure.self, "\(length)") { try KeyTokens(reading: cut) }
        }
    }

    @Test(
        arguments: [
            ("", KeyTokens.Failure.malformed(line: 1)), ("\n", .malformed(line: 1)),
            ("sluice-tokens 2\nday 1\nend 0\n", .malformed(line: 1)),
            ("sluice-tokens 1\nday x\nend 0\n", .malformed(line: 2)),
            ("sluice-tokens 1\nday -1\nend 0\n", .malformed(line: 2)),
            ("sluice-tokens 1\nday 1\nkey a\nend 1\n", .malformed(line: 3)),
            ("sluice-tokens 1\nday 1\nkey a -1\nend 1\n", .malformed(line: 3)),
            ("sluice-tokens 1\nday 1\nkey a 99999999999999999999\nend 1\n", .malformed(line: 3)),
            ("sluice-tokens 1\nday 1\nkey a 1\nkey a 1\nend 1\n", .malformed(line: 4)),
            ("sluice-tokens 1\nday 1\nkey a 1\nend 2\n", .cutOff),
            ("sluice-tokens 1\nday 1\nkey a 1\nkey b 2\n", .cutOff),
        ])
    func mistakesAreNamedByTheirLine(_ text: String, _ failure: KeyTokens.Failure) {
        #expect(throws: failure) { try KeyTokens(reading: text) }
    }
}
