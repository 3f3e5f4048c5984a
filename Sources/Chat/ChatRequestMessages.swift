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
    /// What llama-server could not read, and what says the same there.
    var repairs: [MessageRepair] = []
    var hasImages = false
    var hasAudio = false

    /// Walks `json`, a request's body, which is an object.
    ///
    /// - Throws: what is wrong with the messages that count: an earlier duplicate of a field is
    /// never sent on, so its   faults do not matter either.
    static func scan(_ json: JSONText) throws(APIError) -> MessageScan {
        var walker = RequestWalker(before: json)
        var scan: MessageScan?
        var fault: APIError?
        var count = 0
        walker.enterObject()
        while let name = walker.nextMember() {
            count += 1
            guard count <= ChatRequest.fieldLimit else {
                throw APIError(
                    .invalidValue,
                    "The request body has more than \(ChatRequest.fieldLimit) fields.")
            }
            guard name == "messages" else {
                walker.skip()
                continue
            }
            (scan, fault) = (nil, nil)
            guard walker.peekKind() != .null else {
                walker.skip()
                continue
            }
            var found = MessageScan()
            // Kept instead of thrown: a later `messages` may take this one's place.
            fault = found.attempt(&walker) { scan, walker throws(APIError) in
                try scan.walkMessages(&walker)
            }
            scan = found
        }
        guard let scan else { throw .missingField("messages") }
        if let fault { throw fault }
        return scan
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
        messages.reserveCapacity(8)
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
        let start = walker.offset
        messages.append(start..<start)
        var turn = MessageTurn()
        // By name, so that a later duplicate takes an earlier one's fault away.
        var faults: [String: APIError] = [:]
        var hasRole = false
        walker.enterObject()
        while let name = walker.nextMember() {
            let fault: APIError?
            if name == "role" {
                hasRole = true
                fault = walkRole(&walker, &turn)
            } else {
                turn.note(name, walker)
                fault = attempt(&walker) { scan, walker throws(APIError) in
                    try scan.walkField(&walker, name)
                }
            }
            if let fault {
                faults[name] = fault
            } else if !faults.isEmpty {
                faults[name] = nil
            }
        }
        messages[index] = start..<walker.offset
        if !hasRole { faults["role"] = .missingField("messages[\(index)].role") }
        if let fault = Self.first(of: faults) { throw fault }
        if turn.role?.name == "developer", let role = turn.role {
            developerRoles.append(role.range)
        }
        let needed = turn.repairs(in: walker.source, at: start)
        if !needed.isEmpty { repairs += needed }
    }

    /// The fault to tell of several: the same one each time.
    private static func first(of faults: [String: APIError]) -> APIError? {
        faults.min { $0.key < $1.key }?.value
    }

    /// The role must be there; which words it may be is for the backend's templates.
    private func walkRole(_ walker: inout RequestWalker, _ turn: inout MessageTurn) -> APIError? {
        let kind = walker.peekKind()
        let range = walker.skip()
        turn.role = kind == .string ? (walker.shortText(range) ?? "", range) : nil
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
        case ("name", .null), ("tool_call_id", .null), ("reasoning_content", .null):
            repairs.append(.nullText(walker.skip()))
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
