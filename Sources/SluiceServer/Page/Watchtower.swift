// Puts the live page's figures together: asks every worker, once a second, while somebody looks.

internal import EventLoop
internal import JSON
internal import Observability

/// What the page is shown: one for everybody who looks.
struct PageSnapshot: Sendable {
    /// An object that lacks its closing brace, so that `recent` can be put in.
    var state: [UInt8]
    /// An array: the requests that have ended last, the newest first.
    var recent: [UInt8]
    /// Changes with `recent`.
    var recentVersion: UInt64
}

/// The leading worker's part of the page. There is none until somebody looks for the first time.
///
/// Nothing is gathered while nobody looks; a look costs each worker one pass over its sessions, and
/// a token nothing.
final class Watchtower {
    /// Between two looks.
    static let pause = Duration.seconds(1)
    /// Between two looks however many ask.
    private static let leastPause = Duration.milliseconds(100)
    /// How long a worker is waited for; one that is stuck must not hide the others.
    private static let patience = Duration.milliseconds(500)
    /// How many requests in flight are listed; the rest is only counted.
    static let rowLimit = 512
    /// How many of those that have ended are.
    static let recentLimit = 200
    /// How many seconds the history of the speed goes back.
    static let historyLimit = 120

    private unowned let worker: Worker
    private var timer: Timer?
    private var round = 0
    private var missing: Set<Int> = []
    private var sights: [PageSight] = []
    private var lastLook = Instant(nanoseconds: 0)
    /// Workers on which somebody looks on.
    private var watching: Set<Int> = []
    /// Workers on which somebody wants one look.
    private var asking: Set<Int> = []
    /// What is known of each worker: tokens, and how far its ended requests have been told.
    private var tokens: [Int: UInt64] = [:]
    private var told: [Int: UInt64] = [:]
    private var history = PaceHistory(limit: historyLimit)
    private var recent = RecentRequests(limit: recentLimit)
    private var recentJSON: [UInt8] = Array("[]".utf8)

    init(_ worker: Worker) {
        self.worker = worker
        timer = Timer(on: worker.loop) { [unowned self] in isDue() }
    }

    /// Somebody on a worker wants to look once, or looks on, or no longer does.
    func take(_ interest: PageInterest, of number: Int) {
        switch interest {
        case .once: asking.insert(number)
        case .on:
            watching.insert(number)
            asking.insert(number)
        case .off: watching.remove(number)
        }
        guard missing.isEmpty, !asking.isEmpty else { return }
        arm(after: Self.leastPause)
    }

    private func arm(after pause: Duration) {
        let wait = lastLook + pause - worker.loop.now
        timer?.arm(after: max(wait, .zero))
    }

    private func isDue() {
        // Who has not answered by now is left out.
        if !missing.isEmpty { return finish() }
        guard !watching.isEmpty || !asking.isEmpty else { return }
        look()
    }

    private func look() {
        lastLook = worker.loop.now
        round += 1
        sights = []
        let others = worker.meter.colleagues.dropFirst()
        let limit = Self.rowLimit / (others.count + 1)
        add(worker.sight(since: told[0] ?? 0, limit: limit), of: 0)
        guard !others.isEmpty, let own = worker.mailbox?.address else { return finish() }
        missing = Set(1...others.count)
        for (index, other) in others.enumerated() {
            let since = told[index + 1] ?? 0
            other.send(.talk(.page(.look(round: round, since: since, limit: limit, for: own))))
        }
        timer?.arm(after: Self.patience)
    }

    /// A worker's share has come.
    func take(_ sight: PageSight, of number: Int, round: Int) {
        guard round == self.round, missing.remove(number) != nil else { return }
        add(sight, of: number)
        if missing.isEmpty { finish() }
    }

    private func add(_ sight: PageSight, of number: Int) {
        sights.append(sight)
        tokens[number] = sight.tokens
        told[number] = sight.lastRecent
    }

    private func finish() {
        missing = []
        gatherRecent()
        let snapshot = PageSnapshot(
            state: state(), recent: recentJSON, recentVersion: recent.last)
        sights = []
        let all = watching.union(asking)
        asking = []
        if watching.isEmpty { timer?.cancel() } else { arm(after: Self.pause) }
        for number in all where number > 0 && number < worker.meter.colleagues.count {
            worker.meter.colleagues[number].send(.talk(.page(.show(snapshot))))
        }
        if all.contains(0) { worker.show(snapshot) }
    }

    private func gatherRecent() {
        let new = sights.flatMap(\.recent)
        guard !new.isEmpty else { return }
        // Each worker's are in order; the pages sort by time, so ties do not matter.
        for request in new.sorted(by: { $0.time < $1.time }) { recent.append(request) }
        recentJSON = [UInt8(ascii: "[")]
        for request in recent.after(0).reversed() {
            if recentJSON.count > 1 { recentJSON.append(UInt8(ascii: ",")) }
            request.append(to: &recentJSON)
        }
        recentJSON.append(UInt8(ascii: "]"))
    }

    private func state() -> [UInt8] {
        let now = worker.loop.now
        history.note(tokens: tokens.values.reduce(0, &+), at: now.nanoseconds)
        var json = Array(#"{"version":""#.utf8)
        json.append(text: Version.number)
        json.append(#"","time":""#)
        json.append(text: worker.log.now.description)
        json.append(UInt8(ascii: "\""))
        json.appendField("workers", max(1, worker.meter.colleagues.count))
        json.appendField("in_flight", sights.reduce(0) { $0 + $1.inFlight })
        // Before there is a second to measure, what the streams say themselves.
        let average = sights.reduce(0) { $0 + $1.tokensPerSecond }
        json.appendField("tokens_per_second", history.points.last ?? average)
        json.append(#","history":["#)
        for (index, point) in history.points.enumerated() {
            if index > 0 { json.append(UInt8(ascii: ",")) }
            json.append(tenths: point)
        }
        json.append(#"],"requests":["#)
        for sight in sights where !sight.rows.isEmpty {
            if json.last != UInt8(ascii: "[") { json.append(UInt8(ascii: ",")) }
            json.append(contentsOf: sight.rows)
        }
        json.append("]")
        if case .direct(let desk) = worker.desk.line { desk.appendBackends(to: &json) }
        return json
    }
}

/// Whether somebody on a worker looks at the page.
enum PageInterest: Sendable {
    case once, on, off
}
