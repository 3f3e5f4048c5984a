// The clocks of a session, on times that the tests make up. One unit is as good as another; here it
// is one second.

import Relay
import Testing

/// All clocks, each of another length. `connect` 5, `queue` 600, `head_grace` 10, `first_token`
/// 3600, `token` 300, `keep_alive_interval` 7; `total` is off.
private func settings(
    _ change: (inout Deadlines.Settings) -> Void = { _ in }
) -> Deadlines.Settings {
    var settings = Deadlines.Settings()
    settings.connect = 5
    settings.queue = 600
    settings.headGrace = 10
    settings.firstToken = 3600
    settings.token = 300
    settings.keepAlive = 7
    change(&settings)
    return settings
}

/// Only the clocks that `change` sets.
private func only(_ change: (inout Deadlines.Settings) -> Void) -> Deadlines.Settings {
    var settings = Deadlines.Settings()
    change(&settings)
    return settings
}

/// The clocks of a session that began at 1000.
private func clocks(
    _ settings: Deadlines.Settings, wantsStream: Bool = false
) -> Deadlines {
    Deadlines(settings, wantsStream: wantsStream, now: 1000)
}

/// That `due` is what comes next: not before `time`, and at it.
private func expect(_ deadlines: Deadlines, _ due: Deadlines.Due?, at time: Int64) {
    #expect(deadlines.next == time)
    #expect(deadlines.due(now: time - 1) == nil)
    #expect(deadlines.due(now: time) == due)
    #expect(deadlines.due(now: time + 50) != nil)
}

/// That nothing will ever be due.
private func expectNothing(_ deadlines: Deadlines) {
    #expect(deadlines.next == nil)
    #expect(deadlines.due(now: 1_000_000) == nil)
}

@Suite struct DeadlinesTests {
    @Test func aQueuedRequestWaitsForASlotAndForNothingElse() {
        let deadlines = clocks(settings { $0.total = 1 })
        expect(deadlines, .deadline(.queueTimeout), at: 1600)
    }

    @Test func waitingAgainAfterAFailedAttemptGoesOnCountingTheFirstWait() {
        var deadlines = clocks(settings())
        deadlines.enter(.connecting, now: 1200)
        deadlines.enter(.queued, now: 1203)
        expect(deadlines, .deadline(.queueTimeout), at: 1603)
    }

    @Test func aConnectionHasItsTimeFromDispatch() {
        var deadlines = clocks(settings())
        deadlines.enter(.connecting, now: 1200)
        expect(deadlines, .deadline(.connectTimeout), at: 1205)
    }

    @Test func theFirstTokenHasItsTimeFromDispatchAndNotFromTheConnection() {
        var deadlines = clocks(settings())
        deadlines.enter(.connecting, now: 1200)
        deadlines.enter(.awaitingFirstEvent, now: 1204)
        expect(deadlines, .deadline(.firstTokenTimeout), at: 4800)
    }

    @Test func aFirstTokenThatIsDueSoonerThanTheConnectionDoesNotWaitForIt() {
        var deadlines = clocks(settings { $0.firstToken = 3 })
        deadlines.enter(.connecting, now: 1000)
        expect(deadlines, .deadline(.firstTokenTimeout), at: 1003)
    }

    /// The request was on its way, on a connection that had gone stale.
    @Test func aConnectionMadeInsteadOfAStaleOneHasItsOwnTimeWithinThatOfTheFirstToken() {
        var deadlines = clocks(settings())
        deadlines.enter(.connecting, now: 1200)
        deadlines.enter(.awaitingFirstEvent, now: 1200)
        deadlines.connectsAgain(now: 1230)
        expect(deadlines, .deadline(.connectTimeout), at: 1235)
        deadlines.enter(.awaitingFirstEvent, now: 1232)
        expect(deadlines, .deadline(.firstTokenTimeout), at: 4800)
        deadlines.connectsAgain(now: 4798)
        expect(deadlines, .deadline(.firstTokenTimeout), at: 4800)
    }

    /// CONTRACT: `first_token` counts from dispatch, and each backend can have its own. So the one
    /// that is tried next is not charged with the time the one before it took, and its own settings
    /// hold.
    @Test func theNextBackendHasItsOwnTimes() {
        var deadlines = clocks(settings { $0.total = 100 })
        deadlines.enter(.connecting, now: 1000)
        deadlines.enter(.awaitingFirstEvent, now: 1001)
        deadlines.settings = settings {
            ($0.connect, $0.firstToken, $0.total) = (20, 30, 60)
        }
        deadlines.enter(.connecting, now: 1090)
        expect(deadlines, .deadline(.connectTimeout), at: 1110)
        deadlines.enter(.awaitingFirstEvent, now: 1091)
        expect(deadlines, .deadline(.firstTokenTimeout), at: 1120)
        deadlines.enter(.streaming, now: 1119)
        expect(deadlines, .deadline(.totalTimeout), at: 1150)
    }

    @Test func everyTokenGivesTheNextOneItsFullTime() {
        var deadlines = clocks(settings())
        deadlines.enter(.connecting, now: 1000)
        deadlines.enter(.awaitingFirstEvent, now: 1001)
        deadlines.enter(.streaming, now: 2000)
        expect(deadlines, .deadline(.tokenTimeout), at: 2300)
        deadlines.eventArrived(now: 2299)
        expect(deadlines, .deadline(.tokenTimeout), at: 2599)
    }

    @Test func pingsAndHeadsDoNotMoveTheClocksOfTokens() {
        var deadlines = clocks(only { ($0.firstToken, $0.token) = (50, 60) }, wantsStream: true)
        deadlines.enter(.connecting, now: 1000)
        deadlines.enter(.awaitingFirstEvent, now: 1010)
        deadlines.headSent(now: 1040)
        deadlines.sentToClient(now: 1045)
        expect(deadlines, .deadline(.firstTokenTimeout), at: 1050)
        deadlines.enter(.streaming, now: 1049)
        deadlines.sentToClient(now: 1090)
        expect(deadlines, .deadline(.tokenTimeout), at: 1109)
    }

    // MARK: - Pauses

    @Test func theClockBetweenTokensStandsStillDuringAPause() {
        var deadlines = clocks(only { $0.token = 300 })
        deadlines.enter(.connecting, now: 1000)
        deadlines.enter(.streaming, now: 2000)
        deadlines.enter(.paused, now: 2100)
        expectNothing(deadlines)
        deadlines.enter(.streaming, now: 9100)
        // A hundred were gone before the pause, so two hundred are left.
        expect(deadlines, .deadline(.tokenTimeout), at: 9300)
        deadlines.enter(.paused, now: 9150)
        deadlines.enter(.streaming, now: 9950)
        expect(deadlines, .deadline(.tokenTimeout), at: 10_100)
    }

    @Test func anEventThatWasReadWithThePauseCountsFromThere() {
        var deadlines = clocks(only { $0.token = 300 })
        deadlines.enter(.streaming, now: 2000)
        deadlines.enter(.paused, now: 2100)
        deadlines.eventArrived(now: 2101)
        deadlines.enter(.streaming, now: 5000)
        expect(deadlines, .deadline(.tokenTimeout), at: 5300)
    }

    @Test func theTotalGoesOnDuringAPause() {
        var deadlines = clocks(settings { $0.total = 500 }, wantsStream: true)
        deadlines.enter(.connecting, now: 1000)
        deadlines.headSent(now: 1001)
        deadlines.enter(.streaming, now: 1001)
        deadlines.enter(.paused, now: 1002)
        expect(deadlines, .deadline(.totalTimeout), at: 1500)
    }

    // MARK: - Total

    @Test func theTotalCountsFromDispatchWhateverTheSessionWaitsFor() {
        var deadlines = clocks(only { $0.total = 500 })
        expectNothing(deadlines)
        deadlines.enter(.connecting, now: 1300)
        expect(deadlines, .deadline(.totalTimeout), at: 1800)
        deadlines.enter(.awaitingFirstEvent, now: 1301)
        expect(deadlines, .deadline(.totalTimeout), at: 1800)
        deadlines.enter(.streaming, now: 1302)
        expect(deadlines, .deadline(.totalTimeout), at: 1800)
    }

    @Test func whatIsOnItsWayToTheClientIsTheConnectionsBusiness() {
        var deadlines = clocks(settings { $0.total = 50 }, wantsStream: true)
        deadlines.enter(.connecting, now: 1000)
        deadlines.headSent(now: 1001)
        deadlines.enter(.delivering, now: 1002)
        expectNothing(deadlines)
    }

    // MARK: - Streams

    @Test func theHeadOfAStreamIsDueAfterItsGraceWhereverTheSessionIs() {
        var deadlines = clocks(settings(), wantsStream: true)
        expect(deadlines, .headGrace, at: 1010)
        deadlines.enter(.connecting, now: 1008)
        expect(deadlines, .headGrace, at: 1010)
        deadlines.enter(.awaitingFirstEvent, now: 1009)
        expect(deadlines, .headGrace, at: 1010)
    }

    @Test func withoutGraceTheHeadIsDueAtOnce() {
        let deadlines = clocks(settings { $0.headGrace = 0 }, wantsStream: true)
        expect(deadlines, .headGrace, at: 1000)
    }

    @Test func silenceIsFilledOnceTheHeadIsSentFromTheQueueToTheLastToken() {
        var deadlines = clocks(only { $0.keepAlive = 7 }, wantsStream: true)
        expectNothing(deadlines)
        deadlines.headSent(now: 1010)
        expect(deadlines, .comment, at: 1017)
        deadlines.sentToClient(now: 1017)
        expect(deadlines, .comment, at: 1024)
        for (time, phase) in [
            (1020, Deadlines.Phase.connecting), (1021, .awaitingFirstEvent), (1022, .streaming),
        ] {
            deadlines.enter(phase, now: Int64(time))
            expect(deadlines, .comment, at: 1024)
        }
        deadlines.sentToClient(now: 1023)
        expect(deadlines, .comment, at: 1030)
    }

    @Test func nobodyIsCommentedAtWhileItDoesNotRead() {
        var deadlines = clocks(only { $0.keepAlive = 7 }, wantsStream: true)
        deadlines.headSent(now: 1000)
        deadlines.enter(.streaming, now: 1001)
        deadlines.enter(.paused, now: 1002)
        expectNothing(deadlines)
    }

    @Test func aWholeCompletionHasNoHeadToSendEarlyAndNoSilenceToFill() {
        var deadlines = clocks(only { ($0.headGrace, $0.keepAlive) = (10, 7) })
        expectNothing(deadlines)
        deadlines.enter(.connecting, now: 1001)
        deadlines.enter(.streaming, now: 1002)
        expectNothing(deadlines)
    }

    // MARK: - Several at once

    @Test func theEarliestClockIsTheNext() {
        var deadlines = clocks(settings(), wantsStream: true)
        #expect(deadlines.next == 1010)
        deadlines.enter(.connecting, now: 1001)
        #expect(deadlines.next == 1006)
        deadlines.enter(.awaitingFirstEvent, now: 1002)
        #expect(deadlines.next == 1010)
        deadlines.headSent(now: 1010)
        #expect(deadlines.next == 1017)
        deadlines.enter(.streaming, now: 1015)
        deadlines.sentToClient(now: 1400)
        #expect(deadlines.next == 1315)
    }

    @Test func aDeadlineGoesBeforeAHeadAndAHeadBeforeAComment() {
        var deadlines = clocks(settings { $0.connect = 10 }, wantsStream: true)
        deadlines.enter(.connecting, now: 1000)
        #expect(deadlines.due(now: 1010) == .deadline(.connectTimeout))
        deadlines.headSent(now: 1000)
        #expect(deadlines.due(now: 1009) == .comment)
        #expect(deadlines.due(now: 1010) == .deadline(.connectTimeout))
    }

    @Test func ofTwoDeadlinesThatAreBothPastTheFirstOneIsTold() {
        var deadlines = clocks(settings { ($0.total, $0.token) = (400, 300) })
        deadlines.enter(.connecting, now: 1000)
        deadlines.enter(.streaming, now: 1200)
        #expect(deadlines.due(now: 9000) == .deadline(.totalTimeout))
        deadlines.enter(.connecting, now: 2000)
        deadlines.enter(.streaming, now: 2001)
        #expect(deadlines.due(now: 9000) == .deadline(.tokenTimeout))
    }

    @Test func whatIsOffIsNeverDue() {
        var deadlines = clocks(Deadlines.Settings(), wantsStream: true)
        let phases: [Deadlines.Phase] = [
            .queued, .connecting, .awaitingFirstEvent, .streaming, .paused, .streaming, .delivering,
        ]
        for phase in phases {
            deadlines.enter(phase, now: 1000)
            expectNothing(deadlines)
        }
        deadlines.headSent(now: 1000)
        expectNothing(deadlines)
    }
}
