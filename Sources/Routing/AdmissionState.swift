// What the admission keeps: backends with their slots and models, and queues with those in them.

import Configuration

/// One backend.
struct BackendRecord: Sendable {
    let name: String
    /// Whether it is configured. One that was taken away stays until its requests have ended, and
    /// keeps its number for ever, so that numbers held elsewhere stay right.
    var isPresent = true
    var slots = SlotRule.unlimited
    var residentModels: Int?
    var loadWait: Int64?
    /// Whether it tells which models are loaded; if not, all count as warm.
    var tellsLoaded = false
    var health: Health
    /// The turn at which it was chosen last.
    var lastTurn = 0
    /// Slots taken, all models together.
    var running = 0
    /// How many requests are being answered.
    var answering = 0
    /// How long a request held a slot, as a moving mean in nanoseconds; 0: not known yet.
    var meanHold: Int64 = 0
    /// The models that were asked for, as numbers of stations.
    var stations: [String: Int] = [:]

    // For the pass over the queues that is under way; see `Admission.dispatch`.
    /// The oldest request that waits for models to be swapped, and the pass that found it.
    var swapClaim: (pass: Int, seat: Int) = (0, 0)
    /// The pass that found nobody to go before that request, which is to go then.
    var mustSwap = 0
    /// The pass that let somebody go before it.
    var lastOvertaking = 0

    init(name: String, now: Int64) {
        self.name = name
        health = Health(now: now)
    }

    var isUp: Bool { isPresent && health.state == .up }

    mutating func noteHold(_ duration: Int64) {
        // An eighth of the way: some ten requests decide, so that a change of model shows soon.
        meanHold = meanHold == 0 ? duration : meanHold + (duration - meanHold) / 8
    }
}

/// One model on one backend.
struct Station: Sendable {
    let backend: Int
    let model: String
    /// The lane whose slots its requests take.
    var lane: Int
    /// How many of its requests run.
    var running = 0
    /// Whether the model is loaded, as far as is known.
    var isLoaded = false
    /// The turn at which it was chosen last, for guessing which model a server puts out.
    var lastTurn = 0
    /// Nothing may be sent while the model is being cured.
    var isSuspended = false
}

/// Slots that belong together: those of a backend, or those of a model on it.
struct Lane: Sendable {
    /// How many; `nil`: no limit.
    var slots: Int?
    /// How many are taken.
    var taken = 0
    /// The last pass in which an older request claimed what is free here.
    var claim = 0
    /// The last pass that counted this lane among those with room.
    var counted = 0

    /// A request for more slots than there are takes them all: the upstream may refuse it, but it
    /// must not wait for ever.
    func need(_ weight: Int) -> Int { min(max(weight, 1), slots ?? .max) }

    func hasRoom(for weight: Int) -> Bool {
        guard let slots else { return true }
        return taken + need(weight) <= slots
    }
}

/// The requests with one list of places, and the queue of those that wait.
struct Pool: Sendable {
    let places: [Place]
    /// The stations of `places`.
    let stations: [Int]
    /// Which of them requests may go to now: those up in the first tier that has any.
    var open: [Int] = []
    var stall: Stall?
    var interactive = Line()
    var batch = Line()

    var count: Int { interactive.count + batch.count }
}

/// Why no request of a pool can go anywhere.
enum Stall: Sendable, Equatable {
    /// What is not down is loading, or being cured.
    case loading(since: Int64)
    /// Everything is down.
    case down(since: Int64)
}

/// A request that has a slot.
struct Running: Sendable {
    let ticket: Ticket
    let rank: Rank
    let arrived: Int64
    let station: Int
    let granted: Int64
    /// What has failed so far.
    var retries: RetryPolicy
    /// Whether its answer has begun, so that its connection is known to stand.
    var hasAnswered = false
}

/// Where a request is.
enum Location: Sendable {
    case waiting(seat: Int)
    case running(Running)
}
