// Writes a completion request for llama-server and for other servers of OpenAI's API.

import Chat
import JSON

/// The client's JSON as it is, but for what the proxy and the backend need otherwise.
struct OpenAICompletionRequestWriter {
    private let request: TextCompletionRequest
    private let target: RequestTarget
    private let parameters: RequestParameters
    private var splice: OpenAIRequestSplice
    private var ignored = IgnoredFields()

    init(_ request: TextCompletionRequest, _ target: RequestTarget) {
        self.request = request
        self.target = target
        parameters = RequestParameters(request, target)
        splice = OpenAIRequestSplice(request.json.source, request.members, parameters)
    }

    /// The request. The writer is spent afterwards.
    consuming func write() throws(APIError) -> UpstreamRequest {
        try TextCompletionFields.refuse(parameters, for: target.kind)
        try request.prompt.refuseMixed("prompt", for: target.kind)
        splice.setModel(target.upstreamModel, of: request)
        splice.askForAStream(request)
        let lookalikes = parameters.lookalikes(for: target) { TextCompletionFields.rule($0) != nil }
        for name in lookalikes {
            splice.remove(name)
            ignored.insert(name)
        }
        if target.kind == .llamaServer {
            // 0 asks for the chosen tokens' own, which llama-server gives from 1 on.
            if parameters["logprobs"]?.value.int == 0 { splice.set("logprobs", "1") }
        } else {
            // −1 is llama-server's word for no limit; elsewhere the absent field says it.
            for entry in parameters.tokenLimits where entry.value.int == -1 {
                splice.remove(entry.name)
            }
        }
        reportIgnored()
        return UpstreamRequest(
            path: "/v1/completions", body: splice.finish(), ignored: ignored.names)
    }

    /// Names what the backend is known to pass over. It is sent all the same: a newer build may
    /// know it.
    private mutating func reportIgnored() {
        for entry in parameters.entries {
            guard let rule = TextCompletionFields.rule(entry.name),
                rule.handling(for: target.kind) == .ignored, !rule.isHarmless(entry.value)
            else { continue }
            // The best of as many as are asked for are all of them.
            if entry.name == "best_of", entry.value.int == request.choicesPerPrompt { continue }
            ignored.insert(entry.name)
        }
    }
}
