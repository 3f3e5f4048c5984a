// What workers and the front desk tell each other.

internal import EventLoop
internal import Routing

/// What a worker tells the front desk about one of its requests.
enum DeskMessage: Sendable {
    /// A new request wants a slot.
    case request(Ticket)
    /// A request is no longer wanted, wherever it is.
    case cancel(UInt64)
    /// The answer to a request has begun.
    case answered(UInt64)
    /// A request gives its slot back.
    case release(Release)
    /// An attempt gave no answer. What becomes of the request is told.
    case failed(FailedAttempt)
    /// Somebody wants to know how many are before it.
    case position(UInt64)
    /// A request that waits may use other places.
    case reroute(UInt64, [Place])
    /// An operator asks how things are; the answer is for this question.
    case describe(UInt64)
}

/// The end of an attempt that is not tried again.
struct Release: Sendable {
    var id: UInt64
    /// What it tells of the backend's health; `nil` if its client left, and the like.
    var fact: HealthFact?
    /// Whether we broke it off while the backend was still at it.
    var isCancelled = false
}

/// What the front desk tells a worker.
enum DeskNews: Sendable {
    /// The request may go.
    case granted(Grant)
    /// The request waits. `isLoading`: for a model that is being loaded.
    case queued(UInt64, position: Int, isLoading: Bool)
    /// The request gets no slot.
    case refused(UInt64, Refusal)
    /// There is no further try after the attempt that failed.
    case givenUp(UInt64)
    /// The model hangs; the attempt must be broken off, and failed as `cured`.
    case hangs(UInt64)
    /// The answer to a question of an operator, as JSON.
    case description(UInt64, [UInt8])

    /// Whom it is for: the id of a ticket or of a question.
    var id: UInt64 {
        switch self {
        case .granted(let grant): grant.id
        case .queued(let id, _, _), .refused(let id, _), .givenUp(let id), .hangs(let id),
            .description(let id, _):
            id
        }
    }
}

/// Ids of tickets and questions: unique in the process, and they say whose they are.
struct DeskIDs: Sendable {
    private var last: UInt64

    /// The ids of worker `number`, 0 for the leader.
    init(worker number: Int) { last = UInt64(number) << 48 }

    mutating func next() -> UInt64 {
        last += 1
        return last
    }

    /// The worker that made an id.
    static func worker(of id: UInt64) -> Int { Int(id >> 48) }
}

/// How a worker reaches the front desk.
enum DeskLine {
    /// It is on the same loop.
    case direct(FrontDesk)
    /// It is on another one.
    case mail(Mailbox<DeskMessage>.Address)
}
