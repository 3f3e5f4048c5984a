// POST /api/chat, /api/generate, /api/embed and /api/embeddings: from a checked request to a
// session.

internal import Chat
internal import Dialects
internal import HTTPTransport
internal import Routing

extension Worker {
    /// Checks and routes a request of Ollama's API; what can be refused is refused here, before any
    /// upstream is asked.
    func relayOllama(_ incoming: IncomingRequest, _ endpoint: OllamaRequest.Endpoint) {
        begin(incoming) { (body) throws(APIError) in
            let request = try OllamaRequest(reading: body, endpoint)
            let model = servedName(request.model)
            do throws(APIError) {
                return try session(for: request, model, incoming)
            } catch {
                throw request.model.map { error.inOllamasWords(model: $0) } ?? error
            }
        }
    }

    private func session(
        for request: OllamaRequest, _ model: String?, _ incoming: IncomingRequest
    ) throws(APIError) -> ChatSession? {
        if request.isEmpty, let name = try nameOfPresentModel(model, incoming) {
            let answer = self.answer(to: request, model: request.model ?? name)
            respond(
                incoming,
                Answers.json(answer.loaded(unloads: request.unloads), incoming.identity.id))
            return nil
        }
        var translation = FacadeTranslation(request)
        let plan = try plan(for: model, incoming) { target throws(APIError) in
            try translation.makeUpstreamRequest(for: target)
        }
        if plan.candidates.count > 1 { plan.prefixes = request.prefixes(model: plan.model) }
        let answer = self.answer(to: request, model: request.model ?? plan.model)
        return try ChatSession(
            self, incoming, AnswerForm(answer, wantsStream: request.wantsStream), plan)
    }

    private func answer(to request: OllamaRequest, model: String) -> OllamaAnswer {
        OllamaAnswer(request, model: model) {
            let now = Clock.wall()
            return now.seconds * 1_000_000_000 + now.nanoseconds
        }
    }

    /// The name of a model that no Ollama has: it need not be loaded and cannot be unloaded. `nil`
    /// if an Ollama has it.
    private func nameOfPresentModel(
        _ model: String?, _ incoming: IncomingRequest
    ) throws(APIError) -> String? {
        let routes = try routes(for: model, incoming.key)
        let isAtOllama = routes.contains { fleet.backend(named: $0.backend)?.kind == .ollama }
        return isAtOllama ? nil : routes[0].clientModel
    }

    /// The name under which a model is known: clients of Ollama add `:latest` to names without a
    /// tag, which other servers' models do not have.
    func servedName(_ name: String?) -> String? {
        guard let name, name.hasSuffix(":latest"),
            case .unknownModel = fleet.routes.resolve(name, includingDown: true)
        else { return name }
        let bare = String(name.dropLast(":latest".count))
        guard case .unknownModel = fleet.routes.resolve(bare, includingDown: true) else {
            return bare
        }
        return name
    }
}

extension APIError {
    /// The same in the words Ollama's clients look for: "not found" is what makes some of them offer
    /// to fetch the model.
    func inOllamasWords(model: String) -> APIError {
        guard code == .modelNotFound else { return self }
        var error = self
        let hint = message.firstRange(of: " Did you mean ").map { message[$0.lowerBound...] } ?? ""
        error.message = "model '\(model)' not found." + hint
        return error
    }
}
