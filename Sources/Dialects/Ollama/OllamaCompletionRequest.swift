// Writes a completion request for Ollama's native `POST /api/generate`.

import Chat
import JSON

extension OllamaRequestWriter {
    /// The request. The writer is spent afterwards.
    ///
    /// The prompt goes on its own (`raw`), as the API promises and llama-server does it: the model
    /// continues the text instead of answering it. With a suffix it cannot: only the model's
    /// template knows how to fill in. A client or a route can say `raw: false`, which gives what
    /// Ollama's own `/v1/completions` gives.
    consuming func writeGenerate(
        _ request: TextCompletionRequest
    ) throws(APIError) -> UpstreamRequest {
        try TextCompletionFields.refuse(parameters, for: .ollama)
        body.append(#"{"model":"#)
        body.append(string: target.upstreamModel)
        body.append(#","stream":true,"prompt":"#)
        try writePrompt(request)
        let hasSuffix = try writeSuffix()
        try writeRaw(hasSuffix: hasSuffix)
        // Unset means on, also for raw prompts: tags the model writes would be cut out of the text.
        body.append(#","think":false"#)
        try writeCompletionLogprobs()
        writeExtensions()
        try writeOptions()
        body.append("}")
        reportIgnoredCompletionFields(request)
        return UpstreamRequest(path: "/api/generate", body: body.finish(), ignored: ignored.names)
    }

    /// One text. An empty one would only load the model.
    private mutating func writePrompt(_ request: TextCompletionRequest) throws(APIError) {
        guard let value = request["prompt"] else { throw .missingField("prompt") }
        let text: JSONText
        switch request.prompt {
        case .text: text = value
        case .texts(1): text = value.elements[0]
        case .texts:
            throw .unsupported("prompt", "can only be one text here: Ollama gives one choice")
        case .tokens, .tokenLists:
            throw .unsupported("prompt", "can only be text here: Ollama takes no tokens")
        case .mixed: throw .unsupported("prompt", RequestInput.whyNotMixed)
        }
        guard !text.contents.isEmpty else {
            throw .invalidValue("prompt", "must not be empty here")
        }
        body.append(client: text.range)
    }

    private mutating func writeSuffix() throws(APIError) -> Bool {
        guard let suffix = parameters["suffix"], !isEmptyValue(suffix.value) else { return false }
        if target.ollama.isKnown, !target.ollama.insert {
            throw .unsupported("suffix", "cannot be used here: this model does not fill in")
        }
        body.append(#","suffix":"#)
        append(suffix)
        return true
    }

    private mutating func writeRaw(hasSuffix: Bool) throws(APIError) {
        guard let raw = parameters["raw"] else {
            return body.append(hasSuffix ? #","raw":false"# : #","raw":true"#)
        }
        guard let flag = raw.value.bool else {
            throw .invalidValue(raw.path, "must be true or false")
        }
        if flag, hasSuffix { throw .invalidValue("suffix", "cannot be used with 'raw': true") }
        body.append(flag ? #","raw":true"# : #","raw":false"#)
    }

    /// A number asks for so many alternatives beside the chosen token's own.
    private mutating func writeCompletionLogprobs() throws(APIError) {
        guard let top = parameters["logprobs"]?.value.int else { return }
        guard (0...20).contains(top) else {
            throw .invalidValue("logprobs", "must be between 0 and 20")
        }
        guard target.ollama.supportsLogprobs else { return ignored.insert("logprobs") }
        body.append(#","logprobs":true"#)
        if top > 0 { body.append(Array(#","top_logprobs":\#(top)"#.utf8)) }
    }

    /// The names that were looked at above, or by other means.
    private static let handledHere: Set<String> = [
        "echo", "logprobs", "max_tokens", "max_completion_tokens", "model", "n", "n_predict",
        "num_predict", "options", "prompt", "raw", "stop", "stream", "stream_options", "suffix",
    ]

    /// Names what was not sent: OpenAI's fields that Ollama has nothing for, and every field that
    /// is not known here.
    private mutating func reportIgnoredCompletionFields(_ request: TextCompletionRequest) {
        for entry in parameters.entries where !isEmptyValue(entry.value) && !isOption(entry) {
            if Self.handledHere.contains(entry.name) { continue }
            if Self.extensions.contains(entry.name), !entry.isOption { continue }
            // That is what is sent anyway.
            if entry.name == "think", entry.value.bool == false { continue }
            if TextCompletionFields.rule(entry.name)?.isHarmless(entry.value) == true { continue }
            ignored.insert(entry.path)
        }
    }
}
