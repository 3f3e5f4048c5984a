// The types of OpenAI's chat fields, as data, and how a value is held against them.

import JSON

extension ChatRequest {
    /// One field of OpenAI's reference ("Create chat completion").
    struct Field: Sendable {
        /// The name in the reference, which is also the error's `param`.
        let name: String
        /// What the value may be. Ranges of numbers are left to the backend, which knows its
        /// samplers.
        let type: FieldType

        init(_ name: String, _ type: FieldType) {
            self.name = name
            self.type = type
        }
    }

    /// What a field's value may be.
    enum FieldType: Sendable {
        case string, bool, number, integer, object, array
        case stringOrObject, objectOrArray
        /// The stop sequences: one, or an array of them.
        case stringOrStrings
        /// A number of tokens: −1 for no limit, or at least 1. Ollama runs without end on 0.
        case tokenLimit
        /// `n`: a slot each, so OpenAI's own bound is taken over.
        case choiceCount
        /// Objects whose members matter to the proxy itself.
        case streamOptions, tools, responseFormat
        /// Checked while the messages are walked.
        case messages
    }

    /// The names of all fields whose types are checked.
    public static var knownFields: [String] { fields.map(\.name) }

    /// Their names; places in it are those in `fields`.
    static let fieldNames = NameTable(knownFields)

    /// All of them, in the alphabet's order, as the table in docs/PROTOCOLS.md.
    static let fields: [Field] = [
        Field("audio", .object),
        Field("frequency_penalty", .number),
        Field("function_call", .stringOrObject),
        Field("functions", .array),
        // llama-server also takes pairs in an array.
        Field("logit_bias", .objectOrArray),
        Field("logprobs", .bool),
        Field("max_completion_tokens", .tokenLimit),
        Field("max_tokens", .tokenLimit),
        Field("messages", .messages),
        Field("metadata", .object),
        Field("modalities", .array),
        Field("model", .string),
        Field("moderation", .object),
        Field("n", .choiceCount),
        Field("parallel_tool_calls", .bool),
        Field("prediction", .object),
        Field("presence_penalty", .number),
        Field("prompt_cache_key", .string),
        Field("prompt_cache_options", .object),
        Field("prompt_cache_retention", .string),
        Field("reasoning_effort", .string),
        Field("response_format", .responseFormat),
        Field("safety_identifier", .string),
        Field("seed", .integer),
        Field("service_tier", .string),
        Field("stop", .stringOrStrings),
        Field("store", .bool),
        Field("stream", .bool),
        Field("stream_options", .streamOptions),
        Field("temperature", .number),
        Field("tool_choice", .stringOrObject),
        Field("tools", .tools),
        Field("top_logprobs", .integer),
        Field("top_p", .number),
        Field("user", .string),
        Field("verbosity", .string),
        Field("web_search_options", .object),
    ]
}

extension ChatRequest.Field {
    /// Whether `value`, which is not null, is what this field may be.
    func isFine(_ value: JSONText) -> Bool {
        do { try check(value) } catch { return false }
        return true
    }

    /// Throws `invalid_value` if `value`, which is not null, is not what this field may be.
    func check(_ value: JSONText) throws(APIError) {
        switch type {
        case .string: try require(value.kind == .string, "a string")
        case .bool: try require(value.kind == .bool, "true or false")
        case .number: try require(value.double != nil, "a number")
        case .integer: try require(value.int != nil, "an integer")
        case .object: try require(value.kind == .object, "an object")
        case .array: try require(value.kind == .array, "an array")
        case .stringOrObject:
            try require(value.kind == .string || value.kind == .object, "a string or an object")
        case .objectOrArray:
            try require(value.kind == .object || value.kind == .array, "an object")
        case .stringOrStrings:
            let isFine =
                value.kind == .string
                || value.kind == .array && value.elements.allSatisfy { $0.kind == .string }
            try require(isFine, "a string or an array of strings")
        case .tokenLimit:
            guard let limit = value.int else { return try require(false, "an integer") }
            try require(limit >= 1 || limit == -1, "at least 1, or -1 for no limit")
        case .choiceCount:
            guard let count = value.int else { return try require(false, "an integer") }
            try require((1...128).contains(count), "between 1 and 128")
        case .streamOptions: try checkStreamOptions(value)
        case .tools: try checkTools(value)
        case .responseFormat: try checkResponseFormat(value)
        case .messages: break
        }
    }

    /// Throws unless `isFine`; `what` goes on after "must be".
    private func require(_ isFine: Bool, _ what: String) throws(APIError) {
        guard isFine else { throw .invalidValue(name, "must be \(what)") }
    }

    /// `include_usage` decides how the stream ends, so a value that is neither yes nor no is an
    /// error.
    private func checkStreamOptions(_ value: JSONText) throws(APIError) {
        try require(value.kind == .object, "an object")
        guard let flag = value["include_usage"], !flag.isNull, flag.kind != .bool else { return }
        throw .invalidValue("stream_options.include_usage", "must be true or false")
    }

    /// The type must be there; which types there are is the backend's affair.
    private func checkResponseFormat(_ value: JSONText) throws(APIError) {
        try require(value.kind == .object, "an object")
        guard let type = value["type"], !type.isNull else {
            throw .missingField("response_format.type")
        }
        guard type.kind == .string else {
            throw .invalidValue("response_format.type", "must be a string")
        }
        guard type.isString("json_schema"), let schema = value["json_schema"], !schema.isNull
        else { return }
        guard schema.kind == .object else {
            throw .invalidValue("response_format.json_schema", "must be an object")
        }
    }

    /// llama-server answers a malformed tool with 500, which clients would repeat; so tools are
    /// looked at here.
    private func checkTools(_ value: JSONText) throws(APIError) {
        try require(value.kind == .array, "an array")
        for (index, tool) in value.elements.enumerated() {
            let path = "tools[\(index)]"
            guard tool.kind == .object else { throw .invalidValue(path, "must be an object") }
            let type = tool["type"]
            guard let type, !type.isNull else { throw .missingField("\(path).type") }
            guard type.kind == .string else {
                throw .invalidValue("\(path).type", "must be a string")
            }
            // OpenAI has other kinds, which only its own servers know.
            guard type.isString("function") else { continue }
            guard let function = tool["function"], !function.isNull else {
                throw .missingField("\(path).function")
            }
            guard function.kind == .object else {
                throw .invalidValue("\(path).function", "must be an object")
            }
            guard let name = function["name"], !name.isNull else {
                throw .missingField("\(path).function.name")
            }
            guard name.kind == .string else {
                throw .invalidValue("\(path).function.name", "must be a string")
            }
        }
    }
}
