// POST /v1/completions: from a checked request to a session.

internal import Chat
internal import Dialects

extension Worker {
    /// Checks and routes a text completion; what can be refused is refused here, before any
    /// upstream is asked.
    func complete(_ incoming: IncomingRequest) {
        begin(incoming) { (body) throws(APIError) in
            let request = try TextCompletionRequest(reading: body)
            let plan = try plan(for: request.model, incoming) { target throws(APIError) in
                try makeUpstreamRequest(request, for: target)
            }
            return try ChatSession(self, incoming, AnswerForm(request), plan)
        }
    }
}
