// The message of an Ollama record in the terms every dialect shares.

internal import Chat
internal import JSON

/// Reads the message and the log probabilities of a record.
struct OllamaMessageReader {
    /// Whether bytes of cut characters were replaced in the record: see `TextCarry`.
    let isRepaired: Bool
    /// How many of the replaced bytes stood in texts, the only place where they can be joined.
    private(set) var strayBytesInTexts = 0

    init(isRepaired: Bool) { self.isRepaired = isRepaired }

    /// What a record adds, its finish left out. `record` are its members.
    ///
    /// The message counts also when the record is the last: engines that forward to llama-server
    /// put the last text and all tool calls there (wire notes of Ollama, section 3).
    mutating func delta(of record: [JSONText.Member]) throws(StreamRefusal) -> ChoiceDelta {
        var delta = ChoiceDelta(index: 0, position: 0)
        delta.isRepaired = isRepaired
        if let logprobs = record.value("logprobs") { delta.logprobs = try list(logprobs) }
        guard let message = record.value("message") else {
            // An error record has neither; anything else without both is not Ollama's.
            guard record.value("done") != nil else { throw .malformed }
            return delta
        }
        guard message.kind == .object else { throw .malformed }
        let members = uniqueMembers(of: message)
        delta.content = try text(members.value("content"))
        delta.reasoning = try text(members.value("thinking"))
        if let calls = members.value("tool_calls") {
            guard calls.kind == .array else { throw .malformed }
            for call in calls.elements { delta.toolCalls.append(try toolCall(call)) }
        }
        return delta
    }

    private mutating func text(_ value: JSONText?) throws(StreamRefusal) -> [UInt8] {
        guard let value else { return [] }
        guard value.kind == .string else { throw .malformed }
        var text: [UInt8] = []
        text.appendEscapingLineSeparators(value.source[value.contents].span)
        if isRepaired { strayBytesInTexts += strayByteCount(text.span) }
        return text
    }

    /// One call, always whole. Its own number is left out: versions differ, and some say 0 for all.
    private mutating func toolCall(_ call: JSONText) throws(StreamRefusal) -> ToolCallFragment {
        guard let function = call["function"], function.kind == .object,
            let name = function["name"], name.kind == .string
        else { throw .malformed }
        var fragment = ToolCallFragment()
        fragment.isWhole = true
        fragment.name = []
        fragment.name?.appendEscapingLineSeparators(name.source[name.contents].span)
        if let id = call["id"], id.kind == .string, !id.contents.isEmpty {
            fragment.id = []
            fragment.id?.appendEscapingLineSeparators(id.source[id.contents].span)
        }
        if let arguments = function["arguments"], !arguments.isNull {
            // Other servers of this API send the text itself.
            if arguments.kind == .string {
                fragment.isRepaired = isRepaired
                fragment.arguments = try text(arguments)
            } else {
                fragment.arguments.appendEscaped(arguments.bytes.span)
            }
        }
        return fragment
    }

    /// `[{token, logprob, bytes?, top_logprobs?}]` as OpenAI has it: inside `content`, and with
    /// `bytes` and `top_logprobs` in every entry.
    private func list(_ logprobs: JSONText) throws(StreamRefusal) -> [UInt8] {
        guard logprobs.kind == .array else { throw .malformed }
        var list = Array(#"{"content":"#.utf8)
        appendEntries(logprobs, to: &list, withAlternatives: true)
        list.append(UInt8(ascii: "}"))
        return list
    }

    private func appendEntries(
        _ entries: JSONText, to list: inout [UInt8], withAlternatives: Bool
    ) {
        list.append(UInt8(ascii: "["))
        for entry in entries.elements where entry.kind == .object {
            let members = uniqueMembers(of: entry)
            list.append(UInt8(ascii: "{"))
            for member in members where !member.isNamed("top_logprobs") {
                list.append(member)
            }
            if members.value("bytes") == nil {
                // Left out for tokens without text.
                list.append(#""bytes":[],"#)
            }
            if withAlternatives {
                list.append(#""top_logprobs":"#)
                if let alternatives = members.value("top_logprobs") {
                    appendEntries(alternatives, to: &list, withAlternatives: false)
                } else {
                    list.append("[]")
                }
                list.append(UInt8(ascii: ","))
            }
            list[list.count - 1] = UInt8(ascii: "}")
            list.append(UInt8(ascii: ","))
        }
        if list.last == UInt8(ascii: ",") { list.removeLast() }
        list.append(UInt8(ascii: "]"))
    }
}
