// One choice of a completion in the making.

internal import JSON

/// Adds up the deltas of one choice. All texts are escaped JSON without quotes.
struct CompletionChoice: Sendable {
    private struct Call: Sendable {
        var id: [UInt8] = []
        var name: [UInt8] = []
        var arguments: [UInt8] = []
    }

    let index: Int
    /// About how many bytes the choice holds.
    private(set) var heldBytes = 0
    /// The JSON value of `finish_reason`.
    private var finish = Self.noFinish
    private static let noFinish = Array("null".utf8)
    /// `content`, `reasoning_content`, `refusal` …: what comes in pieces of text.
    // `content` is there from the start: llama-server answers "" where there is only a call.
    private var texts: [(key: [UInt8], text: [UInt8])] = [(Self.content, [])]
    private static let content = Array("\"content\"".utf8)
    private var calls: [Call] = []
    /// The elements of `logprobs.content` and `logprobs.refusal`, with commas between them.
    private var logprobs: [(key: [UInt8], elements: [UInt8])] = []
    /// Members of deltas and choices that come whole: the last value of each.
    private var messageMembers: [CompletionMember] = []
    private var choiceMembers: [CompletionMember] = []
    /// `function_call` and `audio`: objects that come in pieces, by the names of their members.
    private var objects: [(key: [UInt8], members: [CompletionMember])] = []

    init(index: Int) { self.index = index }

    /// Takes this choice's part of a chunk.
    mutating func take(_ choice: JSONText) throws(CompletionError) {
        for member in choice.members where !member.value.isNull {
            if member.isNamed("index") { continue }
            if member.isNamed("finish_reason") {
                finish = Array(member.value.bytes)
            } else if member.isNamed("delta") {
                for part in member.value.members { try takeDelta(part) }
            } else if member.isNamed("logprobs") {
                for part in member.value.members { takeLogprobs(part) }
            } else {
                Self.set(member, in: &choiceMembers, &heldBytes)
            }
        }
    }

    /// Where the text of the delta member `key` is kept, once there was one.
    func position(ofText key: JSONText) -> Int? {
        texts.firstIndex { $0.key.elementsEqual(key.bytes) }
    }

    /// Adds to the text at `position`.
    mutating func append(text: Span<UInt8>, to position: Int) {
        texts[position].text.append(text)
    }

    /// Appends the choice of the completion: `index`, `message`, `finish_reason` and the rest.
    func append(to json: inout [UInt8]) {
        json.append(#"{"finish_reason":"#)
        json.append(finish.span)
        json.append(#","index":"#)
        json.append(decimal: index)
        json.append(#","message":{"role":"assistant""#)
        for member in texts {
            json.append(UInt8(ascii: ","))
            json.append(member.key.span)
            json.append(":\"")
            json.append(member.text.span)
            json.append(UInt8(ascii: "\""))
        }
        appendCalls(to: &json)
        for object in objects {
            json.append(UInt8(ascii: ","))
            json.append(object.key.span)
            json.append(":{")
            let start = json.count
            for member in object.members { member.append(to: &json) }
            // The comma before the first one.
            if json.count > start { json.remove(at: start) }
            json.append(UInt8(ascii: "}"))
        }
        for member in messageMembers { member.append(to: &json) }
        json.append(UInt8(ascii: "}"))
        if !logprobs.isEmpty {
            json.append(#","logprobs":{"#)
            for (position, part) in logprobs.enumerated() {
                if position > 0 { json.append(UInt8(ascii: ",")) }
                json.append(part.key.span)
                json.append(":[")
                json.append(part.elements.span)
                json.append(UInt8(ascii: "]"))
            }
            json.append(UInt8(ascii: "}"))
        }
        for member in choiceMembers { member.append(to: &json) }
        json.append(UInt8(ascii: "}"))
    }

    // MARK: - Parts

    /// Texts are added up by their names, so that a name this program does not know is no loss.
    private mutating func takeDelta(_ part: JSONText.Member) throws(CompletionError) {
        if part.value.isNull || part.isNamed("role") { return }
        if part.isNamed("tool_calls") {
            for call in part.value.elements { try takeCall(call) }
        } else if part.value.kind == .object,
            part.isNamed("function_call") || part.isNamed("audio")
        {
            takePieces(part)
        } else if part.value.kind == .string {
            if let known = position(ofText: part.key) {
                texts[known].text += part.value.source[part.value.contents]
            } else {
                let text = Array(part.value.source[part.value.contents])
                texts.append((Array(part.key.bytes), text))
            }
            heldBytes += part.value.range.count
        } else {
            Self.set(part, in: &messageMembers, &heldBytes)
        }
    }

    /// The texts of OpenAI's older objects add up like any other; the rest comes whole.
    private mutating func takePieces(_ part: JSONText.Member) {
        let key = Array(part.key.bytes)
        if !objects.contains(where: { $0.key == key }) { objects.append((key, [])) }
        guard let position = objects.firstIndex(where: { $0.key == key }) else { return }
        for piece in part.value.members where !piece.value.isNull {
            let name = Array(piece.key.bytes)
            let addsUp = ["arguments", "data", "transcript"].contains(where: piece.isNamed)
            let known = objects[position].members.firstIndex { $0.key == name }
            guard addsUp, piece.value.kind == .string, let known,
                objects[position].members[known].value.first == UInt8(ascii: "\"")
            else {
                Self.set(piece, in: &objects[position].members, &heldBytes)
                continue
            }
            // Goes on where the text so far has its closing quote.
            objects[position].members[known].value.removeLast()
            objects[position].members[known].value += piece.value.bytes.dropFirst()
            heldBytes += piece.value.range.count
        }
    }

    /// Our own indexes leave no gaps, so the next new one is the count of those before.
    private mutating func takeCall(_ entry: JSONText) throws(CompletionError) {
        guard let position = entry["index"]?.int, 0...calls.count ~= position else {
            throw .malformedChunk
        }
        if position == calls.count { calls.append(Call()) }
        if let id = entry["id"], id.kind == .string {
            calls[position].id = Array(id.source[id.contents])
        }
        guard let function = entry["function"] else { return }
        if let name = function["name"], name.kind == .string {
            calls[position].name = Array(name.source[name.contents])
        }
        if let arguments = function["arguments"], arguments.kind == .string {
            calls[position].arguments += arguments.source[arguments.contents]
        }
        heldBytes += entry.range.count
    }

    /// Calls have no `index` here, unlike in a stream; the members are in llama-server's order.
    private func appendCalls(to json: inout [UInt8]) {
        guard !calls.isEmpty else { return }
        json.append(#","tool_calls":["#)
        for (position, call) in calls.enumerated() {
            if position > 0 { json.append(UInt8(ascii: ",")) }
            json.append(#"{"type":"function","function":{"name":""#)
            json.append(call.name.span)
            json.append(#"","arguments":""#)
            json.append(call.arguments.span)
            json.append(#""},"id":""#)
            json.append(call.id.span)
            json.append("\"}")
        }
        json.append(UInt8(ascii: "]"))
    }

    private mutating func takeLogprobs(_ part: JSONText.Member) {
        guard part.value.kind == .array else { return }
        let key = Array(part.key.bytes)
        if !logprobs.contains(where: { $0.key == key }) { logprobs.append((key, [])) }
        guard let position = logprobs.firstIndex(where: { $0.key == key }) else { return }
        for element in part.value.elements {
            if !logprobs[position].elements.isEmpty {
                logprobs[position].elements.append(UInt8(ascii: ","))
            }
            logprobs[position].elements += element.bytes
            heldBytes += element.range.count
        }
    }

    private static func set(
        _ member: JSONText.Member, in members: inout [CompletionMember], _ heldBytes: inout Int
    ) {
        // Counts what is replaced too: a bound on work as well as on memory.
        heldBytes += member.key.range.count + member.value.range.count
        if let known = members.firstIndex(where: { $0.isNamed(member) }) {
            members[known].value = Array(member.value.bytes)
        } else {
            members.append(CompletionMember(member))
        }
    }
}
