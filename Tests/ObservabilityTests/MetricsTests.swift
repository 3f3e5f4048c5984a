// What is counted: endings, tokens, times, and how workers' shares add up.

import Relay
import Testing

@testable import Observability

private func record(
    _ ending: Ending, model: String? = "tiny", backend: String? = "gpu"
) -> RequestRecord {
    var record = RequestRecord(
        id: "1", method: "POST", path: "/v1/chat/completions", ending: ending,
        totalMilliseconds: 1500)
    record.model = model
    record.backend = backend
    return record
}

@Suite struct Histograms {
    @Test(
        arguments: [
            (-5, 0), (0, 0), (9, 0), (10, 0), (11, 1), (20, 1), (21, 2), (30, 2), (31, 3),
            (Int64.max, 3),
        ] as [(Int64, Int)])
    func aBoundBelongsToItsBucket(_ value: Int64, _ bucket: Int) {
        var histogram = Histogram(bounds: [10, 20, 30])
        histogram.observe(value)
        #expect(histogram.counts.firstIndex(of: 1) == bucket)
        #expect(histogram.count == 1)
        #expect(histogram.sum == Double(max(0, value)))
    }

    @Test func severalAtOnceAreSoManyOfTheSame() {
        var (one, other) = (Histogram(bounds: [10]), Histogram(bounds: [10]))
        one.observe(7, times: 3)
        for _ in 0..<3 { other.observe(7) }
        #expect(one == other)
    }

    @Test func mergedTheyHoldWhatBothHeld() {
        var (one, other) = (Histogram(bounds: [10, 20]), Histogram(bounds: [10, 20]))
        for value in [5, 15, 15, 99] as [Int64] { one.observe(value) }
        for value in [10, 20] as [Int64] { other.observe(value) }
        one.merge(other)
        #expect(one.counts == [2, 3, 1])
        #expect(one.sum == 164)
    }

    @Test(
        arguments: [
            Histogram.firstTokenBounds, Histogram.tokenBounds, Histogram.durationBounds,
            Histogram.queueBounds,
        ])
    func theBoundsRise(_ bounds: [Int64]) {
        #expect(bounds == Array(Set(bounds)).sorted())
        #expect(bounds.allSatisfy { $0 > 0 })
    }

    /// Two years of ten thousand streams, whose tokens take a second each.
    @Test func theSumDoesNotOverflow() {
        var histogram = Histogram(bounds: Histogram.tokenBounds)
        for _ in 0..<10 { histogram.observe(Int64.max / 2, times: 1000) }
        #expect(histogram.count == 10_000)
        #expect(histogram.sum > 4e22)
    }
}

@Suite struct MetricsOfAWorker {
    @Test func everyEndingIsCountedUnderItsWordAndInTheSum() {
        var metrics = Metrics(modelLimit: 10)
        for (number, ending) in Ending.allCases.enumerated() {
            for _ in 0...number {
                metrics.requestArrived()
                metrics.requestEnded(record(ending))
            }
        }
        let counted = metrics.series[1].endings
        #expect(counted == (1...UInt64(Ending.allCases.count)).map { $0 })
        #expect(metrics.ended == metrics.received)
    }

    @Test func whatNoBackendWasAskedForIsOneSeriesWhateverItNamed() {
        var metrics = Metrics(modelLimit: 10)
        for number in 0..<1000 {
            metrics.requestEnded(record(.refused, model: "made-up-\(number)", backend: nil))
        }
        #expect(metrics.series.count == 1)
        #expect(metrics.series[0].model == "")
        #expect(metrics.ended == 1000)
    }

    @Test func modelsBeyondTheLimitShareOneName() {
        var metrics = Metrics(modelLimit: 3)
        for number in 0..<50 { metrics.requestEnded(record(.completed, model: "m\(number % 25)")) }
        #expect(metrics.series.map(\.model) == ["", "m0", "m1", "m2", Metrics.otherModels])
        #expect(metrics.series[4].endings[0] == 44)
        #expect(metrics.ended == 50)
    }

    @Test func aNameOfAnyLengthCostsNoMoreThanOthers() {
        var metrics = Metrics(modelLimit: 3)
        metrics.requestEnded(record(.completed, model: String(repeating: "m", count: 129)))
        #expect(metrics.series[1].model == Metrics.otherModels)
    }

    @Test(arguments: [(nil, 0), (-7, 0), (12, 12), (Int.max, 1 << 32)] as [(Int?, UInt64)])
    func tokensAreAddedHoweverStrangeTheCount(_ told: Int?, _ counted: UInt64) {
        var metrics = Metrics(modelLimit: 3)
        var record = record(.completed)
        (record.promptTokens, record.completionTokens) = (told, told)
        metrics.requestEnded(record)
        #expect(metrics.series[1].inputTokens == counted)
        #expect(metrics.series[1].outputTokens == counted)
    }

    @Test func timesOfARequestGoIntoTheirHistograms() {
        var metrics = Metrics(modelLimit: 3)
        var record = record(.completed)
        record.queueMilliseconds = 20
        metrics.requestEnded(record)
        #expect(metrics.series[1].duration.sum == 1.5e9)
        #expect(metrics.series[1].queue.sum == 2e7)
        // A refused request was never on its way.
        metrics.requestEnded(Self.refusal)
        #expect(metrics.series[0].duration.count == 0)
    }

    private static let refusal = record(.refused, backend: nil)

    @Test func twoWorkersAreAddedUpByModelAndBackend() {
        var one = Metrics(modelLimit: 10)
        var other = Metrics(modelLimit: 10)
        one.requestEnded(record(.completed, model: "a"))
        other.requestEnded(record(.completed, model: "b"))
        other.requestEnded(record(.clientLeft, model: "a"))
        other.requestArrived()
        one.merge(other)
        #expect(one.received == 1)
        #expect(one.series.map(\.model) == ["", "a", "b"])
        #expect(one.series[1].endings[0] == 1)
        #expect(one.series[1].endings[1] == 1)
        #expect(one.ended == 3)
    }
}

@Suite struct PaceOfTokens {
    private static func begun(_ metrics: inout Metrics) -> TokenPace {
        metrics.answerBegan(model: "tiny", backend: "gpu", after: 50_000_000, now: 1_000_000_000)
    }

    @Test func isTheTimeBetweenEvents() {
        var metrics = Metrics(modelLimit: 3)
        var pace = Self.begun(&metrics)
        metrics.eventsArrived(1, &pace, now: 1_020_000_000)
        metrics.eventsArrived(1, &pace, now: 1_050_000_000)
        #expect(metrics.series[1].firstToken.sum == 5e7)
        #expect(metrics.series[1].perToken.count == 2)
        #expect(metrics.series[1].perToken.sum == 5e7)
    }

    @Test func ofABatchIsSharedOut() {
        var metrics = Metrics(modelLimit: 3)
        var pace = Self.begun(&metrics)
        metrics.eventsArrived(4, &pace, now: 1_080_000_000)
        #expect(metrics.series[1].perToken.count == 4)
        #expect(metrics.series[1].perToken.sum == 8e7)
    }

    @Test func leavesOutTheTimeInWhichTheClientWasTooSlow() {
        var metrics = Metrics(modelLimit: 3)
        var pace = Self.begun(&metrics)
        pace.interrupt()
        metrics.eventsArrived(1, &pace, now: 90_000_000_000)
        #expect(metrics.series[1].perToken.count == 0)
        metrics.eventsArrived(1, &pace, now: 90_010_000_000)
        #expect(metrics.series[1].perToken.sum == 1e7)
    }

    @Test func ofAnAnswerThatNeverBeganIsNothing() {
        var metrics = Metrics(modelLimit: 3)
        var pace = TokenPace()
        metrics.eventsArrived(1, &pace, now: 1)
        metrics.eventsArrived(1, &pace, now: 2)
        #expect(metrics.series.count == 1)
        #expect(metrics.series[0].perToken.count == 0)
    }
}
