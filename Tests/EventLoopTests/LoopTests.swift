// Turns of a loop: what comes after one, how one is ended, and the arithmetic of times.

import EventLoop
import Testing

@Suite struct Turns {
    @Test func whatComesAfterATurnComesInOrderAndAfterItsCallbacks() {
        let loop = Loop()
        var order: [String] = []
        let first = Timer(on: loop) {
            order.append("first")
            loop.afterThisTurn { order.append("after 1") }
            loop.afterThisTurn { order.append("after 2") }
        }
        let second = Timer(on: loop) { order.append("second") }
        first.fireThisTurn()
        second.fireThisTurn()
        loop.runReady()
        #expect(order == ["first", "second", "after 1", "after 2"])
    }

    @Test func whatIsAddedMeanwhileComesAfterThat() {
        let loop = Loop()
        var order: [String] = []
        loop.afterThisTurn {
            order.append("a")
            loop.afterThisTurn {
                order.append("a.a")
                loop.afterThisTurn { order.append("a.a.a") }
            }
        }
        loop.afterThisTurn { order.append("b") }
        #expect(order.isEmpty)
        loop.runReady()
        #expect(order == ["a", "b", "a.a", "a.a.a"])
        loop.runReady()
        #expect(order.count == 4)
    }

    @Test func aThingMayBeReleasedThereInsteadOfInItsOwnCallback() {
        let loop = Loop()
        var isGone = false
        var thing: Thing? = Thing { isGone = true }
        let timer = Timer(on: loop) {
            let last = thing
            thing = nil
            loop.afterThisTurn { _ = last }
            #expect(!isGone)
        }
        timer.fireThisTurn()
        loop.runReady()
        #expect(isGone)
    }

    @Test func aLoopThatGoesTakesAlongWhatWasLeftForLater() {
        var isGone = false
        do {
            let loop = Loop()
            let thing = Thing { isGone = true }
            loop.afterThisTurn { _ = thing }
        }
        #expect(isGone)
    }

    @Test func aLoopWithNothingToWaitForEnds() {
        Loop().run()
        let loop = Loop()
        var fired = false
        let timer = Timer(on: loop) { fired = true }
        timer.arm(after: .milliseconds(2))
        loop.run()
        #expect(fired)
    }

    @Test func whatIsDueInATurnIsDoneAlthoughTheLoopIsToStop() {
        let loop = Loop()
        var order: [String] = []
        let first = Timer(on: loop) {
            order.append("first")
            loop.stop()
            loop.afterThisTurn { order.append("after") }
        }
        let second = Timer(on: loop) { order.append("second") }
        let never = Timer(on: loop) { order.append("never") }
        never.arm(after: .seconds(60))
        first.fireThisTurn()
        second.fireThisTurn()
        loop.run()
        #expect(order == ["first", "second", "after"])
    }

    /// Something may be over before the loop that was to wait for it has begun.
    @Test func aStopBeforeTheRunIsNotLost() {
        let loop = Loop()
        var order: [String] = []
        let never = Timer(on: loop) { order.append("never") }
        never.arm(after: .seconds(5))
        loop.stop()
        loop.run()
        #expect(order.isEmpty)
        // It counts once.
        let timer = Timer(on: loop) { order.append("later") }
        timer.arm(after: .milliseconds(5))
        let end = Timer(on: loop) { loop.stop() }
        end.arm(after: .milliseconds(10))
        loop.run()
        #expect(order == ["later"])
    }
}

@Suite struct Times {
    @Test func areAddedAndSubtracted() {
        let start = Instant(nanoseconds: 1_000)
        #expect((start + .seconds(2)).nanoseconds == 2_000_001_000)
        #expect((start + .milliseconds(-1)).nanoseconds == -999_000)
        #expect(start + .milliseconds(5) - start == .milliseconds(5))
        #expect(start - (start + .nanoseconds(7)) == .nanoseconds(-7))
        #expect(start < start + .nanoseconds(1))
    }

    @Test func haveWholeUnits() {
        #expect(Duration.seconds(3).wholeNanoseconds == 3_000_000_000)
        #expect(Duration.microseconds(1500).wholeNanoseconds == 1_500_000)
        // On both sides of where the quick way ends.
        for nanoseconds: Int64 in [-1, 0, 1, 4_722_366_482_869, 4_722_366_482_870, 1 << 60] {
            let less = Duration(attoseconds: Int128(nanoseconds) * 1_000_000_000 - 1)
            #expect(Duration.nanoseconds(nanoseconds).wholeNanoseconds == nanoseconds)
            #expect(less.wholeNanoseconds == (nanoseconds > 0 ? nanoseconds - 1 : nanoseconds))
        }
        #expect(Duration.microseconds(1999).wholeMilliseconds == 1)
        #expect(Duration.zero.wholeMilliseconds == 0)
        #expect(Duration.milliseconds(-1500).wholeMilliseconds == -1500)
    }

    /// For ever is a sum like any other.
    @Test(arguments: [Duration.seconds(4_600_000_000), .seconds(Int64.max)])
    func thatAreForEverCanStillBeAdded(_ duration: Duration) {
        #expect(duration.wholeNanoseconds == 4_600_000_000_000_000_000)
        #expect(Instant(nanoseconds: 4_000_000_000_000_000_000) + duration > Loop().now)
    }

    @Test(arguments: [Duration.seconds(-9_300_000_000), .seconds(Int64.min)])
    func thatAreLongAgoAreNoMishapEither(_ duration: Duration) {
        #expect(duration.wholeNanoseconds == -4_600_000_000_000_000_000)
    }

    @Test func goOn() {
        let loop = Loop()
        let before = loop.now
        #expect(loop.now >= before)
        #expect(before.nanoseconds > 0)
    }
}

/// Tells when it goes.
private final class Thing {
    private let gone: () -> Void
    init(gone: @escaping () -> Void) { self.gone = gone }
    deinit { gone() }
}
