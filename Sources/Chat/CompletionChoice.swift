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
    mutating func take(_ choice: JSONIndex.Value, of json: JSONIndex) throws(CompletionError) {
        for member in json.members(of: choice) where json.kind(of: member) != .null {
            if json.isNamed(member, "index") { continue }
            if json.isNamed(member, "finish_reason") {
                finish = Array(json.bytes(of: member))
            } else if json.isNamed(member, "delta") {
                for part in json.members(of: member) { try takeDelta(part, json) }
            } else if json.isNamed(member, "logprobs") {
                for part in json.members(of: member) { takeLogprobs(part, json) }
            } else {
                Self.set(member, json, in: &choiceMembers, &heldBytes)
            }
        }
    }

    /// Where the text of the delta's `member` is kept, once there was one.
    func position(ofText member: JSONIndex.Value, of json: JSONIndex) -> Int? {
        let key = json.key(of: member)
        return texts.firstIndex { json.isWritten(key, $0.key) }
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
    private mutating func takeDelta(
        _ part: JSONIndex.Value, _ json: JSONIndex
    ) throws(CompletionError) {
        let kind = json.kind(of: part)
        if kind == .null || json.isNamed(part, "role") { return }
        if json.isNamed(part, "tool_calls") {
            for call in json.elements(of: part) { try takeCall(call, json) }
        } else if kind == .object,
            json.isNamed(part, "function_call") || json.isNamed(part, "audio")
        {
            takePieces(part, json)
        } else if kind == .string {
            let text = json.contents(of: part)
            if let known = position(ofText: part, of: json) {
                texts[known].text.append(json.bytes.span, text)
            } else {
                texts.append((Array(json.bytes[json.key(of: part)]), Array(json.bytes[text])))
            }
            heldBytes += json.range(of: part).count
        } else {
            Self.set(part, json, in: &messageMembers, &heldBytes)
        }
    }

    /// The texts of OpenAI's older objects add up like any other; the rest comes whole.
    private mutating func takePieces(_ part: JSONIndex.Value, _ json: JSONIndex) {
        let key = Array(json.bytes[json.key(of: part)])
        if !objects.contains(where: { $0.key == key }) { objects.append((key, [])) }
        guard let position = objects.firstIndex(where: { $0.key == key }) else { return }
        for piece in json.members(of: part) where json.kind(of: piece) != .null {
            let addsUp =
                json.isNamed(piece, "arguments") || json.isNamed(piece, "data")
                || json.isNamed(piece, "transcript")
            let known = objects[position].members.firstIndex { $0.isNamed(piece, of: json) }
            guard addsUp, json.kind(of: piece) == .string, let known,
                objects[position].members[known].value.first == UInt8(ascii: "\"")
            else {
                Self.set(piece, json, in: &objects[position].members, &heldBytes)
                continue
            }
            // Goes on where the text so far has its closing quote.
            objects[position].members[known].value.removeLast()
            objects[position].members[known].value += json.bytes(of: piece).dropFirst()
            heldBytes += json.range(of: piece).count
        }
    }

    /// Our own indexes leave no gaps, so the next new one is the count of those before.
    private mutating func takeCall(
        _ entry: JSONIndex.Value, _ json: JSONIndex
    ) throws(CompletionError) {
        guard let position = json.member("index", of: entry).flatMap({ json.text(of: $0).int }),
            0...calls.count ~= position
        else { throw .malformedChunk }
        if position == calls.count { calls.append(Call()) }
        if let id = json.member("id", of: entry), json.kind(of: id) == .string {
            calls[position].id = Array(json.bytes[json.contents(of: id)])
        }
        guard let function = json.member("function", of: entry) else { return }
        if let name = json.member("name", of: function), json.kind(of: name) == .string {
            calls[position].name = Array(json.bytes[json.contents(of: name)])
        }
        if let arguments = json.member("arguments", of: function),
            json.kind(of: arguments) == .string
        {
            calls[position].arguments.append(json.bytes.span, json.contents(of: arguments))
        }
        heldBytes += json.range(of: entry).count
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

    private mutating func takeLogprobs(_ part: JSONIndex.Value, _ json: JSONIndex) {
        guard json.kind(of: part) == .array else { return }
        let key = Array(json.bytes[json.key(of: part)])
        if !logprobs.contains(where: { $0.key == key }) { logprobs.append((key, [])) }
        guard let position = logprobs.firstIndex(where: { $0.key == key }) else { return }
        for element in json.elements(of: part) {
            if !logprobs[position].elements.isEmpty {
                logprobs[position].elements.append(UInt8(ascii: ","))
            }
            let range = json.range(of: element)
            logprobs[position].elements.append(json.bytes.span, range)
            heldBytes += range.count
        }
    }

    private static func set(
        _ member: JSONIndex.Value, _ json: JSONIndex, in members: inout [CompletionMember],
        _ heldBytes: inout Int
    ) {
        // Counts what is replaced too: a bound on work as well as on memory.
        heldBytes += json.key(of: member).count + json.range(of: member).count
        if let known = members.firstIndex(where: { $0.isNamed(member, of: json) }) {
            members[known].value = Array(json.bytes(of: member))
        } else {
            members.append(CompletionMember(member, of: json))
        }
    }
}
