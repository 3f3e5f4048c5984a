// The closed list of how a session can end.

/// Whose doing an ending was.
public enum Party: Sendable {
    case client, upstream, sluice
}

/// Why a session ended, in one word. Log, metrics, documentation and tests name their cases from
/// this list.
public enum Ending: String, Hashable, CaseIterable, Sendable {
    /// The answer was given whole.
    case completed
    /// The client closed, half-closed or reset its connection.
    case clientLeft = "client_left"
    /// The client took nothing for `client_stall`.
    case clientStalled = "client_stalled"
    /// An operator stopped the request.
    case stoppedByOperator = "stopped_by_operator"
    /// Sluice refused the request before any upstream was asked.
    case refused
    /// The queue was full.
    case queueFull = "queue_full"
    /// The upstream refused the request: its own 4xx.
    case upstreamRefused = "upstream_refused"
    /// No connection to the upstream could be made.
    case upstreamUnreachable = "upstream_unreachable"
    /// The upstream reported a failure of its own.
    case upstreamFailed = "upstream_failed"
    /// The upstream closed or reset before its answer was complete.
    case upstreamClosed = "upstream_closed"
    /// The upstream's answer broke the rules of HTTP, JSON or its dialect.
    case upstreamProtocol = "upstream_protocol"
    /// Sluice is shutting down.
    case shuttingDown = "shutting_down"
    /// A bug of ours.
    case `internal`
    /// The request did not arrive in time.
    case requestTimeout = "request_timeout"
    /// The upstream did not accept a connection in time.
    case connectTimeout = "connect_timeout"
    /// No slot became free in time.
    case queueTimeout = "queue_timeout"
    /// The upstream's first event did not come in time.
    case firstTokenTimeout = "first_token_timeout"
    /// The upstream's next event did not come in time.
    case tokenTimeout = "token_timeout"
    /// The request took longer than `total`.
    case totalTimeout = "total_timeout"

    /// Whose doing it was; `nil` when nothing went wrong.
    public var fault: Party? {
        switch self {
        case .completed: nil
        case .clientLeft, .clientStalled, .refused, .upstreamRefused, .requestTimeout: .client
        case .upstreamUnreachable, .upstreamFailed, .upstreamClosed, .upstreamProtocol,
            .connectTimeout, .firstTokenTimeout, .tokenTimeout, .totalTimeout:
            .upstream
        case .stoppedByOperator, .queueFull, .queueTimeout, .shuttingDown, .internal: .sluice
        }
    }
}
