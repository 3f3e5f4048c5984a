// What a choice of an OpenAI-compatible event adds, freed from each server's habits.

internal import Chat
internal import JSON

/// Reads the choices of an event.
struct OpenAIStreamDeltaReader {
    /// Whether bytes of cut characters were replaced in the event: see `TextCarry`.
    let isRepaired: Bool
    /// How many of the replaced bytes stood in texts, the only place where they can be joined.
    private(set) var strayBytesInTexts = 0

    init(isRepaired: Bool) { self.isRepaired = isRepaired }

    /// What the choice at `position` adds.
    mutating func delta(
        of choice: [JSONText.Member], at position: Int
    ) throws(StreamRefusal) -> ChoiceDelta {
        // Servers with one choice may leave its number out.
        guard let index = choice.value("index").map(\.int) ?? 0 else { throw .malformed }
        var delta = ChoiceDelta(index: index, position: position)
        delta.isRepaired = isRepaired
        delta.finish = try EventReading.finishReason(choice.value("finish_reason"))
        delta.logprobs = choice.value("logprobs").map { Array($0.bytes) }
        guard let value = choice.value("delta") else { return delta }
        guard value.kind == .object else { throw .malformed }
        let members = uniqueMembers(of: value)
        delta.content = try text(members.value("content"))
        // A server that sends both names sends the same text under both.
        delta.reasoning = try text(
            members.value("reasoning_content") ?? members.value("reasoning"))
        if let calls = members.value("tool_calls") {
            guard calls.kind == .array else { throw .malformed }
            for entry in calls.elements { delta.toolCalls.append(try toolCall(entry)) }
        }
        // The role is ours to say, once. Nulls say nothing.
        for member in members where !member.value.isNull {
            guard !Self.known.contains(where: member.isNamed) else { continue }
            delta.otherMembers.append(member)
        }
        if !delta.otherMembers.isEmpty { delta.otherMembers.removeLast() }
        return delta
    }

    private static let known = [
        "role", "content", "reasoning_content", "reasoning", "tool_calls",
    ]

    /// The text of a string, still escaped; empty for null.
    private mutating func text(_ value: JSONText?) throws(StreamRefusal) -> [UInt8] {
        guard let value else { return [] }
        guard value.kind == .string else { throw .malformed }
        var text: [UInt8] = []
        text.appendEscapingLineSeparators(value.source[value.contents].span)
        if isRepaired { strayBytesInTexts += strayByteCount(text.span) }
        return text
    }

    /// One entry of `tool_calls`. What is missing or odd in it, `ToolCallNormaliser` puts right.
    private mutating func toolCall(_ entry: JSONText) throws(StreamRefusal) -> ToolCallFragment {
        guard entry.kind == .object else { throw .malformed }
        let members = uniqueMembers(of: entry)
        var fragment = ToolCallFragment()
        fragment.isRepaired = isRepaired
        if let index = members.value("index") {
            guard let number = index.int else { throw .malformed }
            fragment.index = number
        }
        fragment.id = try nonEmpty(members.value("id"))
        guard let function = members.value("function") else { return fragment }
        guard function.kind == .object else { throw .malformed }
        let parts = uniqueMembers(of: function)
        fragment.name = try nonEmpty(parts.value("name"))
        if let arguments = parts.value("arguments") {
            if arguments.kind == .string {
                fragment.arguments = try text(arguments)
            } else {
                // An object, as Ollama has it: its JSON is the text, key order and all.
                fragment.arguments.appendEscaped(arguments.bytes.span)
            }
            let isNormal = arguments.kind == .string && isNormal(entry, function)
            if isNormal { fragment.verbatim = Array(entry.bytes) }
        }
        return fragment
    }

    /// The same, but `nil` if there is no text: an empty id is as good as none.
    private func nonEmpty(_ value: JSONText?) throws(StreamRefusal) -> [UInt8]? {
        guard let value else { return nil }
        guard value.kind == .string else { throw .malformed }
        var text: [UInt8] = []
        text.appendEscapingLineSeparators(value.source[value.contents].span)
        return text.isEmpty ? nil : text
    }

    /// Whether an entry has exactly the members of a first or of a later fragment, each once.
    private func isNormal(_ entry: JSONText, _ function: JSONText) -> Bool {
        let keys = entry.members.map(\.key)
        let functionKeys = function.members.map(\.key)
        func has(_ name: String) -> Bool { keys.contains { $0.isString(name) } }
        guard has("index"), has("function") else { return false }
        if keys.count == 2 { return functionKeys.count == 1 }
        return keys.count == 4 && functionKeys.count == 2 && has("id")
            && functionKeys.contains { $0.isString("name") }
            && entry["type"]?.isString("function") == true
    }
}
