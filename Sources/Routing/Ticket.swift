// What a request asks of the admission, and what it is told.

public import Configuration

/// One model on one backend.
public struct Place: Sendable, Hashable {
    /// The configured name of the backend.
    public var backend: String
    /// The name the backend knows the model by.
    public var model: String
    /// 0 for the model that was asked for, n for its n-th fallback: `Route.tier`.
    public var tier: Int

    /// A place from its parts.
    public init(backend: String, model: String, tier: Int = 0) {
        self.backend = backend
        self.model = model
        self.tier = tier
    }
}

/// One request for a slot.
public struct Ticket: Sendable, Equatable {
    /// Unique among the requests that wait or run.
    public var id: UInt64
    /// Which requests it waits behind.
    public var priority = KeyPriority.interactive
    /// How many slots it takes: `n` of the request, at least 1.
    public var weight = 1
    /// Where it may go, the preferred first. Requests with equal lists wait in one queue.
    public var places: [Place]
    /// The hashes of its first messages, from few to all of them: `PrefixHasher.prefixes`. Empty:
    /// any place is as good as another.
    public var prefixes: [UInt64] = []

    /// A ticket of weight 1 for somebody who is waiting for the answer.
    public init(id: UInt64, places: [Place]) {
        self.id = id
        self.places = places
    }
}

/// A slot that a request may use now, until it is given back by `release` or `retry`.
public struct Grant: Sendable, Equatable {
    /// The request.
    public var id: UInt64
    /// Where it goes: one of its ticket's places.
    public var place: Place
    /// How long ago it came, in nanoseconds; attempts that failed before are part of it.
    public var waited: Int64
    /// Whether the place has served the beginning of this conversation.
    public var isReturning: Bool
}

/// Why a request gets no slot. Each says when trying again makes sense, in whole seconds, from 1 to
/// 60: the official SDKs of OpenAI wait for no longer than that.
public enum Refusal: Sendable, Hashable {
    /// Its queue is as long as it may be (429 `queue_full`).
    case queueFull(retryAfterSeconds: Int)
    /// Every backend that it may use is down (503 `no_backend`).
    case noBackend(retryAfterSeconds: Int)
    /// The model has been loading for longer than `load_wait` (503 `model_loading`).
    case modelLoading(retryAfterSeconds: Int)
}

/// What a request is told. One call of the admission can have answers for several.
public enum Answer: Sendable, Equatable {
    /// It may go.
    case granted(Grant)
    /// It waits; `position` is 1 for the next in its queue.
    case queued(id: UInt64, position: Int)
    /// It is not, or no longer, known to the admission.
    case refused(id: UInt64, Refusal)

    /// Whom it is for.
    public var id: UInt64 {
        switch self {
        case .granted(let grant): grant.id
        case .queued(let id, _), .refused(let id, _): id
        }
    }
}
