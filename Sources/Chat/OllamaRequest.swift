// A request of Ollama's native API as the client wrote it: checked once, then read in place.

public import JSON

/// The body of a `POST` to one of Ollama's own paths, known to be well formed and of the right
/// types.
///
/// Values mean what Ollama's reference says; `null` means absent, and of duplicate keys the last
/// one counts.
public struct OllamaRequest: CheckedRequest {
    /// What is asked for.
    public enum Endpoint: String, CaseIterable, Sendable {
        case chat, generate, embed, embeddings

        /// The path at an Ollama.
        public var path: String { "/api/\(rawValue)" }

        /// Whether the answer may be a stream.
        public var hasStream: Bool { self == .chat || self == .generate }
    }

    private let object: RequestObject
    /// What is asked for.
    public let endpoint: Endpoint

    /// Checks `body`: JSON, UTF-8, depth, and the type of every field that Ollama knows.
    ///
    /// - Throws: `invalid_json` or `invalid_value`, the latter with `param`.
    public init(reading body: [UInt8], _ endpoint: Endpoint) throws(APIError) {
        self.endpoint = endpoint
        object = try RequestObject(reading: body, Self.fields(endpoint))
        if let think = object["think"], think.bool == nil, !Self.isLevel(think) {
            throw .invalidValue(
                "think", #"must be true, false, "low", "medium", "high" or "max""#)
        }
        if let time = object["keep_alive"], time.kind != .number, time.kind != .string {
            throw .invalidValue("keep_alive", "must be a number of seconds or a duration")
        }
        if let format = object["format"], format.kind == .string, !Self.isFormat(format) {
            throw .invalidValue("format", #"must be "json" or a schema"#)
        }
        if let top = object["top_logprobs"]?.int, !(0...20).contains(top) {
            throw .invalidValue("top_logprobs", "must be between 0 and 20")
        }
        try checkMessages()
        try Self.checkTexts(object["images"], "images")
        if let tools = object["tools"] { try checkTools(tools) }
        if endpoint == .embed, let input = object["input"], !Self.isNothing(input) {
            switch try RequestInput(input, "input") {
            case .text, .texts: break
            case .tokens, .tokenLists, .mixed:
                throw .invalidValue("input", "must be a string or an array of strings")
            }
        }
    }

    private static func isLevel(_ value: JSONText) -> Bool {
        ["low", "medium", "high", "max"].contains { value.isString($0) }
    }

    private static func isFormat(_ value: JSONText) -> Bool {
        value.isString("json") || value.contents.isEmpty
    }

    /// Whether a value says nothing: `""` or `[]`.
    private static func isNothing(_ value: JSONText) -> Bool {
        value.kind == .array ? value.elements.isEmpty : value.isString("")
    }
}

// The messages and tools.
extension OllamaRequest {
    private func checkMessages() throws(APIError) {
        guard let messages = object["messages"] else { return }
        for (index, message) in messages.elements.enumerated() {
            let path = "messages[\(index)]"
            guard message.kind == .object else { throw .invalidValue(path, "must be an object") }
            for member in message.members where !member.value.isNull {
                try Self.check(member, path)
            }
            guard message["role"]?.kind == .string else { throw .missingField("\(path).role") }
        }
    }

    private static func check(_ member: JSONText.Member, _ path: String) throws(APIError) {
        let value = member.value
        let name = member.key.string ?? ""
        switch name {
        case "role", "content", "thinking", "tool_name", "tool_call_id":
            guard value.kind == .string else {
                throw .invalidValue("\(path).\(name)", "must be a string")
            }
        case "images": try checkTexts(value, "\(path).images")
        case "tool_calls":
            guard value.kind == .array else {
                throw .invalidValue("\(path).tool_calls", "must be an array")
            }
            for (index, call) in value.elements.enumerated() {
                try check(call: call, "\(path).tool_calls[\(index)].function")
            }
        default: break
        }
    }

    private static func check(call: JSONText, _ path: String) throws(APIError) {
        guard let function = call["function"], function.kind == .object else {
            throw .missingField(path)
        }
        guard function["name"]?.kind == .string else { throw .missingField("\(path).name") }
        guard let arguments = function["arguments"], !arguments.isNull else { return }
        guard arguments.kind == .object else {
            throw .invalidValue("\(path).arguments", "must be an object")
        }
    }

    private static func checkTexts(_ value: JSONText?, _ path: String) throws(APIError) {
        guard let value else { return }
        guard value.kind == .array, value.elements.allSatisfy({ $0.kind == .string }) else {
            throw .invalidValue(path, "must be an array of base64 strings")
        }
    }

    private func checkTools(_ tools: JSONText) throws(APIError) {
        for (index, tool) in tools.elements.enumerated() {
            guard tool["function"]?["name"]?.kind == .string else {
                throw .missingField("tools[\(index)].function.name")
            }
        }
    }
}

// What routing, the session and the answer need to know.
extension OllamaRequest {
    /// Whether the answer is to be a stream of lines, which is Ollama's default.
    public var wantsStream: Bool { endpoint.hasStream && self["stream"]?.bool ?? true }

    /// Whether nothing is asked: the model is only to be loaded, or with a `keep_alive` of 0
    /// unloaded.
    public var isEmpty: Bool {
        switch endpoint {
        case .chat: self["messages"]?.elements.isEmpty ?? true
        case .generate, .embeddings: self["prompt"].map(Self.isNothing) ?? true
        case .embed: self["input"].map(Self.isNothing) ?? true
        }
    }

    /// Whether the model is to be unloaded at once.
    public var unloads: Bool {
        guard let time = self["keep_alive"] else { return false }
        return time.double == 0 || ["0", "0s", "0m", "0h"].contains { time.isString($0) }
    }

    /// Whether the prompt goes to the model as it is, without its template.
    public var isRaw: Bool { endpoint == .generate && self["raw"]?.bool ?? false }

    /// The text that is to follow the answer; `nil` without one.
    public var suffix: JSONText? {
        self["suffix"].flatMap { $0.contents.isEmpty ? nil : $0 }
    }

    /// How many texts are to be embedded.
    public var inputCount: Int {
        guard endpoint == .embed, let input = self["input"], input.kind == .array else { return 1 }
        return input.elements.count
    }
}

// The body as a request writer reads it.
extension OllamaRequest {
    /// The whole body.
    public var json: JSONText { object.json }
    /// The top-level members in the client's order, duplicates included.
    public var members: [JSONText.Member] { object.members }
    /// The names of `members`, escapes undone.
    public var names: [String] { object.names }
    /// Whether the member at `index` is the one that counts for its name.
    public func isLast(_ index: Int) -> Bool { object.isLast(index) }
    /// The value of a top-level field; `nil` if it is absent or null.
    public subscript(field: String) -> JSONText? { object[field] }
}

// The types of fields.
extension OllamaRequest {
    /// The names of the fields that are read, in the alphabet's order.
    public static func knownFields(_ endpoint: Endpoint) -> [String] {
        let others =
            switch endpoint {
            case .chat, .generate: ["keep_alive", "think"]
            case .embed: ["input", "keep_alive"]
            case .embeddings: ["keep_alive"]
            }
        return (fields(endpoint).map(\.name) + others).sorted()
    }

    private static func fields(_ endpoint: Endpoint) -> [ChatRequest.Field] {
        let all: [ChatRequest.Field] = [.init("model", .string), .init("options", .object)]
        let streamed: [ChatRequest.Field] = [
            .init("format", .stringOrObject), .init("logprobs", .bool), .init("shift", .bool),
            .init("stream", .bool), .init("top_logprobs", .integer), .init("truncate", .bool),
        ]
        switch endpoint {
        case .chat:
            return all + streamed + [.init("messages", .array), .init("tools", .array)]
        case .generate:
            return all + streamed + [
                .init("context", .array), .init("images", .array), .init("prompt", .string),
                .init("raw", .bool), .init("suffix", .string), .init("system", .string),
                .init("template", .string),
            ]
        case .embed: return all + [.init("dimensions", .integer), .init("truncate", .bool)]
        case .embeddings: return all + [.init("prompt", .string)]
        }
    }
}
