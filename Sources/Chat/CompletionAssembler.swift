// A whole `chat.completion` put together from the chunks of its stream.

internal import JSON

/// Why a completion cannot be put together.
public enum CompletionError: Error, Sendable, Equatable {
    /// The answer is longer than we are willing to hold.
    case tooLong(limitBytes: Int)
    /// What was given is no chunk. Our own chunks never are.
    case malformedChunk
}

/// Adds up normalised chunks to the answer a client gets that did not ask for a stream.
///
/// Upstreams are always asked for a stream, because llama-server and Ollama notice a client that
/// leaves only there (wire notes of llama-server, section 5).
public struct CompletionAssembler: Sendable {
    private let limitBytes: Int
    private var heldBytes = 0
    private var choices: [CompletionChoice] = []
    /// `id`, `created`, … and what else stands beside the choices: the last value of each.
    private var members: [CompletionMember] = []
    private var template = CompletionTemplate()

    /// Far beyond any server's answer; each member is looked for among the others.
    private static let memberLimit = 256

    private static let order = [
        "created", "model", "system_fingerprint", "usage", "id", "timings",
    ].map { Array("\"\($0)\"".utf8) }

    /// Makes an assembler that holds at most about `limitBytes` bytes of the answer.
    public init(limitBytes: Int) { self.limitBytes = limitBytes }

    /// Takes the chunks of a sink with `.lines`: each line one chunk.
    public mutating func take(lines: Span<UInt8>) throws(CompletionError) {
        var start = 0
        while let end = Self.lineEnd(in: lines, from: start) {
            try take(chunk: lines.extracting(start..<end))
            start = end + 1
        }
        guard start == lines.count else { throw .malformedChunk }
    }

    /// Where the next line feed stands; eight bytes at a time while none is among them.
    private static func lineEnd(in lines: Span<UInt8>, from start: Int) -> Int? {
        let ones: UInt64 = 0x0101_0101_0101_0101
        var i = start
        while i &+ 8 <= lines.count {
            // Safe: the loop's condition keeps all eight bytes inside the span.
            let word = unsafe lines.bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
            let feeds = word ^ (ones &* 0x0A)
            if (feeds &- ones) & ~feeds & (ones &* 0x80) != 0 { break }
            i &+= 8
        }
        while i < lines.count {
            if lines[i] == 0x0A { return i }
            i &+= 1
        }
        return nil
    }

    /// Takes one chunk.
    public mutating func take(chunk json: Span<UInt8>) throws(CompletionError) {
        if let text = template.text(of: json) {
            heldBytes += text.count
            choices[template.choice].append(text: json.extracting(text), to: template.member)
        } else {
            try takeWhole(json)
        }
        guard heldBytes <= limitBytes else { throw .tooLong(limitBytes: limitBytes) }
    }

    /// The `chat.completion`, its members in llama-server's order.
    public func completion() -> [UInt8] {
        var json = Array(#"{"choices":["#.utf8)
        for (position, choice) in choices.sorted(by: { $0.index < $1.index }).enumerated() {
            if position > 0 { json.append(UInt8(ascii: ",")) }
            choice.append(to: &json)
        }
        json.append(#"],"object":"chat.completion""#)
        // As llama-server orders them, then the others as they came.
        for name in Self.order {
            for member in members where member.key == name { member.append(to: &json) }
        }
        for member in members where !Self.order.contains(member.key) { member.append(to: &json) }
        json.append(UInt8(ascii: "}"))
        return json
    }

    // MARK: - Parts

    private mutating func takeWhole(_ json: Span<UInt8>) throws(CompletionError) {
        template.forget()
        var bytes: [UInt8] = []
        bytes.append(json)
        guard let chunk = try? JSONText(bytes), chunk.kind == .object else {
            throw .malformedChunk
        }
        var only: JSONText?
        for member in chunk.members {
            if member.isNamed("choices") {
                let elements = member.value.elements
                for choice in elements { try take(choice) }
                only = elements.count == 1 ? elements[0] : nil
            } else if !member.value.isNull, !member.isNamed("object"),
                // The object is another, and progress is for those who wait.
                !member.isNamed("prompt_progress")
            {
                try set(member)
            }
        }
        if let only { learn(only) }
    }

    /// Remembers what stands around the text, if the chunk's only choice has one text and nothing
    /// else that counts.
    private mutating func learn(_ choice: JSONText) {
        guard choice["finish_reason"]?.isNull == true, choice["logprobs"] == nil,
            let index = choice["index"]?.int,
            let position = choices.firstIndex(where: { $0.index == index }),
            let delta = choice["delta"]?.members, delta.count == 1, let part = delta.first,
            part.value.kind == .string, let member = choices[position].position(ofText: part.key)
        else { return }
        template.learn(
            choice.source, text: part.value.contents, choice: position, member: member)
    }

    private mutating func take(_ choice: JSONText) throws(CompletionError) {
        guard let index = choice["index"]?.int else { throw .malformedChunk }
        let position: Int
        if let known = choices.firstIndex(where: { $0.index == index }) {
            position = known
        } else {
            position = choices.count
            choices.append(CompletionChoice(index: index))
        }
        let before = choices[position].heldBytes
        try choices[position].take(choice)
        heldBytes += choices[position].heldBytes - before
    }

    private mutating func set(_ member: JSONText.Member) throws(CompletionError) {
        if let known = members.firstIndex(where: { $0.isNamed(member) }) {
            // Nearly all of them are the same in every chunk.
            guard !members[known].value.elementsEqual(member.value.bytes) else { return }
            heldBytes += member.value.range.count - members[known].value.count
            members[known].value = Array(member.value.bytes)
        } else {
            heldBytes += member.key.range.count + member.value.range.count
            guard members.count < Self.memberLimit else { throw .malformedChunk }
            members.append(CompletionMember(member))
        }
    }
}

/// A member of an object of the completion, as JSON.
struct CompletionMember: Sendable {
    /// With its quotes, as it was written first.
    let key: [UInt8]
    var value: [UInt8]

    init(_ member: JSONText.Member) {
        key = Array(member.key.bytes)
        value = Array(member.value.bytes)
    }

    func isNamed(_ member: JSONText.Member) -> Bool { key.elementsEqual(member.key.bytes) }

    /// Appends the member, with a comma before it.
    func append(to json: inout [UInt8]) {
        json.append(UInt8(ascii: ","))
        json.append(key.span)
        json.append(UInt8(ascii: ":"))
        json.append(value.span)
    }
}
