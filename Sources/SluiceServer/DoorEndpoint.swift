// POST /v1/responses, /v1/messages and their like: from a checked request to a session.

internal import Chat
internal import Dialects
internal import JSON

extension Worker {
    /// Checks and routes a request at a door; what can be refused is refused here, before any
    /// upstream is asked.
    func relay(_ incoming: IncomingRequest, through door: Door) {
        begin(incoming) { (body) throws(APIError) in
            let request = try DoorRequest(reading: body, at: door)
            let plan = try plan(for: request.model, incoming) { target throws(APIError) in
                try makeUpstreamRequest(request, for: target)
            }
            return try ChatSession(self, incoming, AnswerForm(request, model: plan.model), plan)
        }
    }
}

extension Door {
    /// The door at a path; `nil` if there is none. llama-server's own paths have no `/v1`.
    init?(path: String) {
        switch path {
        case "/v1/responses", "/responses": self = .responses
        case "/v1/messages", "/messages": self = .messages
        case "/v1/messages/count_tokens", "/messages/count_tokens": self = .countTokens
        case "/v1/rerank", "/rerank", "/v1/reranking", "/reranking": self = .rerank
        case "/tokenize": self = .tokenize
        case "/detokenize": self = .detokenize
        default: return nil
        }
    }
}
