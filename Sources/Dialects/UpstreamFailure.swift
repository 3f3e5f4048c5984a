// Turns what a backend says when it fails into the error our client gets.

public import Chat
public import JSON
internal import Text

/// An answer of a backend that is no success.
public struct UpstreamFailure: Sendable {
    /// The status of the answer.
    public var status: Int
    /// Its `Content-Type`.
    public var contentType: String?
    /// Its body, or as much of it as was read.
    public var body: [UInt8]
    /// Its `Retry-After`.
    public var retryAfter: String?

    /// Makes a failure.
    public init(
        status: Int, contentType: String? = nil, body: [UInt8] = [], retryAfter: String? = nil
    ) {
        self.status = status
        self.contentType = contentType
        self.body = body
        self.retryAfter = retryAfter
    }
}

/// The error for an answer with an error status. `backend` is the backend's configured name.
///
/// The rules are those of docs/PROTOCOLS.md: a request that is wrong stays 4xx, whatever status the
/// backend chose for it, because clients repeat every 5xx; a failure of the backend is 502; its own
/// 429 and 503 are kept.
public func apiError(for failure: UpstreamFailure, backend: String) -> APIError {
    let report = UpstreamFailureReport(reading: failure.body, contentType: failure.contentType)
    var error = FailureClassifier(report, failure.status, backend).error
    if let seconds = retryAfterSeconds(failure.retryAfter),
        error.status == 429 || error.status == 503
    {
        error.retryAfterSeconds = seconds
    }
    return error
}

/// The error for an error told inside a stream: `{"error":…}` as an event or a line, or only what
/// stands in it.
public func apiError(forErrorValue value: JSONText, backend: String) -> APIError {
    let report = UpstreamFailureReport(reading: value)
    return FailureClassifier(report, report.status ?? 500, backend).error
}

/// `Retry-After` in seconds (RFC 9110, section 10.2.3). A date needs a clock and is passed over; a
/// day is the most.
private func retryAfterSeconds(_ text: String?) -> Int? {
    // Some servers send fractions, as OpenAI's SDKs read them.
    guard let text, let seconds = Double(text), seconds >= 0 else { return nil }
    let bounded = min(seconds, 86_400)
    let whole = Int(bounded)
    return Double(whole) < bounded ? whole + 1 : whole
}

/// Decides whose fault a failure is.
private struct FailureClassifier {
    private let report: UpstreamFailureReport
    private let status: Int
    private let backend: String

    init(_ report: UpstreamFailureReport, _ status: Int, _ backend: String) {
        self.report = report
        self.backend = backend
        // Ollama hands llama-server's 400 on as 500 now and then, with the real status in the
        // nested error.
        if let inner = report.status, status >= 500, (400..<500).contains(inner) {
            self.status = inner
        } else {
            self.status = status
        }
    }

    var error: APIError {
        if isContextOverflow { return contextOverflow }
        if isMissingModel { return APIError(.modelNotFound, refused, param: "model") }
        switch status {
        case 401, 403: return refusedKey
        case 400..<500:
            return kept(refused, status == 408 || status == 429 ? .upstream : .invalidRequest)
        case 503 where report.message.lowercased().hasPrefix("loading model"):
            return APIError(.modelLoading, "Backend '\(backend)' is loading the model.")
        case 503: return kept(failed, .upstream)
        case 501...: return status == 501 || isClientsFault ? clientsFault : failure
        case 500: return isClientsFault ? clientsFault : failure
        default:
            return APIError(
                .upstreamProtocol,
                "Backend '\(backend)' answered with status \(status), which it should not.")
        }
    }

    // MARK: - The errors

    private var refused: String { "Backend '\(backend)' refused the request: \(report.message)" }
    private var failed: String { "Backend '\(backend)' failed: \(report.message)" }
    private var failure: APIError {
        guard isSharedContextFull else { return APIError(.upstreamFailed, failed) }
        return APIError(
            .upstreamFailed,
            failed + " Its requests share one context, and together they filled it: ask again, or "
                + "start the server with a larger --ctx-size or a smaller --parallel.")
    }

    /// A failure that keeps the backend's status.
    private func kept(_ message: String, _ type: ErrorType) -> APIError {
        var error = APIError(.upstreamFailed, message, param: report.param)
        error.status = status
        error.type = type
        return error
    }

    private var clientsFault: APIError {
        var error = kept(refused, .invalidRequest)
        error.status = 400
        return error
    }

    /// A 401's own words may quote the key, so they are not passed on; a 403's say what is
    /// forbidden.
    private var refusedKey: APIError {
        let words = status == 403 && report.hasMessage ? ": \(report.message)" : ""
        return APIError(
            .upstreamRefusedKey,
            "Backend '\(backend)' refused the proxy with \(status)\(words). "
                + "This is for its operator: the backend's key or access is not set up right.")
    }

    private var contextOverflow: APIError {
        let sizes = report.contextSizes
        var error = APIError.contextLengthExceeded(
            promptTokens: sizes.prompt, contextSize: sizes.context, backend: backend)
        // Another server's own sentence says more than ours without the sizes.
        if sizes.context == nil, report.message.contains("maximum context length") {
            error.message = refused
        }
        return error
    }

    // MARK: - Whose fault

    private var isContextOverflow: Bool {
        report.type == "exceed_context_size_error" || report.code == "context_length_exceeded"
            || report.message.contains("exceeds the available context size")
            || status < 500 && report.message.contains("maximum context length")
    }

    /// llama-server's requests share one cache (`--kv-unified`); when it is full, all that run end
    /// with these words, however short they are. That is no `context_length_exceeded`: a client
    /// would cut its conversation, which fits and may go through when it is sent again.
    private var isSharedContextFull: Bool {
        report.message.hasPrefix("Context size has been exceeded")
    }

    /// llama-server's router says it with 400.
    private var isMissingModel: Bool {
        guard status == 404 || status == 400 else { return false }
        return report.code == "model_not_found"
            || report.message.hasPrefix("model '") && report.message.hasSuffix("not found")
    }

    /// Requests that these servers answer with 500 although nothing is wrong with the server (wire
    /// notes: llama-server, section 4; Ollama, section 3).
    private var isClientsFault: Bool {
        let message = report.message
        return Self.clientsFaults.contains { message.hasPrefix($0) }
            || message.contains(" input is not supported")
            // What a model's template refuses: roles that do not alternate, for one.
            || message.contains("Jinja Exception: ")
            || message.hasPrefix("option \"") && message.contains(" must be of type ")
            || message.hasPrefix("input (") && message.contains("too large to process")
    }

    private static let clientsFaults = [
        "Failed to parse messages", "Failed to parse tools", "'messages' is required",
        "Failed to parse tool call arguments as JSON", "Failed to load image or audio file",
        "Failed to download image", "Invalid base64 value", "Multimodal data provided, but model",
        "Cannot use both json_schema and grammar", "Cannot specify ", "Unknown reasoning format: ",
        "tools param requires --jinja", "tool_choice param requires --jinja", "Unsupported param: ",
        "\"prompt\" is required", "Only no echo is supported", "invalid format: ",
        "[json.exception.",
    ]
}
