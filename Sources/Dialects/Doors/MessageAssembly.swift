// A whole message of Anthropic's Messages, put together from the events of its stream.

internal import JSON

/// Adds up the events of one message.
struct MessageAssembly: Sendable {
    /// One block of the content.
    private struct Block: Sendable {
        /// The block as it began: its members, as an object.
        let start: JSONText
        /// What its deltas have added, still escaped; of a call, the JSON text itself.
        var text: [UInt8] = []
        var signature: [UInt8]?
    }

    private let limitBytes: Int
    private var count = 0
    private var message: [JSONText.Member] = []
    private var blocks: [(index: Int, block: Block)] = []
    private var ending: [JSONText.Member] = []
    private var usage: [JSONText.Member] = []

    /// Makes an assembly of at most `limitBytes` bytes.
    init(limitBytes: Int) { self.limitBytes = limitBytes }

    mutating func start(_ members: [JSONText.Member]) { message = members }

    mutating func startBlock(
        _ index: Int, _ block: [UInt8]
    ) throws(DialectError) {
        try hold(block.count)
        // It was written here.
        guard let start = try? JSONText(block) else { return }
        blocks.append((index, Block(start: start)))
    }

    mutating func take(_ delta: JSONText, ofBlock index: Int) throws(DialectError) {
        guard let place = blocks.lastIndex(where: { $0.index == index }) else { return }
        try hold(delta.range.count)
        for name in ["text", "thinking"] {
            guard let piece = delta[name], piece.kind == .string else { continue }
            blocks[place].block.text += piece.source[piece.contents]
        }
        if let piece = delta["partial_json"] { blocks[place].block.text += piece.decodedBytes }
        if let signature = delta["signature"] { blocks[place].block.signature = .json(signature) }
    }

    mutating func end(_ delta: JSONText?, _ usage: JSONText?) {
        ending = delta.map(uniqueMembers) ?? []
        self.usage = usage.map(uniqueMembers) ?? []
    }

    /// The message, in the form of an answer that was never a stream.
    func written() -> [UInt8] {
        var set: [FilledMember] = [("content", content())]
        for name in ["stop_reason", "stop_sequence"] as [StaticString] {
            let value = ending.value(name.description)
            set.append((name, value.map { .json($0) } ?? .json("null")))
        }
        set.append(("usage", totals()))
        var bytes: [UInt8] = []
        bytes.append(message, set: set)
        return bytes
    }

    private mutating func hold(_ bytes: Int) throws(DialectError) {
        count += bytes
        guard count <= limitBytes else { throw .frameTooLong(limitBytes: limitBytes) }
    }

    private func content() -> [UInt8] {
        var bytes: [UInt8] = [UInt8(ascii: "[")]
        let ordered = blocks.sorted { $0.index < $1.index }
        for (position, entry) in ordered.enumerated() {
            if position > 0 { bytes.append(UInt8(ascii: ",")) }
            append(entry.block, to: &bytes)
        }
        bytes.append(UInt8(ascii: "]"))
        return bytes
    }

    private func append(_ block: Block, to bytes: inout [UInt8]) {
        var set: [FilledMember] = []
        switch block.start["type"]?.string {
        case "text": set.append(("text", joined(block, "text")))
        case "thinking":
            set.append(("thinking", joined(block, "thinking")))
            if let signature = block.signature { set.append(("signature", signature)) }
        case "tool_use", "server_tool_use":
            // Cut arguments are no JSON; llama-server's own answer has an empty object there, too.
            // Blanks between tokens are the model's, and may be line breaks.
            if !block.text.isEmpty {
                let input = try? JSONText(block.text)
                let json: [UInt8] = input.map { .json($0) } ?? .json("{}")
                set.append(("input", json.map { $0 < 0x20 ? 0x20 : $0 }))
            }
        default: break
        }
        bytes.append(uniqueMembers(of: block.start), set: set)
    }

    /// What the block began with and what came after it, as one string.
    private func joined(_ block: Block, _ name: String) -> [UInt8] {
        var text: [UInt8] = [UInt8(ascii: "\"")]
        if let first = block.start[name], first.kind == .string {
            text += first.source[first.contents]
        }
        text += block.text
        text.append(UInt8(ascii: "\""))
        return text
    }

    /// The counts of the begin, with those of the end before them: they are totals.
    private func totals() -> [UInt8] {
        var bytes: [UInt8] = []
        let first = message.value("usage").map(uniqueMembers) ?? []
        let kept = first.filter { member in
            !usage.contains { !$0.value.isNull && $0.key.decodedBytes == member.key.decodedBytes }
        }
        bytes.append(kept + usage.filter { !$0.value.isNull })
        return bytes
    }
}
