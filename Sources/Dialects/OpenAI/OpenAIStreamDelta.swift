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
        of choice: JSONIndex.Value, at position: Int, in json: JSONIndex
    ) throws(StreamRefusal) -> ChoiceDelta {
        var (number, finish, value): (JSONIndex.Value?, JSONIndex.Value?, JSONIndex.Value?)
        var logprobs: JSONIndex.Value?
        for member in json.parts(of: choice) where json.kind(of: member) != .null {
            if json.isNamed(member, "index") {
                number = member
            } else if json.isNamed(member, "finish_reason") {
                finish = member
            } else if json.isNamed(member, "delta") {
                value = member
            } else if json.isNamed(member, "logprobs") {
                logprobs = member
            }
        }
        // Servers with one choice may leave its number out.
        guard let index = number.map({ json.text(of: $0).int }) ?? 0 else { throw .malformed }
        var delta = ChoiceDelta(index: index, position: position)
        delta.isRepaired = isRepaired
        if let finish { delta.finish = try EventReading.finishReason(json.text(of: finish)) }
        if let logprobs { delta.logprobs = Array(json.bytes(of: logprobs)) }
        if let value {
            guard json.kind(of: value) == .object else { throw .malformed }
            try read(value, of: json, into: &delta)
        }
        return delta
    }

    /// Reads the value of `delta`.
    private mutating func read(
        _ value: JSONIndex.Value, of json: JSONIndex, into delta: inout ChoiceDelta
    ) throws(StreamRefusal) {
        var (content, reasoning, calls): (JSONIndex.Value?, JSONIndex.Value?, JSONIndex.Value?)
        var otherReasoning: JSONIndex.Value?
        // The role is ours to say, once. Nulls say nothing.
        for member in json.parts(of: value) where json.kind(of: member) != .null {
            if json.isNamed(member, "content") {
                content = member
            } else if json.isNamed(member, "reasoning_content") {
                reasoning = member
            } else if json.isNamed(member, "reasoning") {
                otherReasoning = member
            } else if json.isNamed(member, "tool_calls") {
                calls = member
            } else if !json.isNamed(member, "role") {
                delta.otherMembers.append(member, of: json)
            }
        }
        if !delta.otherMembers.isEmpty { delta.otherMembers.removeLast() }
        if let content { delta.content = try text(content, json) }
        // A server that sends both names sends the same text under both.
        if let reasoning = reasoning ?? otherReasoning {
            delta.reasoning = try text(reasoning, json)
        }
        guard let calls else { return }
        guard json.kind(of: calls) == .array else { throw .malformed }
        for entry in json.parts(of: calls) { delta.toolCalls.append(try toolCall(entry, json)) }
    }

    /// The text of a string, still escaped.
    private mutating func text(
        _ value: JSONIndex.Value, _ json: JSONIndex
    ) throws(StreamRefusal) -> [UInt8] {
        guard json.kind(of: value) == .string else { throw .malformed }
        var text: [UInt8] = []
        text.appendEscapingLineSeparators(json.bytes.span.extracting(json.contents(of: value)))
        if isRepaired { strayBytesInTexts += strayByteCount(text.span) }
        return text
    }

    /// One entry of `tool_calls`. What is missing or odd in it, `ToolCallNormaliser` puts right.
    private mutating func toolCall(
        _ entry: JSONIndex.Value, _ json: JSONIndex
    ) throws(StreamRefusal) -> ToolCallFragment {
        guard json.kind(of: entry) == .object else { throw .malformed }
        var fragment = ToolCallFragment()
        fragment.isRepaired = isRepaired
        if let index = json.value("index", of: entry) {
            guard let number = json.text(of: index).int else { throw .malformed }
            fragment.index = number
        }
        fragment.id = try nonEmpty(json.value("id", of: entry), json)
        guard let function = json.value("function", of: entry) else { return fragment }
        guard json.kind(of: function) == .object else { throw .malformed }
        fragment.name = try nonEmpty(json.value("name", of: function), json)
        if let arguments = json.value("arguments", of: function) {
            if json.kind(of: arguments) == .string {
                fragment.arguments = try text(arguments, json)
                if isNormal(entry, function, json) {
                    fragment.verbatim = Array(json.bytes(of: entry))
                }
            } else {
                // An object, as Ollama has it: its JSON is the text, key order and all.
                fragment.arguments.appendEscaped(json.bytes(of: arguments).span)
            }
        }
        return fragment
    }

    /// The same, but `nil` if there is no text: an empty id is as good as none.
    private func nonEmpty(
        _ value: JSONIndex.Value?, _ json: JSONIndex
    ) throws(StreamRefusal) -> [UInt8]? {
        guard let value else { return nil }
        guard json.kind(of: value) == .string else { throw .malformed }
        var text: [UInt8] = []
        text.appendEscapingLineSeparators(json.bytes.span.extracting(json.contents(of: value)))
        return text.isEmpty ? nil : text
    }

    /// Whether an entry has exactly the members of a first or of a later fragment, each once.
    private func isNormal(
        _ entry: JSONIndex.Value, _ function: JSONIndex.Value, _ json: JSONIndex
    ) -> Bool {
        guard json.member("index", of: entry) != nil else { return false }
        switch (json.memberCount(of: entry), json.memberCount(of: function)) {
        case (2, 1): return true
        case (4, 2):
            guard let type = json.member("type", of: entry) else { return false }
            return json.member("id", of: entry) != nil && json.member("name", of: function) != nil
                && json.text(of: type).isString("function")
        default: return false
        }
    }
}
