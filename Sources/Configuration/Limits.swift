// How much of what Sluice takes or holds.

/// The limits of sizes (in bytes) and numbers.
///
/// The defaults of what clients send are those of well-known servers (nginx: 8 KiB for a line;
/// Apache: 100 fields); those of streams come from the memory a slow client may cost.
public struct Limits: Sendable, Equatable {
    /// Bytes of a request line.
    public var requestLine = 8 << 10
    /// Bytes of a request head, its first line included.
    public var head = 64 << 10
    /// Fields in a request head.
    public var headFields = 100
    /// Bytes of one request body.
    public var body = 64 << 20
    /// Bytes of all request bodies held at one time.
    public var bodies = 1 << 30
    /// Bytes of one upstream event in assembly.
    public var event = 16 << 20
    /// Bytes of a completion that is assembled for a client that does not stream.
    public var completion = 64 << 20
    /// Bytes of the head of an upstream's answer.
    public var upstreamHead = 64 << 10
    /// Bytes of unsent output held for one stream; above it the upstream is not read.
    public var streamBuffer = 256 << 10
    /// Client connections at one time.
    public var connections = 10_000
    /// Requests that wait for a slot, in each queue.
    public var queue = 256

    /// The defaults.
    public init() {}

    /// The limit with a name.
    public subscript(limit: Limit) -> Int {
        get { self[keyPath: limit.path] }
        set { self[keyPath: limit.path] = newValue }
    }
}

/// The names of the limits, as they stand in the file.
public enum Limit: String, Sendable, Hashable, CaseIterable {
    /// See `Limits.requestLine`.
    case requestLine = "request_line"
    /// See `Limits.head`.
    case head
    /// See `Limits.headFields`.
    case headFields = "head_fields"
    /// See the properties of `Limits`.
    case body, bodies, event, completion
    /// See `Limits.upstreamHead`.
    case upstreamHead = "upstream_head"
    /// See `Limits.streamBuffer`.
    case streamBuffer = "stream_buffer"
    /// See the properties of `Limits`.
    case connections, queue

    /// Whether it counts bytes; if not, it counts things.
    public var isSize: Bool {
        switch self {
        case .requestLine, .head, .body, .bodies, .event, .completion, .upstreamHead, .streamBuffer:
            true
        case .headFields, .connections, .queue: false
        }
    }

    /// What the limit may be, in bytes or things.
    public var range: ClosedRange<Int> {
        switch self {
        case .requestLine: 1 << 10...1 << 20
        case .head, .upstreamHead: 4 << 10...1 << 20
        // The official SDKs send about twenty fields, a reverse proxy adds some.
        case .headFields: 32...1000
        case .body: 1 << 10...4 << 30
        case .bodies: 1 << 10...1 << 40
        // A first event of llama-server repeats settings and may hold the log probabilities of a
        // token.
        case .event: 64 << 10...1 << 30
        case .completion: 64 << 10...4 << 30
        // Below this every stream would stop and start with each packet.
        case .streamBuffer: 16 << 10...64 << 20
        case .connections: 1...1_000_000
        // None: a request that finds no free slot is refused at once.
        case .queue: 0...1_000_000
        }
    }

    var path: WritableKeyPath<Limits, Int> {
        switch self {
        case .requestLine: \.requestLine
        case .head: \.head
        case .headFields: \.headFields
        case .body: \.body
        case .bodies: \.bodies
        case .event: \.event
        case .completion: \.completion
        case .upstreamHead: \.upstreamHead
        case .streamBuffer: \.streamBuffer
        case .connections: \.connections
        case .queue: \.queue
        }
    }
}
