// The closed list of error codes a client can meet, and what each of them means in status and type.

/// The `type` of an error, as OpenAI's clients read it.
public enum ErrorType: String, CaseIterable, Sendable {
    /// The request is wrong and will be wrong again.
    case invalidRequest = "invalid_request_error"
    /// The key is missing or unknown.
    case authentication = "authentication_error"
    /// The caller may not do this from where it asks.
    case permission = "permission_error"
    /// Too much at once; later it may go.
    case rateLimit = "rate_limit_error"
    /// A deadline ran out.
    case timeout = "timeout_error"
    /// The backend's doing, or for want of one.
    case upstream = "upstream_error"
    /// A fault of our own. Such an error has no code: no client can act on it.
    case server = "server_error"
}

/// Every `code` an error can carry. Code, this list and docs/PROTOCOLS.md are compared by a test.
public enum ErrorCode: String, CaseIterable, Sendable {
    // The body of the request.
    case invalidJSON = "invalid_json"
    case invalidValue = "invalid_value"
    case missingField = "missing_field"
    case unsupportedParameter = "unsupported_parameter"
    case contextLengthExceeded = "context_length_exceeded"
    // Its framing and head.
    case badRequest = "bad_request"
    case methodNotAllowed = "method_not_allowed"
    case requestTimeout = "request_timeout"
    case bodyTooLarge = "body_too_large"
    case uriTooLong = "uri_too_long"
    case unsupportedMediaType = "unsupported_media_type"
    case expectationFailed = "expectation_failed"
    case headTooLarge = "head_too_large"
    case notImplemented = "not_implemented"
    // Who asks, and for what.
    case invalidAPIKey = "invalid_api_key"
    case forbidden
    case modelNotFound = "model_not_found"
    case unknownPath = "unknown_path"
    // Too much at once.
    case queueFull = "queue_full"
    case rateLimited = "rate_limited"
    // The backend.
    case upstreamUnreachable = "upstream_unreachable"
    case upstreamClosed = "upstream_closed"
    case upstreamProtocol = "upstream_protocol"
    case upstreamFailed = "upstream_failed"
    case upstreamRefusedKey = "upstream_refused_key"
    case noBackend = "no_backend"
    case modelLoading = "model_loading"
    // Us.
    case overloaded
    case shuttingDown = "shutting_down"
    // Deadlines.
    case connectTimeout = "connect_timeout"
    case queueTimeout = "queue_timeout"
    case firstTokenTimeout = "first_token_timeout"
    case tokenTimeout = "token_timeout"
    case totalTimeout = "total_timeout"

    /// The HTTP status an error with this code has, unless it keeps the upstream's
    /// (`upstreamFailed`).
    public var status: Int {
        switch self {
        case .invalidJSON, .invalidValue, .missingField, .unsupportedParameter,
            .contextLengthExceeded, .badRequest:
            400
        case .invalidAPIKey: 401
        case .forbidden: 403
        case .modelNotFound, .unknownPath: 404
        case .methodNotAllowed: 405
        case .requestTimeout: 408
        case .bodyTooLarge: 413
        case .uriTooLong: 414
        case .unsupportedMediaType: 415
        case .expectationFailed: 417
        case .queueFull, .rateLimited: 429
        case .headTooLarge: 431
        case .notImplemented: 501
        case .upstreamUnreachable, .upstreamClosed, .upstreamProtocol, .upstreamFailed,
            .upstreamRefusedKey:
            502
        case .noBackend, .modelLoading, .overloaded, .shuttingDown: 503
        case .connectTimeout, .queueTimeout, .firstTokenTimeout, .tokenTimeout, .totalTimeout: 504
        }
    }

    /// The `type` an error with this code has.
    public var type: ErrorType {
        switch self {
        case .invalidJSON, .invalidValue, .missingField, .unsupportedParameter,
            .contextLengthExceeded, .badRequest, .modelNotFound, .unknownPath, .methodNotAllowed,
            .bodyTooLarge, .uriTooLong, .unsupportedMediaType, .expectationFailed, .headTooLarge,
            .notImplemented:
            .invalidRequest
        case .invalidAPIKey: .authentication
        case .forbidden: .permission
        case .queueFull, .rateLimited: .rateLimit
        case .requestTimeout, .connectTimeout, .queueTimeout, .firstTokenTimeout, .tokenTimeout,
            .totalTimeout:
            .timeout
        case .upstreamUnreachable, .upstreamClosed, .upstreamProtocol, .upstreamFailed,
            .upstreamRefusedKey, .noBackend, .modelLoading, .overloaded, .shuttingDown:
            .upstream
        }
    }

    /// What `Retry-After` says when nobody knows better; `nil` where the header makes no sense.
    ///
    /// Official SDKs honour at most 60 s, and a model that loads or a queue that drains takes
    /// seconds.
    public var retryAfterSeconds: Int? {
        switch self {
        case .queueFull, .rateLimited, .noBackend, .modelLoading, .shuttingDown: 5
        case .overloaded: 1
        default: nil
        }
    }

    /// What `x-should-retry` says; `nil` leaves it to the client's own rule, which repeats 408,
    /// 409, 429 and every 5xx.
    ///
    /// `false` where the model has already worked for minutes and would only do so again.
    public var shouldRetry: Bool? {
        switch self {
        case .firstTokenTimeout, .tokenTimeout, .totalTimeout: false
        default: nil
        }
    }
}
