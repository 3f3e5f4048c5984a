// The one error in the shapes of the other protocols that clients speak.

internal import JSON

extension APIError {
    /// Appends `{"type":"error","error":{"type","message"},"request_id"}`, the shape of Anthropic's
    /// Messages (its documentation's page "Errors").
    public func appendMessagesJSON(requestID: String, to output: inout [UInt8]) {
        output.append(#"{"type":"error","error":{"type":"#)
        output.appendJSONString(messagesType)
        output.append(#","message":"#)
        output.appendJSONString(messagesMessage)
        output.append(#"},"request_id":"#)
        output.appendJSONString(requestID)
        output.append("}")
    }

    /// The words, after those by which Anthropic's clients know that a prompt does not fit.
    private var messagesMessage: String {
        guard code == .contextLengthExceeded else { return message }
        guard let promptTokens, let contextSize else { return "prompt is too long. " + message }
        return "prompt is too long: \(promptTokens) tokens > \(contextSize) maximum. " + message
    }

    /// Anthropic's name for this kind of error, which goes by the status.
    public var messagesType: String {
        switch status {
        case 401: "authentication_error"
        case 403: "permission_error"
        case 404: "not_found_error"
        case 413: "request_too_large"
        case 429: "rate_limit_error"
        case 503: "overloaded_error"
        case 504: "timeout_error"
        case 400..<500: "invalid_request_error"
        default: "api_error"
        }
    }

    /// Appends `{"error":"…"}`, the shape of Ollama's native API.
    public func appendOllamaJSON(to output: inout [UInt8]) {
        output.append(#"{"error":"#)
        output.appendJSONString(message)
        output.append("}")
    }
}
