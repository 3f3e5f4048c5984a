// A whole text completion put together from the chunks of its stream.

internal import JSON

/// Puts a whole answer together from the lines of a sink.
public protocol AnswerAssembler: Sendable {
    /// Takes the lines of a sink with `.lines`.
    mutating func take(lines: Span<UInt8>) throws(CompletionError)
    /// The answer's JSON.
    func completion() -> [UInt8]
}

extension CompletionAssembler: AnswerAssembler {}

/// Adds up the chunks of a text completion to the answer a client gets that did not ask for a
/// stream.
public struct TextCompletionAssembler: AnswerAssembler {
    private struct Member: Sendable {
        var key: [UInt8]
        var value: [UInt8]
    }

    /// One choice in the making; `text` is escaped JSON.
    private struct Choice: Sendable {
        let index: Int
        var text: [UInt8] = []
        var finish = Array("null".utf8)
        /// The elements of each list in `logprobs`, with commas between them.
        var logprobs: [Member] = []
        var others: [Member] = []
    }

    private let limitBytes: Int
    private var heldBytes = 0
    private var choices: [Choice] = []
    private var positions: [Int: Int] = [:]
    /// `id`, `created`, … and what else stands beside the choices: the last value of each.
    private var members: [Member] = []

    /// Makes an assembler that holds at most about `limitBytes` bytes of the answer.
    public init(limitBytes: Int) { self.limitBytes = limitBytes }

    /// Takes the chunks of a sink with `.lines`: each line one chunk.
    public mutating func take(lines: Span<UInt8>) throws(CompletionError) {
        var start = 0
        for i in 0..<lines.count where lines[i] == 0x0A {
            try take(chunk: lines.extracting(start..<i))
            start = i + 1
        }
        guard start == lines.count else { throw .malformedChunk }
    }

    private mutating func take(chunk json: Span<UInt8>) throws(CompletionError) {
        var bytes: [UInt8] = []
        bytes.append(json)
        guard let chunk = try? JSONText(bytes), chunk.kind == .object else {
            // Our own chunks are well formed; what is not was not ours.
            throw .malformedChunk
        }
        for member in chunk.members where !member.value.isNull {
            switch member.key.string {
            case "choices":
                for choice in member.value.elements { try take(choice) }
            // The same in both forms; and progress is for those who wait.
            case "object", "prompt_progress": break
            default: Self.set(member, in: &members, &heldBytes)
            }
        }
        guard heldBytes <= limitBytes else { throw .tooLong(limitBytes: limitBytes) }
    }

    /// The `text_completion`, its members in llama-server's order.
    public func completion() -> [UInt8] {
        var json = Array(#"{"choices":["#.utf8)
        for (position, choice) in choices.sorted(by: { $0.index < $1.index }).enumerated() {
            if position > 0 { json.append(UInt8(ascii: ",")) }
            Self.append(choice, to: &json)
        }
        json.append(#"],"object":"text_completion""#)
        for member in members { Self.append(member, to: &json) }
        json.append(UInt8(ascii: "}"))
        return json
    }

    // MARK: - Parts

    private mutating func take(_ choice: JSONText) throws(CompletionError) {
        guard let index = choice["index"]?.int else { throw .malformedChunk }
        let position = positions[index] ?? choices.count
        if position == choices.count {
            choices.append(Choice(index: index))
            positions[index] = position
        }
        for member in choice.members where !member.value.isNull {
            switch (member.key.string, member.value.kind) {
            case ("index", _): break
            case ("text", .string):
                choices[position].text += member.value.source[member.value.contents]
                heldBytes += member.value.range.count
            case ("finish_reason", _): choices[position].finish = Array(member.value.bytes)
            case ("logprobs", .object):
                for list in member.value.members where list.value.kind == .array {
                    Self.extend(&choices[position].logprobs, with: list, &heldBytes)
                }
            default: Self.set(member, in: &choices[position].others, &heldBytes)
            }
        }
    }

    private static func extend(
        _ lists: inout [Member], with list: JSONText.Member, _ heldBytes: inout Int
    ) {
        let key = Array(list.key.bytes)
        if !lists.contains(where: { $0.key == key }) { lists.append(Member(key: key, value: [])) }
        guard let position = lists.firstIndex(where: { $0.key == key }) else { return }
        for element in list.value.elements {
            if !lists[position].value.isEmpty { lists[position].value.append(UInt8(ascii: ",")) }
            lists[position].value += element.bytes
            heldBytes += element.range.count
        }
    }

    private static func set(
        _ member: JSONText.Member, in members: inout [Member], _ heldBytes: inout Int
    ) {
        let (key, value) = (Array(member.key.bytes), Array(member.value.bytes))
        if let known = members.firstIndex(where: { $0.key == key }) {
            heldBytes += value.count - members[known].value.count
            members[known].value = value
        } else {
            heldBytes += key.count + value.count
            members.append(Member(key: key, value: value))
        }
    }

    private static func append(_ choice: Choice, to json: inout [UInt8]) {
        json.append(#"{"text":""#)
        json.append(choice.text.span)
        json.append(#"","index":"#)
        json.append(decimal: choice.index)
        json.append(#","logprobs":"#)
        json.append(choice.logprobs.isEmpty ? "null" : "{")
        for (position, list) in choice.logprobs.enumerated() {
            if position > 0 { json.append(UInt8(ascii: ",")) }
            json.append(list.key.span)
            json.append(":[")
            json.append(list.value.span)
            json.append(UInt8(ascii: "]"))
        }
        if !choice.logprobs.isEmpty { json.append(UInt8(ascii: "}")) }
        json.append(#","finish_reason":"#)
        json.append(choice.finish.span)
        for member in choice.others { append(member, to: &json) }
        json.append(UInt8(ascii: "}"))
    }

    private static func append(_ member: Member, to json: inout [UInt8]) {
        json.append(UInt8(ascii: ","))
        json.append(member.key.span)
        json.append(UInt8(ascii: ":"))
        json.append(member.value.span)
    }
}
