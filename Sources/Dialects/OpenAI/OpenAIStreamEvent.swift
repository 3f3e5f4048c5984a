// One event of an OpenAI-compatible stream, read whole: for everything but plain tokens.

internal import Chat
internal import JSON

/// A `chat.completion.chunk` as an upstream wrote it, and the chunks written after its pattern.
struct OpenAIStreamEvent {
    let json: JSONIndex
    // The members that matter, unless they are null: each is looked for once.
    private(set) var id: JSONIndex.Value?
    private(set) var created: JSONIndex.Value?
    private(set) var fingerprint: JSONIndex.Value?
    private(set) var usage: JSONIndex.Value?
    private(set) var timings: JSONIndex.Value?
    private var object: JSONIndex.Value?
    private var error: JSONIndex.Value?
    /// The array of choices.
    private var choices: JSONIndex.Value?
    private let includeUsage: Bool

    /// Takes an object for an event.
    init(_ json: JSONIndex, includeUsage: Bool) {
        self.json = json
        self.includeUsage = includeUsage
        for member in json.parts(of: json.root) where json.kind(of: member) != .null {
            switch name(of: member) {
            case .id: id = member
            case .object: object = member
            case .created: created = member
            case .choices: choices = member
            case .usage: usage = member
            case .fingerprint: fingerprint = member
            case .timings: timings = member
            case .error: error = member
            case .model, .tier, .other: break
            }
        }
    }

    /// Whether the event has choices, all of them objects, or else usage.
    var isWellFormed: Bool {
        guard let choices else {
            // An event of usage alone may leave its empty choices out.
            return usage.map { json.kind(of: $0) == .object } ?? false
        }
        guard json.kind(of: choices) == .array else { return false }
        return json.parts(of: choices).allSatisfy { json.kind(of: $0) == .object }
    }

    /// The JSON of a reported failure.
    var reportedError: [UInt8]? {
        let isChunk = object.map { json.isWritten($0, chunkObject) } ?? true
        guard error != nil || !isChunk else { return nil }
        return EventReading.reportedError(
            json.text(of: json.root), error.map(json.text), object: object.map(json.text))
    }

    /// What each choice adds.
    func deltas(_ reader: inout OpenAIStreamDeltaReader) throws(StreamRefusal) -> [ChoiceDelta] {
        guard let choices else { return [] }
        var deltas: [ChoiceDelta] = []
        for choice in json.parts(of: choices) {
            deltas.append(try reader.delta(of: choice, at: deltas.count, in: json))
        }
        return deltas
    }

    // MARK: - Names

    /// The members this program knows; those every chunk has come first.
    private enum Name: UInt8 {
        case id, object, created, model, choices
        case usage, fingerprint, tier, timings, error, other

        /// Whether every chunk has it.
        var isCommon: Bool { rawValue <= Name.choices.rawValue }
        /// A bit for each of those.
        static let allCommon: UInt8 = 0b11111
    }

    private func name(of member: JSONIndex.Value) -> Name {
        let key = json.name(of: member)
        if json.isNamed(key, "choices") { return .choices }
        if json.isNamed(key, "created") { return .created }
        if json.isNamed(key, "id") { return .id }
        if json.isNamed(key, "model") { return .model }
        if json.isNamed(key, "system_fingerprint") { return .fingerprint }
        if json.isNamed(key, "object") { return .object }
        if json.isNamed(key, "usage") { return .usage }
        if json.isNamed(key, "timings") { return .timings }
        if json.isNamed(key, "error") { return .error }
        return json.isNamed(key, "service_tier") ? .tier : .other
    }

    /// The same for the members of a choice.
    private enum ChoiceName: UInt8 {
        case index, delta, finish
        case logprobs, other

        var isCommon: Bool { rawValue <= ChoiceName.finish.rawValue }
        static let allCommon: UInt8 = 0b111
    }

    private func choiceName(of member: JSONIndex.Value) -> ChoiceName {
        let key = json.name(of: member)
        if json.isNamed(key, "index") { return .index }
        if json.isNamed(key, "delta") { return .delta }
        if json.isNamed(key, "finish_reason") { return .finish }
        return json.isNamed(key, "logprobs") ? .logprobs : .other
    }
}

/// What every chunk says it is.
private let chunkObject: StaticString = #""chat.completion.chunk""#

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

    var hasTimings: Bool { timings != nil }

    var hasExtras: Bool {
        for member in json.parts(of: json.root) where isExtra(member, name(of: member)) {
            return true
        }
        guard let choices else { return false }
        return json.parts(of: choices).contains {
            json.parts(of: $0).contains(where: isChoiceExtra)
        }
    }

    func write(_ piece: ChunkPiece, _ identity: StreamIdentity, into bytes: inout [UInt8]) {
        write(piece, usage: nil, identity, into: &bytes)
    }

    /// Writes an event without choices, in the place of the upstream's usage chunk, with `usage` in
    /// the place of its own.
    func writeUsage(_ usage: [UInt8], _ identity: StreamIdentity, into bytes: inout [UInt8]) {
        write(nil, usage: usage, identity, into: &bytes)
    }

    // MARK: - Parts

    /// Writes the members in the upstream's order, so that what need not change does not.
    private func write(
        _ piece: ChunkPiece?, usage: [UInt8]?, _ identity: StreamIdentity, into bytes: inout [UInt8]
    ) {
        let withExtras = piece?.endsEvent ?? true
        var met: UInt8 = 0  // a bit for each common member
        var hasUsage = false
        var copy = MemberCopy()
        bytes.append(UInt8(ascii: "{"))
        for member in json.parts(of: json.root) {
            let name = name(of: member)
            if name.isCommon {
                met |= 1 << name.rawValue
                if !stays(member, name, identity) || !copy.add(member, of: json, into: &bytes) {
                    copy.flush(json, into: &bytes)
                    write(name, piece, identity, into: &bytes)
                }
            } else if name == .usage {
                hasUsage = true
                copy.flush(json, into: &bytes)
                write(usage: usage, into: &bytes)
            } else if withExtras || !isExtra(member, name) {
                copy.put(member, of: json, into: &bytes)
            }
        }
        copy.flush(json, into: &bytes)
        if met != Name.allCommon {
            for rest in (0 as UInt8)..<5 where met & 1 << rest == 0 {
                write(Name(rawValue: rest) ?? .other, piece, identity, into: &bytes)
            }
        }
        if !hasUsage { write(usage: usage, into: &bytes) }
        bytes[bytes.count - 1] = UInt8(ascii: "}")
    }

    /// Whether the value of a common member already is what every chunk says.
    private func stays(
        _ member: JSONIndex.Value, _ name: Name, _ identity: StreamIdentity
    ) -> Bool {
        // An escaped key is another way to write one of ours.
        if json.hasEscapes { return false }
        return switch name {
        case .id: json.isWritten(member, identity.id.span)
        case .object: json.isWritten(member, chunkObject)
        case .created: json.isWritten(member, identity.created.span)
        case .model: json.isWritten(member, identity.model.span)
        default: false
        }
    }

    private func write(usage: [UInt8]?, into bytes: inout [UInt8]) {
        if let usage {
            bytes.append(#""usage":"#)
            bytes.appendEscapingLineSeparators(usage.span)
            bytes.append(UInt8(ascii: ","))
        } else if includeUsage {
            bytes.append(#""usage":null,"#)
        }
    }

    /// Writes a member whose value is the same in the whole stream, or ours to decide.
    private func write(
        _ name: Name, _ piece: ChunkPiece?, _ identity: StreamIdentity, into bytes: inout [UInt8]
    ) {
        switch name {
        case .id: bytes.appendMember(#""id":"#, identity.id.span)
        case .object: bytes.append(#""object":"chat.completion.chunk","#)
        case .created: bytes.appendMember(#""created":"#, identity.created.span)
        case .model: bytes.appendMember(#""model":"#, identity.model.span)
        case .choices:
            guard let piece else { return bytes.append(#""choices":[],"#) }
            bytes.append(#""choices":[{"#)
            writeChoice(piece, into: &bytes)
            bytes.append("],")
        default: break
        }
    }

    /// Writes the choice, less its opening brace, after the pattern of the upstream's own, whose
    /// other members (`stop_reason` of vLLM, for one) come along once.
    private func writeChoice(_ piece: ChunkPiece, into bytes: inout [UInt8]) {
        var met: UInt8 = 0  // a bit for each common member
        if let choice = choice(at: piece.position) {
            var copy = MemberCopy()
            for member in json.parts(of: choice) {
                let name = choiceName(of: member)
                guard name != .other else {
                    if piece.endsChoice { copy.put(member, of: json, into: &bytes) }
                    continue
                }
                if name.isCommon { met |= 1 << name.rawValue }
                if !stays(member, name, piece) || !copy.add(member, of: json, into: &bytes) {
                    copy.flush(json, into: &bytes)
                    write(name, piece, into: &bytes)
                }
            }
            copy.flush(json, into: &bytes)
        }
        if met != ChoiceName.allCommon {
            for rest in (0 as UInt8)..<3 where met & 1 << rest == 0 {
                write(ChoiceName(rawValue: rest) ?? .other, piece, into: &bytes)
            }
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

    private func stays(_ member: JSONIndex.Value, _ name: ChoiceName, _ piece: ChunkPiece) -> Bool {
        if json.hasEscapes { return false }
        return switch name {
        case .index: piece.index == 0 && json.isWritten(member, "0")
        case .finish: piece.finish == nil && json.kind(of: member) == .null
        case .logprobs: piece.logprobs == nil && json.kind(of: member) == .null
        case .delta, .other: false
        }
    }

    /// Writes a member whose value is the piece's.
    private func write(_ name: ChoiceName, _ piece: ChunkPiece, into bytes: inout [UInt8]) {
        switch name {
        case .index:
            bytes.append(#""index":"#)
            bytes.append(decimal: piece.index)
            bytes.append(UInt8(ascii: ","))
        case .delta: bytes.appendMember(#""delta":"#, piece.delta.span)
        case .finish:
            bytes.append(#""finish_reason":"#)
            bytes.append(finish: piece.finish)
            bytes.append(UInt8(ascii: ","))
        case .logprobs:
            // Null where the event became several chunks and another one has them.
            bytes.append(#""logprobs":"#)
            if let logprobs = piece.logprobs {
                bytes.appendEscapingLineSeparators(logprobs.span)
            } else {
                bytes.append("null")
            }
            bytes.append(UInt8(ascii: ","))
        case .other: break
        }
    }

    /// Whether a member says something about this event alone, which must be said once.
    private func isExtra(_ member: JSONIndex.Value, _ name: Name) -> Bool {
        switch name {
        case .timings, .error, .other: json.kind(of: member) != .null
        case .id, .object, .created, .model, .choices, .usage, .fingerprint, .tier: false
        }
    }

    /// The same for a member of a choice.
    private func isChoiceExtra(_ member: JSONIndex.Value) -> Bool {
        json.kind(of: member) != .null && choiceName(of: member) == .other
    }
}

/// Copies members that stay as they are, neighbours in one piece.
private struct MemberCopy {
    /// What was added and not yet written; empty if there is nothing.
    private var run = 0..<0

    /// Adds a member to what is copied; `false` if it is not written as we would.
    @inline(__always)
    mutating func add(
        _ member: JSONIndex.Value, of json: JSONIndex, into bytes: inout [UInt8]
    ) -> Bool {
        let (key, value) = (json.key(of: member), json.range(of: member))
        guard key.upperBound &+ 1 == value.lowerBound else { return false }
        if run.upperBound &+ 1 == key.lowerBound, !run.isEmpty {
            // Only the comma between them.
            run = run.lowerBound..<value.upperBound
        } else {
            flush(json, into: &bytes)
            run = key.lowerBound..<value.upperBound
        }
        return true
    }

    /// The same for a member that may be written in any way.
    @inline(__always)
    mutating func put(_ member: JSONIndex.Value, of json: JSONIndex, into bytes: inout [UInt8]) {
        guard !add(member, of: json, into: &bytes) else { return }
        flush(json, into: &bytes)
        bytes.appendMember(
            json.bytes.span, key: json.key(of: member), value: json.range(of: member))
    }

    /// Writes what was added, with a comma after it.
    mutating func flush(_ json: JSONIndex, into bytes: inout [UInt8]) {
        guard !run.isEmpty else { return }
        bytes.appendEscapingLineSeparators(json.bytes.span.extracting(run))
        bytes.append(UInt8(ascii: ","))
        run = 0..<0
    }
}

extension JSONIndex {
    /// Whether `value` is written exactly so.
    fileprivate func isWritten(_ value: Value, _ wanted: Span<UInt8>) -> Bool {
        let range = range(of: value)
        return range.count == wanted.count && stands(wanted, in: bytes.span, at: range.lowerBound)
    }

    @inline(__always)
    fileprivate func isWritten(_ value: Value, _ wanted: StaticString) -> Bool {
        equal(bytes.span, range(of: value), wanted)
    }
}

extension [UInt8] {
    /// Appends a member of ours, with a comma after it; `key` ends with the colon.
    @inline(__always)
    fileprivate mutating func appendMember(_ key: StaticString, _ value: Span<UInt8>) {
        append(key)
        append(value)
        append(UInt8(ascii: ","))
    }

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
