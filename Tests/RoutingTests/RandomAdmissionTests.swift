// Random sequences of operations, held against a naive admission that looks at everybody, and
// against the promises.

import Configuration
import Testing

@testable import Routing

/// What the admission promises, done in the plainest way: whenever anything happens, all who wait
/// are asked in the order of their ranks.
private struct NaiveAdmission {
    struct Request {
        var ticket: Ticket
        var rank: Rank
        var place: Place?
    }

    let slots: [String: Int]
    var down: Set<String> = []
    var requests: [UInt64: Request] = [:]

    private func taken(_ backend: String) -> Int {
        requests.values.filter { $0.place?.backend == backend }
            .reduce(0) { $0 + min($1.ticket.weight, slots[backend] ?? 0) }
    }

    /// Those who go now, in order; where each goes is for `choose` to say.
    mutating func dispatch(_ choose: (UInt64, [Place]) -> Place?) -> [UInt64] {
        var claimed: Set<String> = []
        var gone: [UInt64] = []
        let waiting = requests.filter { $0.value.place == nil }
            .sorted { $0.value.rank < $1.value.rank }
        for (id, request) in waiting {
            let up = request.ticket.places.filter { !down.contains($0.backend) }
            let tier = up.map(\.tier).min()
            let mine = up.filter { $0.tier == tier }
            let free = mine.filter { place in
                let limit = slots[place.backend] ?? 0
                return !claimed.contains(place.backend)
                    && taken(place.backend) + min(request.ticket.weight, limit) <= limit
            }
            if free.isEmpty {
                claimed.formUnion(mine.map(\.backend))
            } else {
                requests[id]?.place = choose(id, free)
                gone.append(id)
            }
        }
        return gone
    }
}

@Suite struct RandomAdmissions {
    static let pools = ["a", "b", "a b", "a/x b/y c>1", "c", "b c", "a/y"]
    static let slots = ["a": 2, "b": 3, "c": 1]

    /// The real one and the naive one side by side.
    private struct Pair {
        var numbers: SeededNumbers
        var lab = AdmissionLab(RandomAdmissions.slots.sorted { $0 < $1 }.map { backend($0, $1) })
        var naive = NaiveAdmission(slots: RandomAdmissions.slots)
        var nextID: UInt64 = 1
        var fault: String?

        init(_ seed: UInt64) { numbers = SeededNumbers(seed) }

        mutating func pick(_ isWanted: (NaiveAdmission.Request) -> Bool) -> UInt64? {
            naive.requests.filter { isWanted($0.value) }.keys.sorted()
                .randomElement(using: &numbers)
        }

        /// Lets the naive one do what follows, and compares.
        mutating func compare(since count: Int) {
            let granted = Array(lab.order[count...])
            var wrong: String?
            let expected = naive.dispatch { [lab] id, free in
                guard let place = lab.running[id], free.contains(place) else {
                    wrong = "\(id) should be on one of \(free)"
                    return free.first
                }
                return place
            }
            if granted != expected { wrong = "granted \(granted), not \(expected)" }
            if let wrong, fault == nil { fault = wrong }
        }

        mutating func request() {
            var ticket = Ticket(
                id: nextID,
                places: places(RandomAdmissions.pools.randomElement(using: &numbers) ?? "a"))
            ticket.priority = numbers.next() % 3 == 0 ? .batch : .interactive
            ticket.weight = numbers.next() % 5 == 0 ? 2 : 1
            nextID += 1
            let delay = ticket.priority == .batch ? Admission.batchPatience : 0
            let rank = Rank(time: lab.now + delay, sequence: ticket.id)
            lab.take(lab.admission.request(ticket, now: lab.now))
            if lab.refused[ticket.id] == nil {
                naive.requests[ticket.id] = .init(ticket: ticket, rank: rank)
            }
        }

        mutating func retry(_ id: UInt64) {
            let list = Array(places(RandomAdmissions.pools.randomElement(using: &numbers) ?? "a"))
            naive.requests[id]?.place = nil
            naive.requests[id]?.ticket.places = list
            lab.running[id] = nil
            lab.take(lab.admission.retry(id, at: list, nil, now: lab.now))
        }

        /// One backend dies, or the one that is dead comes back.
        mutating func toggle() {
            if let name = naive.down.popFirst() {
                lab.probed(name, .succeeded)
            } else if let name = ["a", "b", "c"].randomElement(using: &numbers) {
                naive.down.insert(name)
                lab.take(lab.admission.report(.refused, on: name, now: lab.now))
            }
        }

        mutating func step() {
            lab.now += Int64(numbers.next() % 20) * second / 2
            let count = lab.order.count
            let dice = numbers.next() % 100
            let running = pick { $0.place != nil }
            let waiting = pick { $0.place == nil }
            switch dice {
            case 0..<45: request()
            case 45..<75:
                guard let running else { return }
                naive.requests[running] = nil
                lab.release(running, nil)
            case 75..<85:
                guard let waiting else { return }
                naive.requests[waiting] = nil
                lab.cancel(waiting)
            case 85..<92: if let running { retry(running) }
            case 92..<97:
                guard let waiting else { return }
                let list = places(RandomAdmissions.pools.randomElement(using: &numbers) ?? "a")
                naive.requests[waiting]?.ticket.places = list
                lab.take(lab.admission.reroute(waiting, to: list, now: lab.now))
            default: toggle()
            }
            compare(since: count)
        }
    }

    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func theSameRequestsGoInTheSameOrderAsInTheNaiveOne(_ seed: UInt64) {
        var pair = Pair(seed)
        for step in 0..<400 {
            pair.step()
            if let fault = pair.fault {
                Issue.record("seed \(seed), step \(step): \(fault)")
                return
            }
            let waiting = pair.naive.requests.values.count { $0.place == nil }
            #expect(pair.lab.admission.waitingCount == waiting)
        }
        #expect(pair.lab.order.count > 100)
        #expect(pair.lab.answers.contains { if case .queued = $0 { true } else { false } })
    }

    /// A server that swaps models: what is promised whatever the order.
    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func inFrontOfAServerThatSwapsModelsNothingIsLostOrOversubscribed(_ seed: UInt64) {
        var numbers = SeededNumbers(seed)
        let limit = Int(seed % 2) + 1
        let fleet =
            seed % 3 == 0
            ? [ollama("box", 2, models: limit), backend("gpu", 2)]
            : [backend("box", 3, models: limit), backend("gpu", 2)]
        var lab = AdmissionLab(fleet)
        var living: Set<UInt64> = []
        let lists = ["box/x", "box/y", "box/z", "box/x gpu/x", "gpu/x", "box/z gpu/z"]
        for id in 1...12 as ClosedRange<UInt64> {
            lab.now += Int64(numbers.next() % 4) * second
            lab.request(id, lists.randomElement(using: &numbers) ?? "gpu/x") {
                $0.priority = numbers.next() % 4 == 0 ? .batch : .interactive
                $0.weight = numbers.next() % 8 == 0 ? 2 : 1
            }
            living.insert(id)
            if numbers.next() % 8 == 0, let victim = living.sorted().randomElement(using: &numbers)
            {
                living.remove(victim)
                lab.cancel(victim)
            }
            if numbers.next() % 3 != 0, let done = lab.running.keys.sorted().first {
                living.remove(done)
                lab.release(done)
            }
            let models = Set(lab.running.values.filter { $0.backend == "box" }.map(\.model))
            #expect(models.count <= limit)
            #expect(lab.admission.running(on: "gpu") <= 2)
            if seed % 3 != 0 { #expect(lab.admission.running(on: "box") <= 3) }
            // Somebody who could go would have gone.
            #expect(!lab.running.isEmpty || lab.admission.waitingCount == 0)
        }
        while let done = lab.running.keys.sorted().first {
            living.remove(done)
            lab.release(done)
        }
        #expect(living.isEmpty)
        #expect(lab.admission.waitingCount == 0)
        #expect(lab.admission.running(on: "box") == 0)
        #expect(lab.refused.isEmpty)
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func theOldestIsNotOvertakenMoreOftenThanAllowed(_ seed: UInt64) {
        var numbers = SeededNumbers(seed)
        var lab = AdmissionLab([backend("box", 2, models: 1)])
        var waiting: Set<UInt64> = []
        var overtaken: [UInt64: Int] = [:]
        var next: UInt64 = 1
        var seen = 0
        while next <= 300 || !lab.running.isEmpty {
            lab.now += second / 10
            if lab.running.count == 2 || next > 300, let done = lab.running.keys.min() {
                lab.release(done)
            }
            if next <= 300 {
                waiting.insert(next)
                lab.request(next, numbers.next() % 4 == 0 ? "box/y" : "box/x")
                next += 1
            }
            for id in lab.order[seen...] {
                if let oldest = waiting.min(), oldest < id { overtaken[oldest, default: 0] += 1 }
                waiting.remove(id)
            }
            seen = lab.order.count
        }
        #expect(lab.order.count == 300)
        let most = overtaken.values.max() ?? 0
        #expect((1...Admission.overtakingLimit).contains(most))
    }
}

@Suite struct OrderOfPools {
    @Test(arguments: 0...40)
    func theLeastRankComesFirst(_ count: Int) {
        var numbers = SeededNumbers(UInt64(count))
        let ranked = (0..<count).map { pool in
            RankedPool(rank: Rank(time: Int64(numbers.next() % 20), sequence: 0), pool: pool)
        }
        var heap = RankedPools(Array(ranked.prefix(count / 2)))
        for element in ranked.dropFirst(count / 2) { heap.insert(element) }
        var times: [Int64] = []
        var pools: Set<Int> = []
        while let next = heap.popFirst() {
            times.append(next.rank.time)
            pools.insert(next.pool)
        }
        #expect(times == ranked.map(\.rank.time).sorted())
        #expect(pools.count == count)
    }
}
