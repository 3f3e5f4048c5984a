// Writes a chat request for Ollama's native `POST /api/chat`.

import Chat
import JSON

/// Builds the native request: wire notes of Ollama, sections 3 (what it takes) and 6.1 (what its
/// own `/v1` loses).
struct OllamaRequestWriter {
    /// The messages of a chat; `nil` for other requests.
    private let messages: JSONText?
    let target: RequestTarget
    let parameters: RequestParameters
    var body: RequestBody
    var ignored = IgnoredFields()

    init(_ request: some CheckedRequest, _ target: RequestTarget) {
        messages = request["messages"]
        self.target = target
        parameters = RequestParameters(request, target)
        body = RequestBody(client: request.json.source)
    }

    /// The request. The writer is spent afterwards.
    consuming func write() throws(APIError) -> UpstreamRequest {
        try refuse()
        // The order is free; the large parts come early, so that what follows them makes one piece.
        body.append(#"{"model":"#)
        body.append(string: target.upstreamModel)
        body.append(#","stream":true"#)
        try writeMessages()
        let hasTools = try writeTools()
        try writeFormat()
        try writeThink()
        try writeLogprobs(withTools: hasTools)
        writeExtensions()
        try writeOptions()
        body.append("}")
        reportIgnored()
        return UpstreamRequest(path: "/api/chat", body: body.finish(), ignored: ignored.names)
    }

    /// What would change the meaning of the answer if it were left out.
    private func refuse() throws(APIError) {
        if let choices = parameters["n"]?.value.int, choices > 1 {
            throw .unsupported("n", "cannot be more than 1 here: Ollama gives one choice")
        }
        if let modalities = parameters["modalities"]?.value,
            !modalities.elements.allSatisfy({ $0.isString("text") })
        {
            throw .unsupported("modalities", #"can only be ["text"] here: Ollama writes text"#)
        }
    }

    /// Appends the entry's value: by reference if it lies in the client's body.
    mutating func append(_ entry: RequestParameters.Entry) {
        if entry.isClients {
            body.append(client: entry.value.range)
        } else {
            body.append(Array(entry.value.bytes))
        }
    }

    /// The messages have a writer of their own, which goes on with this one's body and report.
    private mutating func writeMessages() throws(APIError) {
        body.append(#","messages":["#)
        var writer = OllamaRequestMessages(target, body, ignored)
        for (index, message) in (messages?.elements ?? []).enumerated() {
            try writer.append(message, index)
        }
        body = writer.body
        ignored = writer.ignored
        body.append("]")
    }

    /// The tools that `tool_choice` leaves. Returns whether there are any.
    private mutating func writeTools() throws(APIError) -> Bool {
        let choice = try ToolChoice(parameters["tool_choice"]?.value)
        guard choice != .none, let entry = parameters["tools"], entry.value.kind == .array else {
            if choice != .none { try checkChoiceWithoutTools(choice) }
            return false
        }
        let tools = try choice.select(from: entry.value) ?? entry.value.elements
        guard !tools.isEmpty else { return false }
        let capabilities = target.ollama
        if capabilities.isKnown, !capabilities.tools {
            throw .unsupported("tools", "cannot be used here: this model does not support tools")
        }
        for (index, tool) in tools.enumerated() {
            body.append(index == 0 ? #","tools":["# : ",")
            if tool["type"]?.isString("function") != true {
                throw .unsupported("tools", "can only hold functions here")
            }
            if entry.isClients {
                body.append(client: tool.range)
            } else {
                body.append(Array(tool.bytes))
            }
            // Ollama reads tools into a fixed struct that has no such member.
            if tool["function"]?["strict"]?.bool == true { ignored.insert("tools.strict") }
        }
        body.append("]")
        switch choice {
        // Nothing in the native API makes the model call.
        case .required, .other, .only(_, isForced: true): ignored.insert("tool_choice")
        case .auto, .none, .only: break
        }
        return true
    }

    /// A choice that names a function needs it; the others say nothing where there are no tools.
    private func checkChoiceWithoutTools(_ choice: ToolChoice) throws(APIError) {
        _ = try choice.select(from: nil)
    }

    /// `format`. Unknown types are refused: Ollama's own `/v1` passes over them, and the answer
    /// would be no JSON.
    mutating func writeFormat() throws(APIError) {
        guard let entry = parameters["response_format"] else { return }
        let format = entry.value
        var schema: JSONText?
        switch format["type"]?.string {
        case "text": return
        // llama-server's form: a JSON object may come with a schema. Ollama has one field for both.
        case "json_object": schema = format["schema"]
        case "json_schema":
            schema = format["json_schema"]?["schema"]
            guard let schema, !schema.isNull else {
                throw .missingField("response_format.json_schema.schema")
            }
        default:
            throw .invalidValue(
                "response_format.type", #"must be "text", "json_object" or "json_schema""#)
        }
        body.append(#","format":"#)
        guard let schema, !schema.isNull else { return body.append(#""json""#) }
        guard schema.kind == .object else {
            throw .invalidValue("response_format.json_schema.schema", "must be an object")
        }
        if entry.isClients {
            body.append(client: schema.range)
        } else {
            body.append(Array(schema.bytes))
        }
    }

    /// `logprobs`, with the checks OpenAI and llama-server make.
    private mutating func writeLogprobs(withTools hasTools: Bool) throws(APIError) {
        let top = parameters["top_logprobs"]?.value.int ?? 0
        guard parameters["logprobs"]?.value.bool == true else {
            guard top == 0 else {
                throw .invalidValue("top_logprobs", "needs 'logprobs' to be true")
            }
            return
        }
        guard (0...20).contains(top) else {
            throw .invalidValue("top_logprobs", "must be between 0 and 20")
        }
        let capabilities = target.ollama
        // Some engines refuse the pair with 400; of the two the calls matter more.
        guard capabilities.supportsLogprobs, !hasTools || capabilities.takesLogprobsWithTools else {
            ignored.insert("logprobs")
            if top > 0 { ignored.insert("top_logprobs") }
            return
        }
        body.append(#","logprobs":true"#)
        guard top > 0 else { return }
        body.append(Array(#","top_logprobs":\#(top)"#.utf8))
    }
}
