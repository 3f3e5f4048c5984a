// What a request at /v1/responses needs otherwise at llama-server.

import Chat
import JSON

extension DoorRequestWriter {
    /// Bounds the answer for every kind of backend; all else is for llama-server.
    mutating func writeResponses() throws(APIError) {
        if let bound = responsesBound {
            let own = parameters["max_output_tokens"]?.value.int ?? -1
            if own < 0 || own > bound { splice.set("max_output_tokens", "\(bound)") }
        }
        guard target.kind == .llamaServer else { return }
        // −1 is no number of tokens in Responses, but it is in llama-server.
        try chooseTools()
        mendInput()
        formatText()
        // It refuses the field without chat's `logprobs`, and its Responses tell none.
        splice.remove("top_logprobs")
    }

    // MARK: - Tools

    /// Only functions can be called here: tools that OpenAI runs itself are dropped and reported.
    /// A choice of certain functions leaves only these, for llama-server reads a choice as a word
    /// (wire notes, section 3).
    private mutating func chooseTools() throws(APIError) {
        guard let tools = parameters["tools"] else { return splice.remove("tool_choice") }
        var kept: [JSONText] = []
        for (index, tool) in tools.value.elements.enumerated() {
            guard let type = tool["type"]?.string else {
                throw .missingField("tools[\(index)].type")
            }
            if type == "function" {
                kept.append(tool)
            } else {
                ignored.insert("tools.\(type)")
            }
        }
        let choice = parameters["tool_choice"]?.value
        var isChanged = kept.count < tools.value.elements.count
        if let choice, choice.kind == .object, let names = chosenFunctions(choice) {
            kept = kept.filter { tool in tool["name"]?.string.map(names.contains) == true }
            guard !kept.isEmpty else {
                throw .invalidValue("tool_choice", "names a function that is not in 'tools'")
            }
            isChanged = true
            let isForced =
                choice["type"]?.isString("function") == true
                || choice["mode"]?.isString("required") == true
            splice.set("tool_choice", isForced ? #""required""# : #""auto""#)
        } else if choice?.kind == .object {
            // One of the tools that are not here.
            ignored.insert("tool_choice")
            splice.remove("tool_choice")
        }
        guard isChanged else { return }
        setTools(kept, tools)
    }

    /// The functions that an object chooses; `nil` if it chooses another kind of tool.
    private func chosenFunctions(_ choice: JSONText) -> Set<String>? {
        if choice["type"]?.isString("function") == true {
            return choice["name"]?.string.map { [$0] }
        }
        guard choice["type"]?.isString("allowed_tools") == true else { return nil }
        return Set(choice["tools"]?.elements.compactMap { $0["name"]?.string } ?? [])
    }

    /// Sends these of the tools; without any, no choice either.
    mutating func setTools(_ kept: [JSONText], _ tools: RequestParameters.Entry) {
        guard !kept.isEmpty else {
            splice.remove("tools")
            return splice.remove("tool_choice")
        }
        splice.set("tools", array(kept.map { [part($0, of: tools)] }))
    }

    // MARK: - Input

    /// llama-server wants a type where OpenAI does not, and refuses histories with traces of
    /// tools or thoughts that only their own server can read.
    private mutating func mendInput() {
        guard let input = parameters["input"], input.value.kind == .array else { return }
        var items: [[BodyPart]] = []
        var isChanged = false
        for item in input.value.elements {
            let type = item["type"]?.string
            if let type, isForeign(item, type) {
                ignored.insert("input.\(type)")
                isChanged = true
            } else if type == nil, item.kind == .object, item["role"]?.isString("assistant") == true
            {
                let open = item.range.lowerBound + 1
                items.append([
                    .bytes(Array(#"{"type":"message","#.utf8)),
                    .client(open..<item.range.upperBound),
                ])
                isChanged = true
            } else {
                items.append([part(item, of: input)])
            }
        }
        guard isChanged, input.isClients else { return }
        splice.set("input", array(items))
    }

    /// Whether an item of the history means something only to the server that wrote it.
    private func isForeign(_ item: JSONText, _ type: String) -> Bool {
        switch type {
        case "reasoning": item["content"]?.elements.first?["text"]?.kind != .string
        case "web_search_call", "file_search_call", "code_interpreter_call",
            "image_generation_call", "mcp_call", "mcp_list_tools":
            true
        default: false
        }
    }

    // MARK: - Text

    /// llama-server passes over `text.format`, but knows chat's `response_format`.
    private mutating func formatText() {
        guard let text = parameters["text"]?.value else { return }
        if let verbosity = text["verbosity"], !verbosity.isNull, !verbosity.isString("medium") {
            ignored.insert("text.verbosity")
        }
        guard let format = text["format"], parameters["response_format"] == nil else { return }
        if format["type"]?.isString("json_object") == true {
            splice.set("response_format", #"{"type":"json_object"}"#)
        } else if format["type"]?.isString("json_schema") == true {
            splice.set(
                "response_format",
                [
                    .bytes(Array(#"{"type":"json_schema","json_schema":"#.utf8)),
                    .bytes(Array(format.bytes)), .bytes([UInt8(ascii: "}")]),
                ])
        }
    }

    // MARK: - Parts

    /// A value from where it lies.
    private func part(_ value: JSONText, of entry: RequestParameters.Entry) -> BodyPart {
        entry.isClients ? .client(value.range) : .bytes(Array(value.bytes))
    }

    private func array(_ elements: [[BodyPart]]) -> [BodyPart] {
        var parts: [BodyPart] = [.bytes([UInt8(ascii: "[")])]
        for (index, element) in elements.enumerated() {
            if index > 0 { parts.append(.bytes([UInt8(ascii: ",")])) }
            parts += element
        }
        return parts + [.bytes([UInt8(ascii: "]")])]
    }
}
