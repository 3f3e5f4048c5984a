// Walks the messages of a request once: checks the types in them and notes what writers will look
// for.

import JSON

/// What one walk over the messages found.
///
/// The messages are nearly the whole of a body, so they are walked once, without a view or a string
/// for what they say. Only names and the few short values that decide something are read.
struct MessageScan {
    /// Where each message stands. While one is walked it is the last here, which gives it its index
    /// in `param`.
    private(set) var messages: [Range<Int>] = []
    private(set) var developerRoles: [Range<Int>] = []
    /// Where calls have `""` for arguments, in the order of the body.
    private(set) var emptyArguments: [Range<Int>] = []
    private(set) var hasImages = false
    private(set) var hasAudio = false

    /// Walks `json`, a request's body, which is an object.
    ///
    /// - Throws: what is wrong with the messages that count: an earlier duplicate of a field is
    /// never sent on, so its   faults do not matter either.
    static func scan(_ json: JSONText) throws(APIError) -> MessageScan {
        var walker = RequestWalker(before: json)
        var found: (scan: MessageScan, fault: APIError?)?
        var count = 0
        walker.enterObject()
        while let name = walker.nextMember() {
            count += 1
            guard count <= ChatRequest.fieldLimit else {
                throw APIError(
                    .invalidValue,
                    "The request body has more than \(ChatRequest.fieldLimit) fields.")
            }
            guard name == "messages", walker.peekKind() != .null else {
                if name == "messages" { found = nil }
                walker.skip()
                continue
            }
            // Kept instead of thrown: a later `messages` may take this one's place.
            var scan = MessageScan()
            let fault = scan.attempt(&walker) { scan, walker throws(APIError) in
                try scan.walkMessages(&walker)
            }
            found = (scan, fault)
        }
        guard let found else { throw .missingField("messages") }
        if let fault = found.fault { throw fault }
        return found.scan
    }

    /// Runs `check` over the next value. If it throws half-way, the walker still ends up behind
    /// that value.
    private mutating func attempt(
        _ walker: inout RequestWalker,
        _ check: (inout MessageScan, inout RequestWalker) throws(APIError) -> Void
    ) -> APIError? {
        let start = walker
        do {
            try check(&self, &walker)
            return nil
        } catch {
            walker = start
            walker.skip()
            return error
        }
    }

    /// An array of at least one object. llama-server would take an empty one for a prompt, Ollama
    /// for a request to load the model.
    private mutating func walkMessages(_ walker: inout RequestWalker) throws(APIError) {
        guard walker.peekKind() == .array else {
            throw .invalidValue("messages", "must be an array")
        }
        walker.enterArray()
        while walker.nextElement() {
            try walkMessage(&walker)
        }
        if messages.isEmpty { throw .invalidValue("messages", "must not be empty") }
    }

    private mutating func walkMessage(_ walker: inout RequestWalker) throws(APIError) {
        let index = messages.count
        guard walker.peekKind() == .object else {
            throw .invalidValue("messages[\(index)]", "must be an object")
        }
        var behind = walker
        messages.append(behind.skip())
        var role: Range<Int>?
        // By name, so that a later duplicate takes an earlier one's fault away.
        var faults: [String: APIError] = [:]
        var hasRole = false
        walker.enterObject()
        while let name = walker.nextMember() {
            let fault: APIError?
            if name == "role" {
                hasRole = true
                fault = walkRole(&walker, &role)
            } else {
                fault = attempt(&walker) { scan, walker throws(APIError) in
                    try scan.walkField(&walker, name)
                }
            }
            if fault != nil || !faults.isEmpty { faults[name] = fault }
        }
        if !hasRole { faults["role"] = .missingField("messages[\(index)].role") }
        if let fault = Self.first(of: faults) { throw fault }
        if let role { developerRoles.append(role) }
    }

    /// The fault to tell of several: the same one each time.
    private static func first(of faults: [String: APIError]) -> APIError? {
        faults.min { $0.key < $1.key }?.value
    }

    /// The role must be there; which words it may be is for the backend's templates.
    private func walkRole(
        _ walker: inout RequestWalker, _ developer: inout Range<Int>?
    ) -> APIError? {
        let kind = walker.peekKind()
        var text = walker
        let range = walker.skip()
        developer = kind == .string && text.shortString() == "developer" ? range : nil
        if kind == .string { return nil }
        let path = "messages[\(messages.count - 1)].role"
        return kind == .null ? .missingField(path) : .invalidValue(path, "must be a string")
    }

    /// Any other field of a message. Clients replay what they were sent, nulls and unknown fields
    /// included.
    private mutating func walkField(
        _ walker: inout RequestWalker, _ name: String
    ) throws(APIError) {
        let kind = walker.peekKind()
        // Made only for an error.
        let path = { [index = messages.count - 1] in "messages[\(index)].\(name)" }
        switch (name, kind) {
        case ("content", .array): try walkParts(&walker)
        case ("content", .string), ("content", .null): walker.skip()
        case ("content", _):
            throw .invalidValue(path(), "must be a string or an array of content parts")
        case ("tool_calls", .array): try walkToolCalls(&walker)
        case (_, .null): walker.skip()
        case ("tool_calls", _): throw .invalidValue(path(), "must be an array")
        case ("name", _), ("tool_call_id", _), ("refusal", _):
            guard kind == .string else { throw .invalidValue(path(), "must be a string") }
            walker.skip()
        case ("function_call", _), ("audio", _):
            guard kind == .object else { throw .invalidValue(path(), "must be an object") }
            walker.skip()
        default: walker.skip()
        }
    }
}

// Content parts and tool calls.
extension MessageScan {
    /// Content as an array of parts.
    private mutating func walkParts(_ walker: inout RequestWalker) throws(APIError) {
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
        walker.enterObject()
        while let name = walker.nextMember() {
            let kind = walker.peekKind()
            kinds[name] = kind
            switch (name, kind) {
            case ("type", _):
                typeKind = kind
                type = walker.shortString()
            case ("image_url", .object): urlKind = Self.walkURL(&walker)
            default: walker.skip()
            }
        }
        guard typeKind != .null else { throw .missingField("\(path).type") }
        guard typeKind == .string else {
            throw .invalidValue("\(path).type", "must be a string")
        }
        switch type {
        case "text": try Self.require(kinds, "text", [.string], path)
        case "refusal": try Self.require(kinds, "refusal", [.string], path)
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
    private mutating func walkToolCalls(_ walker: inout RequestWalker) throws(APIError) {
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
        var function: [String: JSONKind]?
        var arguments: Range<Int>?
        var kinds: [String: JSONKind] = [:]
        walker.enterObject()
        while let name = walker.nextMember() {
            let kind = walker.peekKind()
            kinds[name] = kind
            if name == "function", kind == .object {
                (function, arguments) = Self.walkFunction(&walker)
            } else {
                walker.skip()
            }
        }
        // A call of another kind (`custom`) is for upstreams that know it.
        if kinds["function"] == nil, kinds["custom"] != nil { return }
        try Self.require(kinds, "function", [.object], path)
        if kinds["id"] != .null, kinds["id"] != nil {
            try Self.require(kinds, "id", [.string], path)
        }
        try Self.require(function ?? [:], "name", [.string], "\(path).function")
        // An object, too: llama-server takes one, and clients of Ollama send it.
        guard let kind = function?["arguments"], kind != .null else { return }
        try Self.require(function ?? [:], "arguments", [.string, .object], "\(path).function")
        // Nothing but the quotes.
        if kind == .string, let arguments, arguments.count == 2 {
            emptyArguments.append(arguments)
        }
    }

    /// The kinds of a function's members by name, and where its arguments stand.
    private static func walkFunction(
        _ walker: inout RequestWalker
    ) -> ([String: JSONKind], arguments: Range<Int>?) {
        var kinds: [String: JSONKind] = [:]
        var arguments: Range<Int>?
        walker.enterObject()
        while let name = walker.nextMember() {
            kinds[name] = walker.peekKind()
            let range = walker.skip()
            if name == "arguments" { arguments = range }
        }
        return (kinds, arguments)
    }
}
