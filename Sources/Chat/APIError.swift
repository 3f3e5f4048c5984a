// The one error a client sees, whoever is at fault: status, words, and the body they are written
// in.

public import JSON

/// An error in OpenAI's shape, ready to be an answer's body or the last event of a stream.
///
/// Texts for people are made where the error is known best, and name a backend by its configured
/// name, never by its URL or key.
public struct APIError: Error, Sendable, Equatable {
    /// The HTTP status, 400 to 599.
    public var status: Int
    /// OpenAI's class of error.
    public var type: ErrorType
    /// The code from the closed list; `nil` for a fault of our own, and for what an operator did.
    public var code: ErrorCode?
    /// What happened, where, and what to do: one line.
    public var message: String
    /// The field of the request that is wrong, written as OpenAI does: `messages[2].role`.
    public var param: String?
    /// The value of `Retry-After`, in seconds.
    public var retryAfterSeconds: Int?
    /// The value of `x-should-retry`; official SDKs let it override their own rule.
    public var shouldRetry: Bool?
    /// How many tokens a prompt that does not fit has (llama-server's `n_prompt_tokens`).
    public var promptTokens: Int?
    /// How many tokens the model's context holds (llama-server's `n_ctx`).
    public var contextSize: Int?

    /// Makes the error that `code` stands for; status, type and retry headers follow from it.
    public init(_ code: ErrorCode, _ message: String, param: String? = nil) {
        self.status = code.status
        self.type = code.type
        self.code = code
        self.message = message
        self.param = param
        self.retryAfterSeconds = code.retryAfterSeconds
        self.shouldRetry = code.shouldRetry
    }

    private init(status: Int, ownDoing message: String) {
        self.status = status
        type = .server
        self.message = message
    }

    /// A fault of our own: 500, without a code.
    public static func internalFault(_ message: String) -> APIError {
        APIError(status: 500, ownDoing: message)
    }

    /// An operator has ended the request: 503, without a code. Clients are told not to repeat it.
    public static let stoppedByOperator: APIError = {
        var error = APIError(status: 503, ownDoing: "An operator has stopped this request.")
        error.shouldRetry = false
        return error
    }()

    /// A field of the request has a value that cannot be. `message` goes on after the field's name:
    /// `invalidValue("stream", "must be true or false")`.
    public static func invalidValue(_ param: String, _ message: String) -> APIError {
        APIError(.invalidValue, "'\(param)' \(message).", param: param)
    }

    /// A field of the request is not there (or null) and has to be.
    public static func missingField(_ param: String) -> APIError {
        APIError(.missingField, "'\(param)' is required.", param: param)
    }

    /// A field of the request is right in itself, but asks for what cannot be done here.
    public static func unsupported(_ param: String, _ message: String) -> APIError {
        APIError(.unsupportedParameter, "'\(param)' \(message).", param: param)
    }

    /// The body of a request is not JSON.
    public static func invalidJSON(_ error: JSONError) -> APIError {
        let what =
            switch error {
            case .unexpected(let offset): "a character that cannot stand at byte \(offset)"
            case .endedEarly: "it ends in the middle of a value"
            case .tooDeep(let limit): "arrays and objects are nested deeper than \(limit) levels"
            case .invalidUTF8(let offset): "not UTF-8 at byte \(offset)"
            }
        return APIError(.invalidJSON, "The request body is not valid JSON: \(what).")
    }

    /// Nobody has the model, or the caller's key may not use it. `nearest` are names that look
    /// alike.
    public static func modelNotFound(_ model: String, nearest: [String] = []) -> APIError {
        var message = "The model '\(model)' does not exist or you may not use it."
        if !nearest.isEmpty {
            message += " Did you mean \(nearest.map { "'\($0)'" }.joined(separator: " or "))?"
        }
        return APIError(.modelNotFound, message, param: "model")
    }

    /// The prompt does not fit into the model's context, as far as the sizes are known.
    ///
    /// Clients that trim and try again look for the code or for the words "maximum context length".
    public static func contextLengthExceeded(
        promptTokens: Int?, contextSize: Int?, backend: String
    ) -> APIError {
        var message = "This model's maximum context length is "
        message += contextSize.map { "\($0) tokens" } ?? "smaller than the prompt"
        if let promptTokens { message += ", but the messages have \(promptTokens) tokens" }
        message += " (backend '\(backend)'). Shorten the messages."
        var error = APIError(.contextLengthExceeded, message, param: "messages")
        error.promptTokens = promptTokens
        error.contextSize = contextSize
        return error
    }

    /// Appends `{"error":{"message","type","param","code"}}`, with the sizes of a prompt that does
    /// not fit, if known.
    public func appendJSON(to output: inout [UInt8]) {
        output.append(#"{"error":{"message":"#)
        output.appendJSONString(message)
        output.append(#","type":"#)
        output.appendJSONString(type.rawValue)
        output.append(#","param":"#)
        append(param, to: &output)
        output.append(#","code":"#)
        append(code?.rawValue, to: &output)
        if let promptTokens {
            output.append(#","n_prompt_tokens":"#)
            output.append(decimal: promptTokens)
        }
        if let contextSize {
            output.append(#","n_ctx":"#)
            output.append(decimal: contextSize)
        }
        output.append("}}")
    }

    private func append(_ text: String?, to output: inout [UInt8]) {
        if let text {
            output.appendJSONString(text)
        } else {
            output.append("null")
        }
    }
}
