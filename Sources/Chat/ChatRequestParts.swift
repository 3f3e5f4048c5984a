// Walks the content parts and tool calls of a message.

import JSON

extension MessageScan {
    /// Content as an array of parts.
    mutating func walkParts(_ walker: inout RequestWalker) throws(APIError) {
        let path = "messages[\(messages.count - 1)].content"
        var index = 0
        walker.enterArray()
        while walker.nextElement() {
            try walkPart(&walker, "\(path)[\(index)]")
            index += 1
        }
    }

    /// One part. Its members may stand in any order, so they are held to its type once all were
    /// seen.
    private mutating func walkPart(
        _ walker: inout RequestWalker, _ path: String
    ) throws(APIError) {
        guard walker.peekKind() == .object else { throw .invalidValue(path, "must be an object") }
        var type: String?
        var typeKind = JSONKind.null
        var kinds: [String: JSONKind] = [:]
        var urlKind = JSONKind.null
        // Where the words of a refusal, or an address without an object around it, stand.
        var texts: [String: Range<Int>] = [:]
        let start = walker.offset
        walker.enterObject()
        while let name = walker.nextMember() {
            let kind = walker.peekKind()
            kinds[name] = kind
            switch (name, kind) {
            case ("type", _):
                typeKind = kind
                type = walker.shortString()
            case ("image_url", .object): urlKind = Self.walkURL(&walker)
            case ("image_url", _), ("refusal", _): texts[name] = walker.skip()
            default: walker.skip()
            }
        }
        guard typeKind != .null else { throw .missingField("\(path).type") }
        guard typeKind == .string else {
            throw .invalidValue("\(path).type", "must be a string")
        }
        switch type {
        case "text": try Self.require(kinds, "text", [.string], path)
        case "refusal":
            try Self.require(kinds, "refusal", [.string], path)
            guard let words = texts["refusal"] else { break }
            repairs += MessageRepair.refusalPart(start..<walker.offset, words: words)
        case "input_audio":
            try Self.require(kinds, "input_audio", [.object], path)
            hasAudio = true
        case "image_url":
            try Self.require(kinds, "image_url", [.object, .string], path)
            if kinds["image_url"] == .object, urlKind != .string {
                let path = "\(path).image_url.url"
                throw urlKind == .null
                    ? .missingField(path) : .invalidValue(path, "must be a string")
            }
            if kinds["image_url"] == .string, let url = texts["image_url"] {
                repairs += MessageRepair.imageURL(url)
            }
            hasImages = true
        // Parts of other types are the backend's affair: there will be new ones.
        default: break
        }
    }

    /// The kind of the `url` in an image's object; null if there is none.
    private static func walkURL(_ walker: inout RequestWalker) -> JSONKind {
        var kind = JSONKind.null
        walker.enterObject()
        while let name = walker.nextMember() {
            if name == "url" { kind = walker.peekKind() }
            walker.skip()
        }
        return kind
    }

    /// Throws unless `name` was found and is of an allowed kind, the first of which the message
    /// names.
    private static func require(
        _ found: [String: JSONKind], _ name: String, _ allowed: [JSONKind], _ path: String
    ) throws(APIError) {
        let kind = found[name] ?? .null
        if allowed.contains(kind) { return }
        guard kind != .null else { throw .missingField("\(path).\(name)") }
        let what = allowed.first == .string ? "a string" : "an object"
        throw .invalidValue("\(path).\(name)", "must be \(what)")
    }

    /// The calls of an assistant's turn.
    mutating func walkToolCalls(_ walker: inout RequestWalker) throws(APIError) {
        let path = "messages[\(messages.count - 1)].tool_calls"
        var index = 0
        walker.enterArray()
        while walker.nextElement() {
            try walkToolCall(&walker, "\(path)[\(index)]")
            index += 1
        }
    }

    /// One call: an id, and a function by name with its arguments.
    private mutating func walkToolCall(
        _ walker: inout RequestWalker, _ path: String
    ) throws(APIError) {
        guard walker.peekKind() == .object else { throw .invalidValue(path, "must be an object") }
        let start = walker.offset + 1
        var function: Function?
        var kinds: [String: JSONKind] = [:]
        var nulls: [String: Range<Int>] = [:]
        walker.enterObject()
        while let name = walker.nextMember() {
            let kind = walker.peekKind()
            kinds[name] = kind
            if name == "function", kind == .object {
                function = Self.walkFunction(&walker)
            } else {
                let range = walker.skip()
                nulls[name] = kind == .null ? range : nil
            }
        }
        // A call of another kind (`custom`) is for upstreams that know it.
        if kinds["function"] == nil, kinds["custom"] != nil { return }
        try Self.require(kinds, "function", [.object], path)
        if kinds["id"] != .null, kinds["id"] != nil {
            try Self.require(kinds, "id", [.string], path)
        }
        if let id = nulls["id"] { repairs.append(.nullText(id)) }
        if kinds["type"] == nil || kinds["type"] == .null {
            repairs.append(.callType(nulls["type"] ?? start..<start))
        }
        guard let function else { return }
        try Self.require(function.kinds, "name", [.string], "\(path).function")
        try check(function, "\(path).function", walker)
    }

    /// The arguments may be an object, too: llama-server takes one, and clients of Ollama send it.
    private mutating func check(
        _ function: Function, _ path: String, _ walker: RequestWalker
    ) throws(APIError) {
        let inside = function.start..<function.start
        guard let arguments = function.arguments else {
            return repairs.append(.arguments(inside))
        }
        // Some clients send nothing, or white space, for a call without arguments.
        if walker.isBlank(arguments) { return repairs.append(.arguments(arguments)) }
        try Self.require(function.kinds, "arguments", [.string, .object], path)
    }

    /// What is known of the function of a call.
    struct Function {
        /// Behind the brace that opens it.
        fileprivate(set) var start: Int
        fileprivate(set) var kinds: [String: JSONKind] = [:]
        fileprivate(set) var name: Range<Int>?
        fileprivate(set) var arguments: Range<Int>?
    }

    /// Walks the function of a call, before which `walker` stands.
    static func walkFunction(_ walker: inout RequestWalker) -> Function {
        walker.enterObject()
        var function = Function(start: walker.offset)
        while let name = walker.nextMember() {
            function.kinds[name] = walker.peekKind()
            let range = walker.skip()
            if name == "arguments" { function.arguments = range }
            if name == "name" { function.name = range }
        }
        return function
    }
}
