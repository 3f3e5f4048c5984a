// Writes the messages of a chat request in Ollama's native form.

import Chat
import JSON

/// Turns OpenAI's messages into Ollama's: content as one string, images beside it, arguments as
/// objects.
///
/// Text and images are sent from where they lie in the client's body, still escaped: a JSON string
/// may be cut out of one text and set into another as it is.
struct OllamaRequestMessages {
    private let target: RequestTarget
    private(set) var body: RequestBody
    private(set) var ignored: IgnoredFields
    private var isFirst = true
    /// The function of each call so far, by the call's id: Ollama wants its name beside the result.
    private var functions: [String: JSONText] = [:]

    init(_ target: RequestTarget, _ body: RequestBody, _ ignored: IgnoredFields) {
        self.target = target
        self.body = body
        self.ignored = ignored
    }

    /// Appends one message, the one at `index` of the request.
    mutating func append(_ message: JSONText, _ index: Int) throws(APIError) {
        let path = "messages[\(index)]"
        let fields = Self.fields(of: message)
        let role = try self.role(fields["role"]?.string ?? "", path)
        body.append(isFirst ? #"{"role":"# : #",{"role":"#)
        isFirst = false
        body.append(string: role)
        try writeContent(fields, path)
        writeThinking(fields)
        if let calls = fields["tool_calls"] { try writeToolCalls(calls.elements, path) }
        if let call = fields["function_call"], fields["tool_calls"] == nil {
            try writeLegacyCall(call, path)
        }
        if role == "tool" { writeToolResult(fields) }
        body.append("}")
        reportIgnored(fields, role)
    }

    /// The members of an object by name, in one walk: an image may be megabytes. Null means absent,
    /// and of duplicate keys the last one counts.
    private static func fields(of object: JSONText) -> [String: JSONText] {
        var fields: [String: JSONText] = [:]
        for member in object.members {
            fields[member.key.string ?? ""] = member.value.isNull ? nil : member.value
        }
        return fields
    }

    /// Ollama's roles. Its templates pass over a role they do not name without a word, so others
    /// are refused.
    private func role(_ role: String, _ path: String) throws(APIError) -> String {
        switch role {
        case "developer": return target.keepsDeveloperRole ? role : "system"
        case "system", "user", "assistant", "tool": return role
        case "function": return "tool"
        default:
            throw .invalidValue(
                "\(path).role", #"must be "system", "developer", "user", "assistant" or "tool""#)
        }
    }

    /// The thoughts of an earlier turn.
    private mutating func writeThinking(_ fields: [String: JSONText]) {
        guard let thinking = fields["reasoning_content"] ?? fields["reasoning"],
            thinking.kind == .string
        else { return }
        body.append(#","thinking":"#)
        body.append(client: thinking.range)
    }

    /// Which call a result answers. Frameworks send the id only, templates want the name.
    private mutating func writeToolResult(_ fields: [String: JSONText]) {
        let id = fields["tool_call_id"]
        if let id {
            body.append(#","tool_call_id":"#)
            body.append(client: id.range)
        }
        guard let name = fields["name"] ?? id?.string.flatMap({ functions[$0] }) else { return }
        body.append(#","tool_name":"#)
        body.append(client: name.range)
    }

    /// Names the fields nothing was made of, in the alphabet's order, so that the same request has
    /// the same report.
    private mutating func reportIgnored(_ fields: [String: JSONText], _ role: String) {
        for (name, value) in fields.sorted(by: { $0.key < $1.key }) where !isEmptyValue(value) {
            switch name {
            case "role", "content", "tool_calls", "function_call", "reasoning_content", "reasoning",
                "refusal":
                continue
            // Beside anything but a result these two have no place in Ollama's messages.
            case "name" where role == "tool", "tool_call_id" where role == "tool": continue
            default: ignored.insert("messages.\(name)")
            }
        }
    }
}

// Content.
extension OllamaRequestMessages {
    /// `content`, an empty one too: only the recorded version is known to do without (wire notes,
    /// section 3).
    private mutating func writeContent(
        _ fields: [String: JSONText], _ path: String
    ) throws(APIError) {
        body.append(#","content":"#)
        guard let content = fields["content"] else {
            // A refused turn has its words there instead.
            guard let refusal = fields["refusal"] else { return body.append(#""""#) }
            return body.append(client: refusal.range)
        }
        guard content.kind == .array else { return body.append(client: content.range) }
        var images: [Range<Int>] = []
        var isFirstText = true
        body.append("\"")
        for (index, part) in content.elements.enumerated() {
            let path = "\(path).content[\(index)]"
            let part = Self.fields(of: part)
            let type = part["type"]?.string
            switch type {
            case "text", "refusal":
                guard let text = part[type ?? ""], text.kind == .string else { continue }
                // As llama-server joins them. The text stays escaped as the client wrote it.
                if !isFirstText { body.append(#"\n"#) }
                isFirstText = false
                body.append(client: text.contents)
            case "image_url": images.append(try image(part, path))
            case "input_audio": images.append(try sound(part, path))
            default:
                throw .unsupported("\(path).type", "cannot be sent to Ollama: text and images can")
            }
        }
        body.append("\"")
        writeImages(images)
    }

    /// `images` stands behind the text, whatever order the parts had: Ollama knows no other.
    private mutating func writeImages(_ images: [Range<Int>]) {
        for (index, image) in images.enumerated() {
            body.append(index == 0 ? #","images":[""# : #",""#)
            body.append(client: image)
            body.append("\"")
        }
        if !images.isEmpty { body.append("]") }
    }

    /// Where the base64 text of an image part lies.
    private mutating func image(
        _ part: [String: JSONText], _ path: String
    ) throws(APIError) -> Range<Int> {
        if target.ollama.isKnown, !target.ollama.vision {
            throw .unsupported(path, "is an image, and this model does not support images")
        }
        guard let image = part["image_url"] else { throw .missingField("\(path).image_url") }
        let fields = Self.fields(of: image)
        let url = image.kind == .string ? image : fields["url"]
        let urlPath = image.kind == .string ? "\(path).image_url" : "\(path).image_url.url"
        guard let url else { throw .missingField(urlPath) }
        if let detail = fields["detail"], !isEmptyValue(detail), !detail.isString("auto") {
            ignored.insert("image_url.detail")
        }
        guard let data = Self.base64(ofDataURL: url) else {
            throw .unsupported(
                urlPath,
                "must be a data: URL with base64 here: Ollama does not fetch images")
        }
        return data
    }

    /// Where the base64 data of a sound lies. Ollama takes sounds among the images (wire notes,
    /// section 6.1).
    private func sound(
        _ part: [String: JSONText], _ path: String
    ) throws(APIError) -> Range<Int> {
        if target.ollama.isKnown, !target.ollama.audio {
            throw .unsupported(path, "is audio, and this model does not support audio")
        }
        guard let data = part["input_audio"]?["data"], data.kind == .string else {
            throw .missingField("\(path).input_audio.data")
        }
        return data.contents
    }

    /// Where the data of `data:image/png;base64,DATA` lies. It stays escaped as it is: some clients
    /// write `\/`.
    private static func base64(ofDataURL url: JSONText) -> Range<Int>? {
        let text = url.source[url.contents]
        // The part before the comma is short; more than this is no media type.
        guard let comma = text.prefix(256).firstIndex(of: UInt8(ascii: ",")) else { return nil }
        let head = String(decoding: text[..<comma], as: UTF8.self).lowercased()
        guard head.hasPrefix("data:"), head.hasSuffix(";base64") else { return nil }
        return (comma + 1)..<text.endIndex
    }
}

// Calls.
extension OllamaRequestMessages {
    /// The calls an assistant made, each remembered by its id for the result that follows.
    private mutating func writeToolCalls(_ calls: [JSONText], _ path: String) throws(APIError) {
        for (index, call) in calls.enumerated() {
            let path = "\(path).tool_calls[\(index)]"
            let function = call["function"].map(Self.fields) ?? [:]
            guard let name = function["name"] else {
                throw .unsupported(path, "must be a function call here")
            }
            body.append(index == 0 ? #","tool_calls":[{"# : ",{")
            if let id = call["id"], id.kind == .string {
                body.append(#""id":"#)
                body.append(client: id.range)
                body.append(",")
                functions[id.string ?? ""] = name
            }
            try writeFunction(name, function["arguments"], "\(path).function")
        }
        if !calls.isEmpty { body.append("]") }
    }

    /// `function_call` of the time before tools: one call without an id.
    private mutating func writeLegacyCall(_ call: JSONText, _ path: String) throws(APIError) {
        guard let name = call["name"], name.kind == .string else {
            throw .missingField("\(path).function_call.name")
        }
        body.append(#","tool_calls":[{"#)
        try writeFunction(name, call["arguments"], "\(path).function_call")
        body.append("]")
    }

    /// `"function":{…}}`, up to the end of the call.
    private mutating func writeFunction(
        _ name: JSONText, _ arguments: JSONText?, _ path: String
    ) throws(APIError) {
        body.append(#""function":{"name":"#)
        body.append(client: name.range)
        body.append(#","arguments":"#)
        if let arguments, arguments.kind == .object {
            body.append(client: arguments.range)
        } else {
            body.append(try Self.object(arguments, "\(path).arguments"))
        }
        body.append("}}")
    }

    /// The object that a string of arguments says. Nothing, or only white space, says `{}`: some
    /// clients send that for a call without arguments.
    private static func object(_ arguments: JSONText?, _ path: String) throws(APIError) -> [UInt8] {
        let text = arguments?.decodedBytes ?? []
        let isBlank = text.allSatisfy { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
        if isBlank { return Array("{}".utf8) }
        do {
            let object = try JSONText(text)
            if object.kind == .object { return Array(object.bytes) }
        } catch {
            // Told as the same fault: to the client both are a string that is no object.
        }
        throw .invalidValue(path, "must be a JSON object, written as a string")
    }
}
