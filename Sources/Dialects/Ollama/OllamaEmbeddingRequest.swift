// Writes a request for embeddings for Ollama's native `POST /api/embed`.

import Chat
import JSON

extension OllamaRequestWriter {
    /// The request. The writer is spent afterwards.
    ///
    /// `truncate` is false unless sent, so that a text that does not fit is an error instead of
    /// being cut in silence; the endpoint has known it from its beginning.
    consuming func writeEmbed(_ request: EmbeddingRequest) throws(APIError) -> UpstreamRequest {
        switch request.input {
        case .text, .texts: break
        case .tokens, .tokenLists:
            throw .unsupported("input", "can only be text here: Ollama takes no tokens")
        case .mixed: throw .unsupported("input", RequestInput.whyNotMixed)
        }
        if let path = request.emptyText { throw .invalidValue(path, "must not be empty here") }
        body.append(#"{"model":"#)
        body.append(string: target.upstreamModel)
        body.append(#","input":"#)
        if let input = request["input"] { body.append(client: input.range) }
        for name in ["dimensions", "keep_alive", "truncate"] {
            guard let entry = parameters[name], !entry.isOption else { continue }
            body.append(",")
            body.append(string: name)
            body.append(":")
            append(entry)
        }
        if parameters["truncate"] == nil { body.append(#","truncate":false"#) }
        try writeOptions()
        body.append("}")
        let known: Set = [
            "dimensions", "encoding_format", "input", "keep_alive", "model", "options", "truncate",
        ]
        for entry in parameters.entries where !isEmptyValue(entry.value) && !isOption(entry) {
            if !known.contains(entry.name) { ignored.insert(entry.path) }
        }
        return UpstreamRequest(path: "/api/embed", body: body.finish(), ignored: ignored.names)
    }
}
