// One queue: order, classes, leaving, limits.

import Configuration
import Testing

@testable import Routing

@Suite struct OrderOfAQueue {
    @Test func waitersOnTwoSlotsAreServedInTheOrderOfTheirComing() {
        var lab = AdmissionLab([backend("gpu", 2)])
        for id in 1...200 as ClosedRange<UInt64> { lab.request(id) }
        #expect(lab.running.count == 2)
        #expect(lab.admission.waitingCount == 198)
        for id in 1...200 as ClosedRange<UInt64> {
            lab.now += millisecond
            lab.release(id)
            #expect(lab.running.count <= 2)
        }
        #expect(lab.order == Array(1...200))
        #expect(lab.admission.waitingCount == 0)
    }

    @Test(arguments: 1...5 as ClosedRange<UInt64>)
    func cancellingAnyFiftyLeavesTheOrderIntact(_ seed: UInt64) {
        var numbers = SeededNumbers(seed)
        var lab = AdmissionLab([backend("gpu", 2)])
        for id in 1...200 as ClosedRange<UInt64> { lab.request(id) }
        let leaving = Set((3...200 as ClosedRange<UInt64>).shuffled(using: &numbers).prefix(50))
        for id in leaving.shuffled(using: &numbers) { lab.cancel(id) }
        #expect(lab.order == [1, 2])
        let staying = (1...200 as ClosedRange<UInt64>).filter { !leaving.contains($0) }
        for id in staying { lab.release(id) }
        #expect(lab.order == staying)
    }

    @Test func aRequestThatLeavesWhileItRunsMakesRoom() {
        var lab = AdmissionLab([backend("gpu", 1)])
        lab.request(1)
        lab.request(2)
        lab.cancel(1)
        #expect(lab.order == [1, 2])
    }

    @Test func leavingTwiceOrUnknownIsNoError() {
        var lab = AdmissionLab([backend("gpu", 1)])
        lab.request(1)
        lab.cancel(1)
        lab.cancel(1)
        lab.release(1)
        lab.cancel(77)
        #expect(lab.admission.running(on: "gpu") == 0)
        #expect(lab.request(2) == lab.answers.last)
        #expect(lab.backend(2) == "gpu")
    }

    @Test func thePositionCountsThoseAhead() {
        var lab = AdmissionLab([backend("gpu", 1)])
        lab.request(1)
        #expect(lab.request(2) == .queued(id: 2, position: 1))
        #expect(lab.request(3) == .queued(id: 3, position: 2))
        #expect(lab.request(4) == .queued(id: 4, position: 3))
        lab.cancel(3)
        #expect(lab.admission.position(of: 4) == 2)
        lab.release(1)
        #expect(lab.admission.position(of: 4) == 1)
        #expect(lab.admission.position(of: 2) == nil)
        #expect(lab.admission.position(of: 99) == nil)
    }

    @Test func aBackendWithoutALimitNeverQueues() {
        let vllm = BackendCapacity(name: "vllm", slots: .unlimited)
        var lab = AdmissionLab([vllm], queueLimit: 0)
        for id in 1...1000 as ClosedRange<UInt64> { lab.request(id, "vllm") }
        #expect(lab.running.count == 1000)
    }
}

@Suite struct ClassesOfAQueue {
    @Test func interactiveRequestsGoBeforeBatches() {
        var lab = AdmissionLab([backend("gpu", 1)])
        lab.request(1)
        lab.request(2) { $0.priority = .batch }
        lab.request(3) { $0.priority = .batch }
        lab.now += second
        lab.request(4)
        #expect(lab.request(5) == .queued(id: 5, position: 2))
        #expect(lab.admission.position(of: 2) == 3)
        for id in [1, 4, 5, 2, 3] as [UInt64] { lab.release(id) }
        #expect(lab.order == [1, 4, 5, 2, 3])
    }

    @Test func aBatchRequestGoesBeforeWhatComesAfterItsPatience() {
        var lab = AdmissionLab([backend("gpu", 1)])
        lab.request(1)
        lab.request(2) { $0.priority = .batch }
        lab.now += Admission.batchPatience - 1
        lab.request(3)
        lab.now += 2
        lab.request(4)
        #expect(lab.admission.position(of: 2) == 2)
        #expect(lab.admission.position(of: 4) == 3)
        for id in [1, 3, 2, 4] as [UInt64] { lab.release(id) }
        #expect(lab.order == [1, 3, 2, 4])
    }

    @Test func aBatchRequestDoesNotStarveHoweverManyOthersCome() {
        var lab = AdmissionLab([backend("gpu", 1)])
        lab.request(1)
        lab.request(2) { $0.priority = .batch }
        var (last, next): (UInt64, UInt64) = (1, 100)
        // Somebody new comes before every end: without ageing the batch would never be reached.
        while lab.running[2] == nil, next < 300 {
            lab.now += second
            lab.request(next)
            next += 1
            lab.release(last)
            last = lab.order.last ?? 0
        }
        #expect(lab.running[2] != nil)
        #expect(next < 100 + 65)
    }
}

@Suite struct SlotsOfOneRequest {
    @Test func severalChoicesTakeSeveralSlots() {
        var lab = AdmissionLab([backend("gpu", 4)])
        lab.request(1) { $0.weight = 3 }
        #expect(lab.admission.running(on: "gpu") == 3)
        lab.request(2) { $0.weight = 2 }
        lab.release(1)
        #expect(lab.order == [1, 2])
        #expect(lab.admission.running(on: "gpu") == 2)
    }

    @Test func aRequestForTwoSlotsIsNotOvertakenByThoseForOne() {
        var lab = AdmissionLab([backend("gpu", 2)])
        lab.request(1)
        lab.request(2) { $0.weight = 2 }
        // One slot is free, and an older request waits for it.
        #expect(lab.request(3) == .queued(id: 3, position: 2))
        lab.release(1)
        lab.release(2)
        #expect(lab.order == [1, 2, 3])
    }

    @Test func itsLeavingFreesWhatItClaimed() {
        var lab = AdmissionLab([backend("gpu", 2)])
        lab.request(1)
        lab.request(2) { $0.weight = 2 }
        lab.request(3)
        lab.cancel(2)
        #expect(lab.order == [1, 3])
    }

    @Test func moreSlotsThanThereAreMeansAll() {
        var lab = AdmissionLab([backend("gpu", 2)])
        lab.request(1) { $0.weight = 5 }
        #expect(lab.order == [1])
        lab.request(2)
        lab.release(1)
        #expect(lab.order == [1, 2])
        #expect(lab.admission.running(on: "gpu") == 1)
    }
}

@Suite struct FullQueues {
    @Test func whoFindsTheQueueFullIsToldWhenToComeBack() {
        var lab = AdmissionLab([backend("gpu", 2)], queueLimit: 3)
        lab.request(1)
        lab.request(2)
        lab.now += 8 * second
        lab.release(1)
        lab.request(3)
        for id in 4...6 as ClosedRange<UInt64> { lab.request(id) }
        // Three wait, two slots, eight seconds each: the next would have its turn in sixteen.
        #expect(lab.request(7) == .refused(id: 7, .queueFull(retryAfterSeconds: 17)))
        lab.release(2)
        #expect(lab.request(8) == .queued(id: 8, position: 3))
    }

    @Test func theAdviceIsWithinWhatClientsHonour() {
        var lab = AdmissionLab([backend("gpu", 1)], queueLimit: 0)
        lab.request(1)
        #expect(lab.request(2) == .refused(id: 2, .queueFull(retryAfterSeconds: 5)))
        lab.now += 3600 * second
        lab.release(1)
        lab.request(3)
        #expect(lab.request(4) == .refused(id: 4, .queueFull(retryAfterSeconds: 60)))
        lab.release(3)
        for id in 5...40 as ClosedRange<UInt64> {
            lab.request(id)
            lab.release(id)
        }
        lab.request(50)
        guard case .refused(_, .queueFull(let pause))? = lab.request(51) else {
            Issue.record("not refused")
            return
        }
        #expect((1...60).contains(pause))
    }

    @Test func aRefusedRequestLeavesNothingBehind() {
        var lab = AdmissionLab([backend("gpu", 1)], queueLimit: 1)
        lab.request(1)
        lab.request(2)
        for id in 3...9 as ClosedRange<UInt64> { lab.request(id) }
        #expect(lab.refused.count == 7)
        #expect(lab.admission.waitingCount == 1)
        lab.release(1)
        lab.release(2)
        #expect(lab.order == [1, 2])
        #expect(lab.admission.running(on: "gpu") == 0)
    }

    @Test func eachPoolHasItsOwnQueue() {
        var lab = AdmissionLab([ollama("box")], queueLimit: 1)
        lab.request(1, "box/a")
        lab.request(2, "box/a")
        lab.request(3, "box/b")
        #expect(lab.request(4, "box/b") == .queued(id: 4, position: 1))
        #expect(lab.refused.isEmpty)
    }
}

@Suite struct CostOfAQueue {
    /// What a change of the queue costs, in waiters looked at.
    private func visits(
        _ lab: inout AdmissionLab, _ change: (inout AdmissionLab) -> Void
    ) -> Int {
        let before = lab.admission.room.visits
        change(&lab)
        return lab.admission.room.visits - before
    }

    @Test func aQueueOfTenThousandCostsNoMoreThanAShortOne() {
        var lab = AdmissionLab([backend("gpu", 2)])
        for id in 1...10_002 as ClosedRange<UInt64> { lab.request(id) }
        #expect(lab.admission.waitingCount == 10_000)
        for id in [5000, 10_002, 3, 7001] as [UInt64] {
            #expect(visits(&lab) { $0.cancel(id) } <= 2)
        }
        #expect(visits(&lab) { $0.request(20_000) } <= 4)
        #expect(visits(&lab) { $0.release(1) } <= 2)
        // One that comes back from a dead backend belongs at the head.
        #expect(visits(&lab) { $0.retry(2, "gpu", .broken) } <= 4)
    }

    @Test func allOfThemCanLeaveInAnyOrder() {
        var numbers = SeededNumbers(11)
        var lab = AdmissionLab([backend("gpu", 1)])
        for id in 1...10_001 as ClosedRange<UInt64> { lab.request(id) }
        let all = (2...10_001 as ClosedRange<UInt64>).shuffled(using: &numbers)
        #expect(visits(&lab) { lab in for id in all { lab.cancel(id) } } <= 20_000)
        #expect(lab.admission.waitingCount == 0)
        #expect(lab.order == [1])
    }
}
