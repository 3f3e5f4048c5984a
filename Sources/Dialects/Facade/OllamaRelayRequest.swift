// A request of Ollama's API for an Ollama: the client's own, but for the model's name and the
// route's rules.

import Chat
import JSON

extension OllamaRequestWriter {
    /// The request. The writer is spent afterwards.
    ///
    /// Nothing is made stricter than the client asked for: `truncate` and `shift` stay Ollama's
    /// default, unlike in chats of OpenAI's form.
    consuming func writeRelay(_ request: OllamaRequest) throws(APIError) -> UpstreamRequest {
        body.append(#"{"model":"#)
        body.append(string: target.upstreamModel)
        // A client that leaves is noticed in a stream, and deadlines hold between its tokens.
        if request.endpoint.hasStream { body.append(#","stream":true"#) }
        // Loading takes no parameters but how long the model stays.
        if target.rules.isEmpty || request.isEmpty {
            writeMembers(request)
        } else {
            try writeRuled(request)
        }
        body.append("}")
        return UpstreamRequest(
            path: request.endpoint.path, body: body.finish(), ignored: ignored.names)
    }

    private static let own: Set<String> = ["model", "stream"]

    /// The client's members as they stand.
    private mutating func writeMembers(_ request: OllamaRequest) {
        for (index, member) in request.members.enumerated() where request.isLast(index) {
            let name = request.names[index]
            guard !Self.own.contains(name) else { continue }
            // Ollama has no such names, and could read another from it.
            guard isPlainFieldName(name) else {
                ignored.insert(name)
                continue
            }
            body.append(",")
            body.append(client: member.key.range.lowerBound..<member.value.range.upperBound)
        }
    }

    /// The client's fields once the route's rules, which name them as Ollama or as OpenAI does,
    /// have been applied.
    private mutating func writeRuled(_ request: OllamaRequest) throws(APIError) {
        var taken: Set<String> = Self.own
        for entry in parameters.entries where !entry.isOption && !isOption(entry) {
            let isField = FacadeFields.table(request.endpoint).contains { $0.name == entry.name }
            guard isField || entry.name == "_debug_render_only", entry.name != "options",
                taken.insert(entry.name).inserted
            else { continue }
            body.append(",")
            body.append(string: entry.name)
            body.append(":")
            append(entry)
        }
        if !taken.contains("think") { try writeThink() }
        if !taken.contains("format") { try writeFormat() }
        try writeOptions()
        let written = taken.union([
            "max_completion_tokens", "max_tokens", "n_predict", "num_predict", "options",
            "reasoning_effort", "response_format", "stop",
        ])
        for entry in parameters.entries
        where !isOption(entry) && !written.contains(entry.name) && !isEmptyValue(entry.value) {
            ignored.insert(entry.path)
        }
    }
}
