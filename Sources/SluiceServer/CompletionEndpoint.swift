// POST /v1/completions: from a checked request to a session.

internal import Chat
internal import Dialects

extension Worker {
    /// Checks and routes a text completion; what can be refused is refused here, before any upstream
    /// is asked.
    func complete(_ incoming: IncomingRequest) {
        begin(incoming) { (body) throws(APIError) in
            let request = try TextCompletionRequest(reading: body)
            let routes = try routes(for: request.model, incoming)
            let candidates = try candidates(routes) { target throws(APIError) in
                try makeUpstreamRequest(request, for: target)
            }
            return ChatSession(
                self, incoming, AnswerForm(request), candidates, model: routes[0].clientModel)
        }
    }
}
