// One event of an OpenAI-compatible stream, read whole: for everything but plain tokens.

internal import Chat
internal import JSON

/// A `chat.completion.chunk` as an upstream wrote it, and the chunks written after its pattern.
struct OpenAIStreamEvent {
    /// Of duplicate members the last one.
    let members: [JSONText.Member]
    /// The members of each choice.
    let choices: [[JSONText.Member]]
    private let byteCount: Int
    private let includeUsage: Bool

    /// `nil` if the event has neither choices nor usage, or choices that are no objects.
    init?(_ event: JSONText, _ members: [JSONText.Member], includeUsage: Bool) {
        self.members = members
        byteCount = event.range.count
        self.includeUsage = includeUsage
        // An event of usage alone may leave its empty choices out.
        let elements: [JSONText]
        switch members.value("choices") {
        case let array? where array.kind == .array: elements = array.elements
        case nil where members.value("usage")?.kind == .object: elements = []
        case _?, nil: return nil
        }
        guard elements.allSatisfy({ $0.kind == .object }) else { return nil }
        choices = elements.map(uniqueMembers)
    }
}

extension OpenAIStreamEvent: ChunkEnvelope {
    // Texts count double against the limit, which only means that cuts come a little early.
    var overhead: Int {
        var texts = 0
        for choice in choices {
            guard let delta = choice.value("delta") else { continue }
            texts += delta.range.count
        }
        return byteCount - texts + 256
    }

    var hasTimings: Bool { members.value("timings") != nil }

    var hasExtras: Bool {
        members.contains { isExtra($0) }
            || choices.contains { $0.contains { isChoiceExtra($0) } }
    }

    func write(_ piece: ChunkPiece, _ identity: StreamIdentity, into bytes: inout [UInt8]) {
        write(identity, withExtras: piece.endsEvent, into: &bytes) { bytes in
            bytes.append(UInt8(ascii: "["))
            writeChoice(piece, into: &bytes)
            bytes.append(UInt8(ascii: "]"))
        } usage: { bytes in
            if includeUsage { bytes.append(#""usage":null,"#) }
        }
    }

    /// Writes an event without choices, in the place of the upstream's usage chunk, with `usage` in
    /// the place of its own.
    func writeUsage(_ usage: [UInt8], _ identity: StreamIdentity, into bytes: inout [UInt8]) {
        write(identity, withExtras: true, into: &bytes) { bytes in
            bytes.append("[]")
        } usage: { bytes in
            bytes.append(#""usage":"#)
            bytes.appendEscapingLineSeparators(usage.span)
            bytes.append(UInt8(ascii: ","))
        }
    }

    // MARK: - Parts

    /// Writes the members in the upstream's order, so that what need not change does not.
    private func write(
        _ identity: StreamIdentity, withExtras: Bool, into bytes: inout [UInt8],
        choices: (inout [UInt8]) -> Void, usage: (inout [UInt8]) -> Void
    ) {
        var met: UInt8 = 0  // a bit for each
        var hasUsage = false
        bytes.append(UInt8(ascii: "{"))
        for member in members {
            if let known = Self.common.firstIndex(where: member.isNamed) {
                met |= 1 << known
                writeCommon(known, identity, into: &bytes, choices)
            } else if member.isNamed("usage") {
                hasUsage = true
                usage(&bytes)
            } else if withExtras || !isExtra(member) {
                bytes.append(member)
            }
        }
        for known in Self.common.indices where met & 1 << known == 0 {
            writeCommon(known, identity, into: &bytes, choices)
        }
        if !hasUsage { usage(&bytes) }
        bytes[bytes.count - 1] = UInt8(ascii: "}")
    }

    /// Writes a member whose value is the same in the whole stream, or ours to decide.
    private func writeCommon(
        _ known: Int, _ identity: StreamIdentity, into bytes: inout [UInt8],
        _ choices: (inout [UInt8]) -> Void
    ) {
        let name = Self.common[known]
        bytes.appendJSONString(name)
        bytes.append(UInt8(ascii: ":"))
        switch name {
        case "id": bytes.append(identity.id.span)
        case "created": bytes.append(identity.created.span)
        case "model": bytes.append(identity.model.span)
        case "object": bytes.append(#""chat.completion.chunk""#)
        default: choices(&bytes)
        }
        bytes.append(UInt8(ascii: ","))
    }

    /// What every chunk has.
    private static let common = ["id", "object", "created", "model", "choices"]
    /// What every choice has.
    private static let commonOfChoice = ["index", "delta", "finish_reason"]

    /// Writes the choice after the pattern of the upstream's own, whose other members
    /// (`stop_reason` of vLLM, for one) come along once.
    private func writeChoice(_ piece: ChunkPiece, into bytes: inout [UInt8]) {
        var met: UInt8 = 0  // a bit for each
        bytes.append(UInt8(ascii: "{"))
        let choice = piece.position < choices.count ? choices[piece.position] : []
        for member in choice {
            if let known = Self.commonOfChoice.firstIndex(where: member.isNamed) {
                met |= 1 << known
                writeCommon(Self.commonOfChoice[known], piece, into: &bytes)
            } else if member.isNamed("logprobs") {
                // Null where the event became several chunks and another one has them.
                let logprobs = piece.logprobs ?? Array("null".utf8)
                bytes.append(#""logprobs":"#)
                bytes.appendEscapingLineSeparators(logprobs.span)
                bytes.append(UInt8(ascii: ","))
            } else if piece.endsChoice {
                bytes.append(member)
            }
        }
        for (known, name) in Self.commonOfChoice.enumerated() where met & 1 << known == 0 {
            writeCommon(name, piece, into: &bytes)
        }
        bytes[bytes.count - 1] = UInt8(ascii: "}")
    }

    /// Writes a member that every choice has.
    private func writeCommon(_ name: String, _ piece: ChunkPiece, into bytes: inout [UInt8]) {
        bytes.appendJSONString(name)
        bytes.append(UInt8(ascii: ":"))
        switch name {
        case "index": bytes.append(decimal: piece.index)
        case "delta": bytes.append(piece.delta.span)
        default: bytes.append(finish: piece.finish)
        }
        bytes.append(UInt8(ascii: ","))
    }

    /// Whether a member says something about this event alone, which must be said once.
    private func isExtra(_ member: JSONText.Member) -> Bool {
        !member.value.isNull && !Self.everywhere.contains(where: member.isNamed)
    }

    private static let everywhere = common + ["usage", "system_fingerprint", "service_tier"]

    /// The same for a member of a choice.
    private func isChoiceExtra(_ member: JSONText.Member) -> Bool {
        !member.value.isNull && !member.isNamed("logprobs")
            && !Self.commonOfChoice.contains(where: member.isNamed)
    }
}

extension [JSONText.Member] {
    /// The value of the member `name`, unless it is null.
    func value(_ name: String) -> JSONText? {
        guard let value = last(where: { $0.isNamed(name) })?.value, !value.isNull else {
            return nil
        }
        return value
    }
}

/// The members of an object, of duplicates only the last.
func uniqueMembers(of object: JSONText) -> [JSONText.Member] {
    let members = object.members
    if members.count <= 16, areDifferent(members) { return members }
    // Keys are compared by their bytes, once escapes are undone; a set keeps an event of many
    // members from costing their square.
    var seen: Set<[UInt8]> = []
    let unique = members.reversed().filter { seen.insert($0.key.decodedBytes).inserted }
    return unique.reversed()
}

/// Whether no two members have the same key. Says no as well where an escape would have to be
/// undone to tell.
private func areDifferent(_ members: [JSONText.Member]) -> Bool {
    for (position, member) in members.enumerated() {
        let key = member.key
        let bytes = key.source.span.extracting(key.range)
        for i in 0..<bytes.count where bytes[i] == UInt8(ascii: "\\") { return false }
        for other in members[..<position] {
            let range = other.key.range
            if range.count == bytes.count, stands(bytes, in: key.source.span, at: range.lowerBound)
            {
                return false
            }
        }
    }
    return true
}

extension [UInt8] {
    /// Appends a member as it stands, with a comma after it.
    mutating func append(_ member: JSONText.Member) {
        appendEscapingLineSeparators(member.key.bytes.span)
        append(UInt8(ascii: ":"))
        appendEscapingLineSeparators(member.value.bytes.span)
        append(UInt8(ascii: ","))
    }
}
