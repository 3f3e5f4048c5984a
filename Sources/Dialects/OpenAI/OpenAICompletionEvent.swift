// One event of a text completion's stream, read whole, and the chunks written after its pattern.

internal import Chat
internal import JSON

/// A `text_completion` event as an upstream wrote it.
struct OpenAICompletionEvent {
    /// Of duplicate members the last one.
    let members: [JSONText.Member]
    /// The members of each choice.
    let choices: [[JSONText.Member]]
    private let byteCount: Int

    /// `nil` if the event has neither choices nor usage, or choices that are no objects.
    init?(_ event: JSONText) {
        members = uniqueMembers(of: event)
        byteCount = event.range.count
        let elements: [JSONText]
        switch members.value("choices") {
        case let array? where array.kind == .array: elements = array.elements
        case nil where members.value("usage")?.kind == .object: elements = []
        case _?, nil: return nil
        }
        guard elements.allSatisfy({ $0.kind == .object }) else { return nil }
        choices = elements.map(uniqueMembers)
    }

    /// Where the text of the only choice stands in the event, if that choice has nothing but text
    /// to say: its neighbours will be alike.
    var plainText: Range<Int>? {
        guard choices.count == 1, let text = choices[0].value("text"), !hasExtras,
            choices[0].value("logprobs") == nil, choices[0].value("finish_reason") == nil,
            members.value("usage") == nil
        else { return nil }
        return text.contents
    }
}

extension OpenAICompletionEvent: TextCompletionEnvelope {
    // Texts count double against the limit, which only means that cuts come a little early.
    var overhead: Int {
        let texts = choices.reduce(0) { $0 + ($1.value("text")?.range.count ?? 0) }
        return byteCount - texts + 256
    }

    var hasExtras: Bool {
        members.contains { isExtra($0) }
            || choices.contains { $0.contains { isChoiceExtra($0) } }
    }

    /// Writes the members in the upstream's order, so that what need not change does not.
    func write(
        _ piece: TextCompletionPiece, _ identity: StreamIdentity, usage: Bool,
        into bytes: inout [UInt8]
    ) {
        var missing = ["id", "object", "created", "model", "choices"]
        var hasUsage = false
        bytes.append(UInt8(ascii: "{"))
        for member in members {
            let name = member.key.string ?? ""
            missing.removeAll { $0 == name }
            switch name {
            case "usage":
                hasUsage = true
                if usage { bytes.append(#""usage":null,"#) }
            case "id", "object", "created", "model", "choices":
                writeCommon(name, piece, identity, into: &bytes)
            default:
                guard piece.endsEvent || !isExtra(member) else { continue }
                bytes.append(member)
            }
        }
        for name in missing { writeCommon(name, piece, identity, into: &bytes) }
        if usage, !hasUsage { bytes.append(#""usage":null,"#) }
        bytes[bytes.count - 1] = UInt8(ascii: "}")
    }

    private func writeCommon(
        _ name: String, _ piece: TextCompletionPiece, _ identity: StreamIdentity,
        into bytes: inout [UInt8]
    ) {
        bytes.appendJSONString(name)
        bytes.append(UInt8(ascii: ":"))
        switch name {
        case "id": bytes.append(identity.id.span)
        case "created": bytes.append(identity.created.span)
        case "model": bytes.append(identity.model.span)
        case "object": bytes.append(#""text_completion""#)
        default:
            bytes.append(UInt8(ascii: "["))
            writeChoice(piece, into: &bytes)
            bytes.append(UInt8(ascii: "]"))
        }
        bytes.append(UInt8(ascii: ","))
    }

    private func writeChoice(_ piece: TextCompletionPiece, into bytes: inout [UInt8]) {
        var missing = ["text", "index", "logprobs", "finish_reason"]
        bytes.append(UInt8(ascii: "{"))
        for member in piece.position < choices.count ? choices[piece.position] : [] {
            let name = member.key.string ?? ""
            if missing.contains(name) {
                missing.removeAll { $0 == name }
                writeMember(name, of: piece, into: &bytes)
            } else if piece.endsEvent || choices.count > 1 {
                bytes.append(member)
            }
        }
        for name in missing { writeMember(name, of: piece, into: &bytes) }
        bytes[bytes.count - 1] = UInt8(ascii: "}")
    }

    private func writeMember(
        _ name: String, of piece: TextCompletionPiece, into bytes: inout [UInt8]
    ) {
        bytes.appendJSONString(name)
        bytes.append(UInt8(ascii: ":"))
        switch name {
        case "text":
            bytes.append(UInt8(ascii: "\""))
            bytes.append(piece.text.span)
            bytes.append(UInt8(ascii: "\""))
        case "index": bytes.append(decimal: piece.index)
        case "logprobs":
            if let logprobs = piece.logprobs {
                bytes.append(logprobs.span)
            } else {
                bytes.append("null")
            }
        default: bytes.append(finish: piece.finish)
        }
        bytes.append(UInt8(ascii: ","))
    }

    /// Whether a member says something about this event alone, which must be said once.
    private func isExtra(_ member: JSONText.Member) -> Bool {
        let everywhere = [
            "id", "object", "created", "model", "choices", "usage", "system_fingerprint",
            "service_tier",
        ]
        return !everywhere.contains(where: member.key.isString) && !member.value.isNull
    }

    private func isChoiceExtra(_ member: JSONText.Member) -> Bool {
        let common = ["text", "index", "logprobs", "finish_reason"]
        return !common.contains(where: member.key.isString) && !member.value.isNull
    }
}
