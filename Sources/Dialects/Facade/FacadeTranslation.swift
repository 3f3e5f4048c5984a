// Ollama's requests in OpenAI's words, for backends that do not speak Ollama's.

public import Chat
import JSON

/// One request of Ollama's API, written for whichever backends may serve it.
///
/// What is translated is kept: a request may have to be written for several backends of one kind,
/// and again while it waits.
public struct FacadeTranslation: Sendable {
    private let request: OllamaRequest
    private var translated: [UpstreamKind: Translated] = [:]

    private enum Translated: Sendable {
        case chat(ChatRequest, ignored: [String])
        case text(TextCompletionRequest, ignored: [String])
        case embedding(EmbeddingRequest, ignored: [String])
    }

    /// Begins with nothing translated.
    public init(_ request: OllamaRequest) { self.request = request }

    /// Writes the request for a backend of `target`'s kind.
    ///
    /// - Throws: `unsupported_parameter` or `invalid_value` where ignoring a field would change
    /// what the answer means. Another backend of a pool may still take the request.
    public mutating func makeUpstreamRequest(
        for target: RequestTarget
    ) throws(APIError) -> UpstreamRequest {
        var target = target
        if !request.endpoint.hasStream { target.rules = target.rules.forEmbeddings }
        guard target.kind != .ollama else {
            return try OllamaRequestWriter(request, target).writeRelay(request)
        }
        // An Ollama can be told to load a model; other servers have theirs, or fetch it unasked.
        guard !request.isEmpty else {
            throw .unsupported("model", "cannot be loaded here: only an Ollama does that")
        }
        switch try translation(for: target.kind) {
        case .chat(let chat, let ignored):
            return try Dialects.makeUpstreamRequest(chat, for: target)
                .of(chat.json.source, alsoIgnoring: ignored)
        case .text(let text, let ignored):
            return try Dialects.makeUpstreamRequest(text, for: target)
                .of(text.json.source, alsoIgnoring: ignored)
        case .embedding(let embedding, let ignored):
            return try Dialects.makeUpstreamRequest(embedding, for: target)
                .of(embedding.json.source, alsoIgnoring: ignored)
        }
    }

    private mutating func translation(for kind: UpstreamKind) throws(APIError) -> Translated {
        if let known = translated[kind] { return known }
        let new = try translate(for: kind)
        translated[kind] = new
        return new
    }

    private func translate(for kind: UpstreamKind) throws(APIError) -> Translated {
        var writer = FacadeWriter(request, kind)
        switch request.endpoint {
        case .chat, .generate:
            guard request.isText else {
                try writer.writeChat()
                return .chat(
                    try ChatRequest(reading: writer.body), ignored: writer.ignored.names)
            }
            try writer.writeText()
            return .text(
                try TextCompletionRequest(reading: writer.body), ignored: writer.ignored.names)
        case .embed, .embeddings:
            writer.writeEmbedding()
            return .embedding(
                try EmbeddingRequest(reading: writer.body), ignored: writer.ignored.names)
        }
    }
}

extension OllamaRequest {
    /// Whether OpenAI's word for it is a text completion: a prompt without template, or one with
    /// something to come after it.
    var isText: Bool { isRaw || endpoint == .generate && suffix != nil }
}

/// Writes one request in OpenAI's words. Values of the client's that keep their form are copied as
/// they stand, escapes and all.
struct FacadeWriter {
    let request: OllamaRequest
    let kind: UpstreamKind
    /// The JSON so far.
    var body: [UInt8] = [UInt8(ascii: "{")]
    var ignored = IgnoredFields()

    init(_ request: OllamaRequest, _ kind: UpstreamKind) {
        self.request = request
        self.kind = kind
    }

    /// A chat; of a generation its system text and its prompt are the messages.
    mutating func writeChat() throws(APIError) {
        try refuse()
        writeCommon()
        var messages = FacadeMessages(kind)
        if let list = request["messages"] {
            for message in list.elements { messages.append(message) }
        } else {
            messages.append(system: request["system"], prompt: request["prompt"], request["images"])
        }
        for name in messages.ignored { ignored.insert(name) }
        name("messages")
        body += messages.finish()
        writeTools()
        writeFormat()
        writeThink()
        writeLogprobs()
        try writeOptions()
        body.append(UInt8(ascii: "}"))
        reportIgnored()
    }

    /// A text completion.
    mutating func writeText() throws(APIError) {
        try refuse()
        if request["images"]?.elements.isEmpty == false {
            throw .unsupported("images", "cannot be used with 'raw' or 'suffix' here")
        }
        writeCommon()
        member("prompt", request["prompt"])
        member("suffix", request.suffix)
        writeFormat()
        try writeOptions()
        body.append(UInt8(ascii: "}"))
        if let system = request["system"], !isEmptyValue(system) { ignored.insert("system") }
        // OpenAI's completions have them in another form, and thoughts not at all.
        if request["logprobs"]?.bool == true { ignored.insert("logprobs") }
        if request["think"]?.bool != false, request["think"] != nil { ignored.insert("think") }
        reportIgnored()
    }

    /// Embeddings of one text or of several.
    mutating func writeEmbedding() {
        member("model", request["model"])
        member("input", request[request.endpoint == .embed ? "input" : "prompt"])
        member("dimensions", request["dimensions"])
        body.append(UInt8(ascii: "}"))
        reportIgnored()
    }

    // MARK: - Parts

    private func refuse() throws(APIError) {
        for rule in FacadeFields.table(request.endpoint) where rule.handling(for: kind) == .refused
        {
            guard let value = request[rule.name], !rule.isHarmless(value) else { continue }
            throw .unsupported(rule.name, "cannot be used here: only Ollama knows it")
        }
    }

    private mutating func writeCommon() {
        member("model", request["model"])
        name("stream")
        body.append("true")
    }

    /// Ollama's tools are OpenAI's, but that the type may be missing.
    private mutating func writeTools() {
        guard let tools = request["tools"]?.elements, !tools.isEmpty else { return }
        name("tools")
        body.append(UInt8(ascii: "["))
        for (index, tool) in tools.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            guard tool["type"] == nil || tool["type"]?.isNull == true else {
                body += tool.bytes
                continue
            }
            body.append(#"{"type":"function","function":"#)
            body += tool["function"]?.bytes ?? []
            body.append(UInt8(ascii: "}"))
        }
        body.append(UInt8(ascii: "]"))
    }

    private mutating func writeFormat() {
        guard let format = request["format"], !isEmptyValue(format) else { return }
        // llama-server's completions take the schema under its own name.
        if request.isText, kind == .llamaServer {
            name("json_schema")
            guard format.kind == .object else { return body.append(#"{"type":"object"}"#) }
            body += format.bytes
            return
        }
        name("response_format")
        guard format.kind == .object else { return body.append(#"{"type":"json_object"}"#) }
        body.append(#"{"type":"json_schema","json_schema":{"name":"answer","schema":"#)
        body += format.bytes
        body.append("}}")
    }

    /// llama-server's templates take thinking as a variable, and some models its depth. Elsewhere
    /// only the depth has a name.
    private mutating func writeThink() {
        guard let think = request["think"] else { return }
        if kind == .llamaServer {
            name("chat_template_kwargs")
            body.append(
                think.bool == false ? #"{"enable_thinking":false}"# : #"{"enable_thinking":true}"#)
        } else if think.bool == false {
            ignored.insert("think")
        }
        guard think.kind == .string else { return }
        name("reasoning_effort")
        // OpenAI knows no more than "high".
        if think.isString("max") { body.append(#""high""#) } else { body += think.bytes }
    }

    private mutating func writeLogprobs() {
        guard request["logprobs"]?.bool == true else { return }
        // llama-server refuses the pair in a stream; of the two the calls matter more.
        if kind == .llamaServer, request["tools"]?.elements.isEmpty == false {
            return ignored.insert("logprobs")
        }
        name("logprobs")
        body.append("true")
        if let top = request["top_logprobs"], top.int != 0 { member("top_logprobs", top) }
    }

    /// Names what was not sent.
    private mutating func reportIgnored() {
        let table = FacadeFields.table(request.endpoint)
        for (index, name) in request.names.enumerated() where request.isLast(index) {
            let value = request.members[index].value
            guard !isEmptyValue(value) else { continue }
            guard let rule = table.first(where: { $0.name == name }) else {
                ignored.insert(name)
                continue
            }
            if rule.handling(for: kind) == .ignored, !rule.isHarmless(value) {
                ignored.insert(name)
            }
        }
    }

    /// Appends a member's name and colon.
    mutating func name(_ name: StaticString) {
        if body.count > 1 { body.append(UInt8(ascii: ",")) }
        body.append(UInt8(ascii: "\""))
        body.append(name)
        body.append("\":")
    }

    /// Appends a member as the client wrote its value, if it did.
    mutating func member(_ name: StaticString, _ value: JSONText?) {
        guard let value else { return }
        self.name(name)
        body += value.bytes
    }
}
