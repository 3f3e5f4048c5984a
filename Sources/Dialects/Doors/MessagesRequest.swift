// What a request at /v1/messages needs otherwise at llama-server.

import Chat
import JSON

extension DoorRequestWriter {
    /// All changes are for llama-server.
    mutating func writeMessages() throws(APIError) {
        guard target.kind == .llamaServer else { return }
        try refuseContents()
        chooseMessagesTools()
        // It passes over the word, and models that can think do so unless told otherwise.
        if parameters["thinking"]?.value["type"]?.isString("disabled") == true,
            parameters["chat_template_kwargs"] == nil
        {
            splice.set("chat_template_kwargs", #"{"enable_thinking":false}"#)
        }
    }

    /// llama-server leaves out the blocks it does not know; then the model would answer a question
    /// about a document it has not got.
    private func refuseContents() throws(APIError) {
        for (index, message) in (request["messages"]?.elements ?? []).enumerated() {
            for (position, block) in (message["content"]?.elements ?? []).enumerated() {
                guard let type = block["type"]?.string,
                    ["document", "search_result", "container_upload"].contains(type)
                else { continue }
                throw .unsupported(
                    "messages[\(index)].content[\(position)]",
                    "cannot be used here: llama-server does not know blocks of type '\(type)'")
            }
        }
    }

    /// Tools without a schema are known to Anthropic's models alone, or run by its servers: they
    /// are dropped and reported. A choice of one tool leaves only that one, and the choice of none
    /// none, for llama-server reads no name there.
    private mutating func chooseMessagesTools() {
        guard let tools = parameters["tools"] else { return splice.remove("tool_choice") }
        let all = tools.value.elements
        var kept: [JSONText] = []
        for tool in all {
            let type = tool["type"]?.string ?? "custom"
            if type == "custom" || tool["input_schema"] != nil {
                kept.append(tool)
            } else {
                ignored.insert("tools.\(type)")
            }
        }
        let choice = parameters["tool_choice"]?.value
        if choice?["disable_parallel_tool_use"]?.bool == true {
            ignored.insert("tool_choice.disable_parallel_tool_use")
        }
        if choice?["type"]?.isString("none") == true { kept = [] }
        if choice?["type"]?.isString("tool") == true, let name = choice?["name"]?.string {
            kept = kept.filter { $0["name"]?.isString(name) == true }
        }
        guard kept.count < all.count else { return }
        setTools(kept, tools)
    }
}
