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

    /// Walks the value of `messages`, which comes next. What is wrong with it is returned instead of
    /// thrown, for a later member of that name may take this one's place; and the walker ends up
    /// behind the value all the same.
    mutating func walk(_ walker: inout RequestWalker) -> APIError? {
        let start = walker.mark
        do {
            try walkMessages(&walker)
            return nil
        } catch {
            walker.mark = start
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
        while let key = walker.nextKey() {
            let field = MessageField(key, in: walker.source)
            let (value, kind) = (walker.mark, walker.peekKind())
            let begin = walker.offset
            do {
                if field == .role {
                    hasRole = true
                    try walkRole(&walker, kind, &turn)
                } else {
                    try walkField(&walker, field, kind)
                }
                if let field, !faults.isEmpty { faults[field.rawValue] = nil }
            } catch {
                // The walk may have ended half-way.
                walker.mark = value
                walker.skip()
                if let field { faults[field.rawValue] = error }
            }
            turn.note(field, kind, begin..<walker.offset)
        }
        messages[index] = start..<walker.offset
        if !hasRole { faults["role"] = .missingField("messages[\(index)].role") }
        if let fault = Self.first(of: faults) { throw fault }
        // What a broken text says means nothing, and cannot be read.
        guard walker.fault == nil else { return }
        if turn.role?.name == .developer, let role = turn.role {
            developerRoles.append(role.range)
        }
        let needed = turn.repairs(in: walker.source, at: start)
        if !needed.isEmpty { repairs += needed }
    }

    /// The fault to tell of several: the same one each time.
    private static func first(of faults: [String: APIError]) -> APIError? {
        faults.isEmpty ? nil : faults.min { $0.key < $1.key }?.value
    }

    /// The role must be there; which words it may be is for the backend's templates.
    private func walkRole(
        _ walker: inout RequestWalker, _ kind: JSONKind, _ turn: inout MessageTurn
    ) throws(APIError) {
        let range = walker.skip()
        turn.role = nil
        guard kind == .string else {
            let path = "messages[\(messages.count - 1)].role"
            throw kind == .null ? .missingField(path) : .invalidValue(path, "must be a string")
        }
        turn.role = (MessageRole(range, in: walker.source), range)
    }

    /// Any other field of a message. Clients replay what they were sent, nulls and unknown fields
    /// included.
    private mutating func walkField(
        _ walker: inout RequestWalker, _ field: MessageField?, _ kind: JSONKind
    ) throws(APIError) {
        switch (field, kind) {
        case (.content, .array): try walkParts(&walker)
        case (.content, .string), (.content, .null): walker.skip()
        case (.content, _):
            throw fault(.content, "must be a string or an array of content parts")
        case (.toolCalls, .array): try walkToolCalls(&walker)
        case (.name, .null), (.toolCallID, .null), (.reasoningContent, .null):
            repairs.append(.nullText(walker.skip()))
        case (_, .null): walker.skip()
        case (.toolCalls, _): throw fault(.toolCalls, "must be an array")
        case (.name?, _), (.toolCallID?, _), (.refusal?, _):
            guard kind == .string else { throw fault(field, "must be a string") }
            walker.skip()
        case (.functionCall?, _), (.audio?, _):
            guard kind == .object else { throw fault(field, "must be an object") }
            walker.skip()
        case (.role, _), (.reasoningContent, _), (nil, _): walker.skip()
        }
    }

    /// What is wrong with a field of the message that is walked.
    private func fault(_ field: MessageField?, _ what: String) -> APIError {
        .invalidValue("messages[\(messages.count - 1)].\(field?.rawValue ?? "")", what)
    }
}

/// The members of a message that are looked at.
enum MessageField: String, CaseIterable {
    case audio, content
    case functionCall = "function_call"
    case name
    case reasoningContent = "reasoning_content"
    case refusal, role
    case toolCallID = "tool_call_id"
    case toolCalls = "tool_calls"

    private static let all = allCases
    private static let names = NameTable(all.map(\.rawValue))

    /// The member whose key stands at `key` of `text`; `nil` for any other.
    init?(_ key: Range<Int>, in text: [UInt8]) {
        guard let place = Self.names.place(ofKey: key, in: text.span) else { return nil }
        self = Self.all[place]
    }
}

/// The roles that are more than a word to the proxy.
enum MessageRole: String, CaseIterable {
    case assistant, developer, function

    private static let all = allCases
    private static let names = NameTable(all.map(\.rawValue))

    /// The role that the string at `value` of `text` names; `nil` for any other.
    init?(_ value: Range<Int>, in text: [UInt8]) {
        guard value.count > 2,
            let place = Self.names.place(
                ofKey: (value.lowerBound + 1)..<(value.upperBound - 1), in: text.span)
        else { return nil }
        self = Self.all[place]
    }
}
