// An admission with a clock, and a record of who was told what.

import Configuration
import Routing

let second: Int64 = 1_000_000_000
let millisecond: Int64 = 1_000_000

/// Reproducible numbers: SplitMix64.
struct SeededNumbers: RandomNumberGenerator {
    var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}

/// Places written as `gpu/qwen3`, fallbacks with their tier behind: `box/tiny>1`.
func places(_ text: String) -> [Place] {
    text.split(separator: " ").map { item in
        let parts = item.split(separator: ">")
        let names = parts[0].split(separator: "/", maxSplits: 1).map(String.init)
        let tier = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        return Place(backend: names[0], model: names.count > 1 ? names[1] : "m", tier: tier)
    }
}

struct AdmissionLab {
    var admission: Admission
    var now: Int64 = 1000 * second
    /// Every answer, in order.
    var answers: [Answer] = []
    /// Who has a slot, and where.
    var running: [UInt64: Place] = [:]
    /// Who was granted a slot, in order.
    var order: [UInt64] = []
    var refused: [UInt64: Refusal] = [:]

    init(
        _ fleet: [BackendCapacity], queueLimit: Int = 10_000, loadWait: Int64 = 600 * second
    ) {
        admission = Admission(.init(queueLimit: queueLimit, loadWait: loadWait))
        take(admission.setFleet(fleet, now: now))
    }

    mutating func take(_ new: [Answer]) {
        for answer in new {
            switch answer {
            case .granted(let grant):
                precondition(running[grant.id] == nil, "granted twice")
                running[grant.id] = grant.place
                order.append(grant.id)
            case .refused(let id, let why): refused[id] = why
            case .queued: break
            }
        }
        answers += new
    }

    @discardableResult
    mutating func request(
        _ id: UInt64, _ list: String = "gpu", _ change: (inout Ticket) -> Void = { _ in }
    ) -> Answer? {
        var ticket = Ticket(id: id, places: places(list))
        change(&ticket)
        let new = admission.request(ticket, now: now)
        take(new)
        return new.last { $0.id == id }
    }

    mutating func release(_ id: UInt64, _ fact: HealthFact? = .succeeded) {
        running[id] = nil
        take(admission.release(id, fact, now: now))
    }

    mutating func cancel(_ id: UInt64) {
        running[id] = nil
        take(admission.cancel(id, now: now))
    }

    mutating func retry(_ id: UInt64, _ list: String, _ fact: HealthFact) {
        running[id] = nil
        take(admission.retry(id, at: places(list), fact, now: now))
    }

    mutating func probed(_ backend: String, _ fact: HealthFact) {
        _ = admission.takeDueProbes(now: now)
        take(admission.probed(backend, fact, now: now))
    }

    mutating func wait(_ time: Int64) {
        now += time
        take(admission.wake(now: now))
    }

    @discardableResult
    mutating func fail(
        _ id: UInt64, _ failure: AttemptFailure, clientHasContent: Bool = false
    ) -> RetryDecision {
        let attempt = FailedAttempt(id: id, failure, clientHasContent: clientHasContent)
        let (decision, new) = admission.attemptFailed(attempt, now: now)
        if decision != .freshConnection { running[id] = nil }
        take(new)
        return decision
    }

    mutating func dueProbes() -> [String] { admission.takeDueProbes(now: now) }

    /// The backend of a request that runs.
    func backend(_ id: UInt64) -> String? { running[id]?.backend }
}

func backend(_ name: String, _ slots: Int, models: Int? = nil) -> BackendCapacity {
    BackendCapacity(name: name, slots: .perBackend(slots), residentModels: models)
}

func ollama(_ name: String, _ slots: Int = 1, models: Int? = nil) -> BackendCapacity {
    BackendCapacity(name: name, slots: .perModel(slots), residentModels: models)
}
