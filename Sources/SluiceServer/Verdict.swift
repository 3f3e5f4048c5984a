// What failures mean for a session and its log line, as values: whether another backend may be
// asked, and which word the request ends with.

internal import Chat
internal import Relay
internal import Routing
internal import Text

extension AttemptFailure {
    /// What an answer that is no stream means. `status` is the upstream's own, and `error` what
    /// became of it.
    ///
    /// Only 502 and 503 are tried again (those that stand for "not me, not now"): a 500 or 504 may
    /// have cost minutes of work that would only be done again.
    init(status: Int, _ error: APIError) {
        guard status == 502 || status == 503 else {
            self = .final
            return
        }
        self = error.code == .modelLoading ? .loading : error.isOfABusyServer ? .busy : .failed
    }
}

extension Fact {
    /// What a session is told of an answer that is no stream.
    static func answered(status: Int, _ error: APIError) -> Fact {
        if status == 502 || status == 503 { return .attemptFailed(.upstreamFailed) }
        if status < 400 { return .upstreamFailed(.upstreamProtocol) }
        return .upstreamFailed(status < 500 ? .upstreamRefused : error.upstreamEnding)
    }
}

extension Refusal {
    /// How a request ends that got no slot.
    var ending: Ending {
        switch self {
        case .queueFull: .queueFull
        case .noBackend: .upstreamUnreachable
        case .modelLoading: .upstreamFailed
        }
    }
}

extension APIError {
    /// Whether a server has as many requests as it takes (Ollama's words; those of an older
    /// llama-server that was told not to queue).
    fileprivate var isOfABusyServer: Bool {
        message.contains("server busy") || message.contains("no slot available")
    }

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
