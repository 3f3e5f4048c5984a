// What failures mean for a session and its log line, as values: whether another backend may be
// asked, and which word the request ends with.

internal import Chat
internal import Relay

extension Fact {
    /// What an answer that is no stream means. `status` is the upstream's own, and `error` what
    /// became of it.
    ///
    /// Only 502 and 503 go to the next backend (those that stand for "not me, not now"): a 500 or
    /// 504 may have cost minutes of work that would only be done again.
    static func answered(status: Int, _ error: APIError, another: Bool) -> Fact {
        if status == 502 || status == 503 {
            return .attemptFailed(.upstreamFailed, another: another)
        }
        if status < 400 { return .upstreamFailed(.upstreamProtocol) }
        return .upstreamFailed(status < 500 ? .upstreamRefused : error.upstreamEnding)
    }
}

extension APIError {
    /// How a session ends that failed with an error of its upstream's: some servers say 500 to what
    /// is the client's fault.
    var upstreamEnding: Ending { status < 500 ? .upstreamRefused : .upstreamFailed }

    /// How a request ends that was answered with this error before any upstream was asked.
    var refusalEnding: Ending {
        switch code {
        case .shuttingDown: .shuttingDown
        case .noBackend: .upstreamUnreachable
        case .queueFull: .queueFull
        case .requestTimeout: .requestTimeout
        case nil: .internal
        default: .refused
        }
    }
}
