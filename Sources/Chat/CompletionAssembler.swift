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

    /// The function of a call in a delta of a choice: nobody looks deeper.
    private static let indexedDepth = 7

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

    /// Where the next line feed stands; in blocks while none is among them.
    private static func lineEnd(in lines: Span<UInt8>, from start: Int) -> Int? {
        let ones: UInt64 = 0x0101_0101_0101_0101
        var i = start
        let feeds = SIMD32<UInt8>(repeating: 0x0A)
        while i &+ 32 <= lines.count {
            // Safe: the loop's condition keeps all of the block inside the span.
            let block = unsafe lines.bytes.unsafeLoadUnaligned(
                fromByteOffset: i, as: SIMD32<UInt8>.self)
            // Safe: both are 32 bytes without padding, and every pattern of bits is a number. The
            // library's `any` is a call for each block.
            let words = unsafe unsafeBitCast(block .== feeds, to: SIMD4<UInt64>.self)
            if words[0] | words[1] | words[2] | words[3] != 0 { break }
            i &+= 32
        }
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
        var json: [UInt8] = []
        json.reserveCapacity(heldBytes + 512)
        json.append(#"{"choices":["#)
        for (position, choice) in choices.sorted(by: { $0.index < $1.index }).enumerated() {
            if position > 0 { json.append(UInt8(ascii: ",")) }
            choice.append(to: &json)
        }
        json.append(#"],"object":"chat.completion""#)
        // As llama-server orders them, then the others as they came.
        for place in 0...CompletionMember.lastPlace {
            for member in members where member.place == place { member.append(to: &json) }
        }
        json.append(UInt8(ascii: "}"))
        return json
    }

    // MARK: - Parts

    private mutating func takeWhole(_ json: Span<UInt8>) throws(CompletionError) {
        template.forget()
        var bytes: [UInt8] = []
        bytes.append(json)
        guard let chunk = try? JSONIndex(bytes, indexedDepth: Self.indexedDepth),
            chunk.kind(of: chunk.root) == .object
        else { throw .malformedChunk }
        var only: JSONIndex.Value?
        for member in chunk.members(of: chunk.root) {
            if chunk.isNamed(member, "choices") {
                var count = 0
                for choice in chunk.elements(of: member) {
                    try take(choice, of: chunk)
                    count += 1
                    only = count == 1 ? choice : nil
                }
                if count == 0 { only = nil }
            } else if chunk.kind(of: member) != .null, !chunk.isNamed(member, "object"),
                // The object is another, and progress is for those who wait.
                !chunk.isNamed(member, "prompt_progress")
            {
                try set(member, of: chunk)
            }
        }
        if let only { learn(only, of: chunk) }
    }

    /// Remembers what stands around the text, if the chunk's only choice has one text and nothing
    /// else that counts.
    private mutating func learn(_ choice: JSONIndex.Value, of json: JSONIndex) {
        guard let finish = json.member("finish_reason", of: choice), json.kind(of: finish) == .null,
            json.member("logprobs", of: choice) == nil,
            let index = json.member("index", of: choice).flatMap({ json.text(of: $0).int }),
            let position = choices.firstIndex(where: { $0.index == index }),
            let delta = json.member("delta", of: choice), json.memberCount(of: delta) == 1
        else { return }
        for part in json.members(of: delta) where json.kind(of: part) == .string {
            guard let member = choices[position].position(ofText: part, of: json) else { return }
            template.learn(
                json.bytes, text: json.contents(of: part), choice: position, member: member)
        }
    }

    private mutating func take(
        _ choice: JSONIndex.Value, of json: JSONIndex
    ) throws(CompletionError) {
        guard let index = json.member("index", of: choice).flatMap({ json.text(of: $0).int })
        else { throw .malformedChunk }
        let position: Int
        if let known = choices.firstIndex(where: { $0.index == index }) {
            position = known
        } else {
            position = choices.count
            choices.append(CompletionChoice(index: index))
        }
        let before = choices[position].heldBytes
        try choices[position].take(choice, of: json)
        heldBytes += choices[position].heldBytes - before
    }

    private mutating func set(
        _ member: JSONIndex.Value, of json: JSONIndex
    ) throws(CompletionError) {
        let value = json.range(of: member)
        if let known = members.firstIndex(where: { $0.isNamed(member, of: json) }) {
            // Nearly all of them are the same in every chunk.
            guard !json.isWritten(value, members[known].value) else { return }
            heldBytes += value.count - members[known].value.count
            members[known].value = Array(json.bytes[value])
        } else {
            heldBytes += json.key(of: member).count + value.count
            guard members.count < Self.memberLimit else { throw .malformedChunk }
            members.append(CompletionMember(member, of: json))
        }
    }
}

/// A member of an object of the completion, as JSON.
struct CompletionMember: Sendable {
    /// With its quotes, as it was written first.
    let key: [UInt8]
    var value: [UInt8]
    /// Where it stands in llama-server's order; the last place is that of all others.
    let place: Int
    static let lastPlace = 6

    init(_ member: JSONIndex.Value, of json: JSONIndex) {
        let range = json.key(of: member)
        key = Array(json.bytes[range])
        value = Array(json.bytes(of: member))
        place = Self.place(of: json.bytes.span.extracting(range))
    }

    private static func place(of key: Span<UInt8>) -> Int {
        let order: InlineArray<6, StaticString> = [
            #""created""#, #""model""#, #""system_fingerprint""#, #""usage""#, #""id""#,
            #""timings""#,
        ]
        for place in order.indices {
            // Safe: a literal lives as long as the program.
            let name = unsafe Span(
                _unsafeStart: order[place].utf8Start, count: order[place].utf8CodeUnitCount)
            if key.isEqual(to: name) { return place }
        }
        return lastPlace
    }

    func isNamed(_ member: JSONIndex.Value, of json: JSONIndex) -> Bool {
        json.isWritten(json.key(of: member), key)
    }

    /// Appends the member, with a comma before it.
    func append(to json: inout [UInt8]) {
        json.append(UInt8(ascii: ","))
        json.append(key.span)
        json.append(UInt8(ascii: ":"))
        json.append(value.span)
    }
}

extension JSONIndex {
    /// Whether the bytes of `range` are `wanted`.
    func isWritten(_ range: Range<Int>, _ wanted: [UInt8]) -> Bool {
        bytes.span.extracting(range).isEqual(to: wanted.span)
    }
}
