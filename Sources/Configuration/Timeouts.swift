// How long Sluice waits for what.

/// The time limits. `nil` is `off`: no limit.
///
/// Limits without which Sluice could be held up for ever, or that are no limits but pauses, cannot
/// be `off`.
public struct Timeouts: Sendable, Equatable {
    /// For a connection to a backend to stand, all its addresses together; each has an even share.
    public var connect: Duration = .seconds(5)
    /// For a slot to become free.
    public var queue: Duration? = .seconds(600)
    /// How long an early failure can still keep its status before a streamed head is sent.
    public var headGrace: Duration = .seconds(10)
    /// From dispatch to the first data event of the answer.
    public var firstToken: Duration? = .seconds(3600)
    /// Between two data events.
    public var token: Duration? = .seconds(300)
    /// From dispatch to the end of the answer.
    public var total: Duration?
    /// How long a model that is being loaded is waited for, if no other backend has it.
    public var loadWait: Duration = .seconds(600)
    /// For a request head to arrive.
    public var requestHead: Duration = .seconds(10)
    /// Between two parts of a request body.
    public var requestBody: Duration = .seconds(30)
    /// For a whole request to arrive.
    public var requestTotal: Duration? = .seconds(600)
    /// How long a connection may rest between two requests.
    public var idle: Duration = .seconds(75)
    /// How long a client may take nothing of what is there for it.
    public var clientStall: Duration? = .seconds(60)
    /// How long streams may go on when Sluice is asked to stop.
    public var drain: Duration = .seconds(30)

    /// The defaults.
    public init() {}

    /// The limit with a name. Setting one that cannot be `off` to `nil` changes nothing.
    public subscript(timeout: Timeout) -> Duration? {
        get {
            switch timeout.access {
            case .always(let path): self[keyPath: path]
            case .orOff(let path): self[keyPath: path]
            }
        }
        set {
            switch timeout.access {
            case .always(let path): if let newValue { self[keyPath: path] = newValue }
            case .orOff(let path): self[keyPath: path] = newValue
            }
        }
    }
}

/// The names of the time limits, as they stand in the file.
public enum Timeout: String, Sendable, Hashable, CaseIterable {
    /// See the properties of `Timeouts`.
    case connect, queue
    /// See `Timeouts.headGrace`.
    case headGrace = "head_grace"
    /// See `Timeouts.firstToken`.
    case firstToken = "first_token"
    /// See the properties of `Timeouts`.
    case token, total
    /// See `Timeouts.loadWait`.
    case loadWait = "load_wait"
    /// See `Timeouts.requestHead`.
    case requestHead = "request_head"
    /// See `Timeouts.requestBody`.
    case requestBody = "request_body"
    /// See `Timeouts.requestTotal`.
    case requestTotal = "request_total"
    /// See `Timeouts.idle`.
    case idle
    /// See `Timeouts.clientStall`.
    case clientStall = "client_stall"
    /// See `Timeouts.drain`.
    case drain

    /// Those that a backend can override: what happens between dispatch and the end of its answer.
    /// Not `queue`: the backends that share a model share one queue.
    public static let upstream: [Timeout] = [.connect, .firstToken, .token, .total, .loadWait]

    /// Whether `off` is a value.
    public var mayBeOff: Bool {
        switch access {
        case .always: false
        case .orOff: true
        }
    }

    /// What the limit may be, beside `off`.
    ///
    /// Ten milliseconds is less than any of them can sensibly be, but lets tests be quick; a day is
    /// far more, but stops a `10h` that was meant as `10m` from being taken for endless.
    public var range: ClosedRange<Duration> {
        switch self {
        case .headGrace, .loadWait, .drain: .zero ... .seconds(86_400)
        case .connect, .requestHead: .milliseconds(10) ... .seconds(3600)
        case .queue, .firstToken, .token, .total, .requestBody, .requestTotal, .idle, .clientStall:
            .milliseconds(10) ... .seconds(86_400)
        }
    }

    /// Where the value stands in `Timeouts`, and whether it can be absent.
    enum Access {
        case always(WritableKeyPath<Timeouts, Duration>)
        case orOff(WritableKeyPath<Timeouts, Duration?>)
    }

    var access: Access {
        switch self {
        case .connect: .always(\.connect)
        case .queue: .orOff(\.queue)
        case .headGrace: .always(\.headGrace)
        case .firstToken: .orOff(\.firstToken)
        case .token: .orOff(\.token)
        case .total: .orOff(\.total)
        case .loadWait: .always(\.loadWait)
        case .requestHead: .always(\.requestHead)
        case .requestBody: .always(\.requestBody)
        case .requestTotal: .orOff(\.requestTotal)
        case .idle: .always(\.idle)
        case .clientStall: .orOff(\.clientStall)
        case .drain: .always(\.drain)
        }
    }
}
