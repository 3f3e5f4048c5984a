// POST /v1/embeddings: from a checked request to a session.

internal import Chat
internal import Dialects

extension Worker {
    /// Checks and routes a request for embeddings; what can be refused is refused here, before any
    /// upstream is asked.
    ///
    /// The session is that of a chat whose client wants the whole answer: it is dropped when the
    /// client leaves, tried elsewhere when a backend is down, and bounded by the same deadlines.
    /// The wait for the answer is the one for the first token.
    func embed(_ incoming: IncomingRequest) {
        begin(incoming) { (body) throws(APIError) in
            let request = try EmbeddingRequest(reading: body)
            let plan = try plan(for: request.model, incoming) { target throws(APIError) in
                try makeUpstreamRequest(request, for: target)
            }
            return try ChatSession(
                self, incoming, AnswerForm(request, model: plan.model), plan)
        }
    }
}
