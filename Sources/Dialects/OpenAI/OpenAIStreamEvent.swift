// One event of an OpenAI-compatible stream, read whole: for everything but plain tokens.

internal import Chat
internal import JSON

/// A `chat.completion.chunk` as an upstream wrote it, and the chunks written after its pattern.
struct OpenAIStreamEvent {
    let json: JSONIndex
    /// The array of choices; `nil` if the event has none.
    private let choices: JSONIndex.Value?
    private let includeUsage: Bool

    /// `nil` if the event has neither choices nor usage, or choices that are no objects.
    init?(_ json: JSONIndex, includeUsage: Bool) {
        self.json = json
        self.includeUsage = includeUsage
        choices = json.value("choices", of: json.root)
        if let choices {
            guard json.kind(of: choices) == .array else { return nil }
            for choice in json.parts(of: choices) {
                guard json.kind(of: choice) == .object else { return nil }
            }
        } else {
            // An event of usage alone may leave its empty choices out.
            guard let usage = self["usage"], json.kind(of: usage) == .object else { return nil }
        }
    }

    /// The value of the member `name`, unless it is null.
    subscript(name: StaticString) -> JSONIndex.Value? { json.value(name, of: json.root) }

    /// What each choice adds.
    func deltas(_ reader: inout OpenAIStreamDeltaReader) throws(StreamRefusal) -> [ChoiceDelta] {
        guard let choices else { return [] }
        var deltas: [ChoiceDelta] = []
        for choice in json.parts(of: choices) {
            deltas.append(try reader.delta(of: choice, at: deltas.count, in: json))
        }
        return deltas
    }
}

extension OpenAIStreamEvent: ChunkEnvelope {
    // Texts count double against the limit, which only means that cuts come a little early.
    var overhead: Int {
        var overhead = json.range(of: json.root).count + 256
        guard let choices else { return overhead }
        for choice in json.parts(of: choices) {
            guard let delta = json.value("delta", of: choice) else { continue }
            overhead -= json.range(of: delta).count
        }
        return overhead
    }

    var hasTimings: Bool { self["timings"] != nil }

    var hasExtras: Bool {
        if json.parts(of: json.root).contains(where: isExtra) { return true }
        guard let choices else { return false }
        return json.parts(of: choices).contains {
            json.parts(of: $0).contains(where: isChoiceExtra)
        }
    }

    func write(_ piece: ChunkPiece, _ identity: StreamIdentity, into bytes: inout [UInt8]) {
        write(identity, withExtras: piece.endsEvent, into: &bytes) { bytes in
            writeChoice(piece, into: &bytes)
        } usage: { bytes in
            if includeUsage { bytes.append(#""usage":null,"#) }
        }
    }

    /// Writes an event without choices, in the place of the upstream's usage chunk, with `usage` in
    /// the place of its own.
    func writeUsage(_ usage: [UInt8], _ identity: StreamIdentity, into bytes: inout [UInt8]) {
        write(identity, withExtras: true, into: &bytes) { _ in
        } usage: { bytes in
            bytes.append(#""usage":"#)
            bytes.appendEscapingLineSeparators(usage.span)
            bytes.append(UInt8(ascii: ","))
        }
    }

    // MARK: - Parts

    /// What every chunk has.
    private enum Common: UInt8, CaseIterable { case id, object, created, model, choices }
    /// What every choice has.
    private enum CommonOfChoice: UInt8, CaseIterable { case index, delta, finish }

    private func common(_ member: JSONIndex.Value) -> Common? {
        if json.isNamed(member, "id") { return .id }
        if json.isNamed(member, "object") { return .object }
        if json.isNamed(member, "created") { return .created }
        if json.isNamed(member, "model") { return .model }
        return json.isNamed(member, "choices") ? .choices : nil
    }

    private func commonOfChoice(_ member: JSONIndex.Value) -> CommonOfChoice? {
        if json.isNamed(member, "index") { return .index }
        if json.isNamed(member, "delta") { return .delta }
        return json.isNamed(member, "finish_reason") ? .finish : nil
    }

    /// Writes the members in the upstream's order, so that what need not change does not.
    private func write(
        _ identity: StreamIdentity, withExtras: Bool, into bytes: inout [UInt8],
        choices: (inout [UInt8]) -> Void, usage: (inout [UInt8]) -> Void
    ) {
        var met: UInt8 = 0  // a bit for each
        var hasUsage = false
        bytes.append(UInt8(ascii: "{"))
        for member in json.parts(of: json.root) {
            if let known = common(member) {
                met |= 1 << known.rawValue
                write(known, identity, into: &bytes, choices)
            } else if json.isNamed(member, "usage") {
                hasUsage = true
                usage(&bytes)
            } else if withExtras || !isExtra(member) {
                bytes.append(member, of: json)
            }
        }
        for known in Common.allCases where met & 1 << known.rawValue == 0 {
            write(known, identity, into: &bytes, choices)
        }
        if !hasUsage { usage(&bytes) }
        bytes[bytes.count - 1] = UInt8(ascii: "}")
    }

    /// Writes a member whose value is the same in the whole stream, or ours to decide.
    private func write(
        _ known: Common, _ identity: StreamIdentity, into bytes: inout [UInt8],
        _ choices: (inout [UInt8]) -> Void
    ) {
        switch known {
        case .id:
            bytes.append(#""id":"#)
            bytes.append(identity.id.span)
        case .object: bytes.append(#""object":"chat.completion.chunk""#)
        case .created:
            bytes.append(#""created":"#)
            bytes.append(identity.created.span)
        case .model:
            bytes.append(#""model":"#)
            bytes.append(identity.model.span)
        case .choices:
            bytes.append(#""choices":["#)
            choices(&bytes)
            bytes.append(UInt8(ascii: "]"))
        }
        bytes.append(UInt8(ascii: ","))
    }

    /// Writes the choice after the pattern of the upstream's own, whose other members
    /// (`stop_reason` of vLLM, for one) come along once.
    private func writeChoice(_ piece: ChunkPiece, into bytes: inout [UInt8]) {
        var met: UInt8 = 0  // a bit for each
        bytes.append(UInt8(ascii: "{"))
        if let choice = choice(at: piece.position) {
            for member in json.parts(of: choice) {
                if let known = commonOfChoice(member) {
                    met |= 1 << known.rawValue
                    write(known, piece, into: &bytes)
                } else if json.isNamed(member, "logprobs") {
                    // Null where the event became several chunks and another one has them.
                    bytes.append(#""logprobs":"#)
                    if let logprobs = piece.logprobs {
                        bytes.appendEscapingLineSeparators(logprobs.span)
                    } else {
                        bytes.append("null")
                    }
                    bytes.append(UInt8(ascii: ","))
                } else if piece.endsChoice {
                    bytes.append(member, of: json)
                }
            }
        }
        for known in CommonOfChoice.allCases where met & 1 << known.rawValue == 0 {
            write(known, piece, into: &bytes)
        }
        bytes[bytes.count - 1] = UInt8(ascii: "}")
    }

    private func choice(at position: Int) -> JSONIndex.Value? {
        guard let choices else { return nil }
        var rest = position
        for choice in json.parts(of: choices) {
            if rest == 0 { return choice }
            rest -= 1
        }
        return nil
    }

    /// Writes a member that every choice has.
    private func write(
        _ known: CommonOfChoice, _ piece: ChunkPiece, into bytes: inout [UInt8]
    ) {
        switch known {
        case .index:
            bytes.append(#""index":"#)
            bytes.append(decimal: piece.index)
        case .delta:
            bytes.append(#""delta":"#)
            bytes.append(piece.delta.span)
        case .finish:
            bytes.append(#""finish_reason":"#)
            bytes.append(finish: piece.finish)
        }
        bytes.append(UInt8(ascii: ","))
    }

    /// Whether a member says something about this event alone, which must be said once.
    private func isExtra(_ member: JSONIndex.Value) -> Bool {
        json.kind(of: member) != .null && common(member) == nil && !json.isNamed(member, "usage")
            && !json.isNamed(member, "system_fingerprint")
            && !json.isNamed(member, "service_tier")
    }

    /// The same for a member of a choice.
    private func isChoiceExtra(_ member: JSONIndex.Value) -> Bool {
        json.kind(of: member) != .null && !json.isNamed(member, "logprobs")
            && commonOfChoice(member) == nil
    }
}

extension [UInt8] {
    /// Appends a member as it stands, with a comma after it.
    mutating func append(_ member: JSONIndex.Value, of json: JSONIndex) {
        appendMember(json.bytes.span, key: json.key(of: member), value: json.range(of: member))
    }

    /// The same where only the ranges are known, that of the key with its quotes.
    mutating func appendMember(_ json: Span<UInt8>, key: Range<Int>, value: Range<Int>) {
        if key.upperBound &+ 1 == value.lowerBound {
            // Only the colon between them, as nearly everybody writes it.
            appendEscapingLineSeparators(json.extracting(key.lowerBound..<value.upperBound))
        } else {
            appendEscapingLineSeparators(json.extracting(key))
            append(UInt8(ascii: ":"))
            appendEscapingLineSeparators(json.extracting(value))
        }
        append(UInt8(ascii: ","))
    }
}
