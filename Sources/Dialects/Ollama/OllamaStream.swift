// The stream of Ollama's native `/api/chat`, record by record.

internal import Chat
internal import JSON

/// Takes the records of one Ollama stream and writes the client's chunks.
struct OllamaStream: RecordStream, Sendable {
    private(set) var writer: StreamWriter
    /// Records so far.
    private(set) var dataEvents = 0
    private var hasBegun = false
    /// What stands before and after the text of a token, built once.
    private var contentHead: [UInt8] = []
    private var reasoningHead: [UInt8] = []
    private var tail: [UInt8] = []

    init(_ options: StreamOptions) { writer = StreamWriter(options) }

    /// Takes one record, a line without its end.
    mutating func take(_ record: Span<UInt8>, into sink: inout ChunkSink) throws(DialectError) {
        // Older servers put an empty line here and there; and nothing counts behind the end.
        guard !writer.isDone, !record.isEmpty else { return }
        dataEvents &+= 1
        if hasBegun, takeToken(record, into: &sink) { return }
        do {
            try takeWhole(record, into: &sink)
            if !hasBegun { begin() }
        } catch {
            guard error == .malformed, record[0] != UInt8(ascii: "{") else {
                throw error.asDialectError(record)
            }
            throw .stray(record)
        }
    }

    /// The stream has failed: writes what was held back.
    mutating func abandon(into sink: inout ChunkSink) { writer.writeHeldTexts(into: &sink) }

    /// The stream is over. Without `done: true` it was cut, also when the HTTP body ended properly:
    /// that is how Ollama's repeat guard ends a stream (wire notes, section 3).
    mutating func finish(into sink: inout ChunkSink) throws(DialectError) {
        guard writer.isComplete else { throw .endedEarly }
        writer.writeEnd(into: &sink)
    }

    // MARK: - Tokens

    /// Builds what stands around the text of every token. The first record settles nothing that the
    /// caller did not know: Ollama has no id, and its times differ from record to record.
    private mutating func begin() {
        hasBegun = true
        var head: [UInt8] = []
        writer.identity.appendOpening(to: &head)
        head.append(#""choices":[{"index":0,"delta":{""#)
        contentHead = head
        contentHead.append(#"content":""#)
        switch writer.options.reasoning {
        case .reasoningContent: reasoningHead = head + Array(#"reasoning_content":""#.utf8)
        case .reasoning: reasoningHead = head + Array(#"reasoning":""#.utf8)
        case .both, .none: reasoningHead = []
        }
        tail.append("\"},\"finish_reason\":null}]")
        if writer.options.includeUsage { tail.append(#","usage":null"#) }
        tail.append(UInt8(ascii: "}"))
    }

    /// Writes a record that brings one plain text; `false` if it brings anything else.
    ///
    /// The text is copied as it is escaped: no allocation, one pass over the record.
    private func takeToken(_ record: Span<UInt8>, into sink: inout ChunkSink) -> Bool {
        var reader = OllamaTokenReader()
        // What is wrong with a record will be found, and said, on the slow path.
        // Half the limit, for separators double when they are escaped.
        guard writer.isSteady(0), record.count <= writer.options.eventSplit / 2,
            let isToken = try? reader.read(record), isToken
        else { return false }
        let text = reader.content.isEmpty ? reader.thinking : reader.content
        let head = reader.content.isEmpty ? reasoningHead.span : contentHead.span
        guard !text.isEmpty, reader.content.isEmpty || reader.thinking.isEmpty, !head.isEmpty,
            !mayEndInsideCharacter(record, text)
        else { return false }
        guard reader.hasNonASCII else {
            sink.appendEvent(head, record.extracting(text), tail.span)
            return true
        }
        sink.beginEvent()
        sink.bytes.append(head)
        sink.bytes.appendEscapingLineSeparators(record.extracting(text))
        sink.bytes.append(tail.span)
        sink.endEvent()
        return true
    }

    // MARK: - Everything else

    private mutating func takeWhole(
        _ record: Span<UInt8>, into sink: inout ChunkSink
    ) throws(StreamRefusal) {
        var bytes: [UInt8] = []
        bytes.append(record)
        var strayBytes = 0
        if let repaired = repairIfNeeded(record) { (bytes, strayBytes) = repaired }
        guard let text = try? JSONText(bytes), text.kind == .object else { throw .malformed }
        let members = uniqueMembers(of: text)
        if let error = members.value("error") { throw .reported(Array(error.bytes)) }
        let isDone = members.value("done")?.bool == true
        var reader = OllamaMessageReader(isRepaired: strayBytes > 0)
        var delta = try reader.delta(of: members)
        guard reader.strayBytesInTexts == strayBytes else { throw .malformed }
        var envelope = PlainEnvelope(includeUsage: writer.options.includeUsage)
        envelope.overhead = 512 + (delta.logprobs?.count ?? 0)
        if isDone {
            let word = members.value("done_reason")?.string
            // "load", "unload", and what versions before 0.1.35 leave out: all of them an end.
            delta.finish = word == "length" ? .length : .stop
            takeMetrics(OllamaMetrics(members), &envelope)
        }
        do { try writer.write([delta], in: envelope, into: &sink) } catch { throw .malformed }
        if isDone { writer.writeEnd(into: &sink) }
    }

    /// Takes the closing figures: counts for usage, durations for `timings`.
    private mutating func takeMetrics(_ metrics: OllamaMetrics, _ envelope: inout PlainEnvelope) {
        writer.usage.note(
            prompt: metrics.promptCount, completion: metrics.count, cached: metrics.cachedCount)
        // Where llama-server puts it: into the last chunk.
        let timings = metrics.timings()
        if writer.options.includeUsage {
            writer.usage.timings = timings
        } else {
            envelope.timings = timings
        }
    }

    /// The record with cut characters replaced; `nil` if it has none, or is broken otherwise.
    private func repairIfNeeded(_ record: Span<UInt8>) -> ([UInt8], Int)? {
        var scanner = JSONScanner(depthLimit: 128)
        do {
            _ = try scanner.skipValue(record)
            return nil
        } catch JSONError.invalidUTF8 {
            return repairingCutCharacters(record).map { ($0.bytes, $0.count) }
        } catch {
            return nil
        }
    }
}

/// Reads a record that may be a plain token.
private struct OllamaTokenReader {
    private(set) var content = 0..<0
    private(set) var thinking = 0..<0
    private var scanner = JSONScanner(depthLimit: 64)

    var hasNonASCII: Bool { scanner.hasNonASCII }

    /// `false` for everything that the slow path must look at.
    mutating func read(_ record: Span<UInt8>) throws(JSONError) -> Bool {
        var hasMessage = false
        var isGoingOn = false
        try scanner.enterObject(record)
        while let key = try scanner.nextMember(record) {
            if equal(record, key, "message") {
                guard !hasMessage, try readMessage(record) else { return false }
                hasMessage = true
            } else if equal(record, key, "done") {
                let value = try scanner.skipValue(record)
                guard !isGoingOn, equal(record, value, "false") else { return false }
                isGoingOn = true
            } else {
                let isHarmless = equal(record, key, "model") || equal(record, key, "created_at")
                guard isHarmless else { return false }
                try scanner.skipValue(record)
            }
        }
        try scanner.finish(record)
        return hasMessage && isGoingOn
    }

    private mutating func readMessage(_ record: Span<UInt8>) throws(JSONError) -> Bool {
        guard try scanner.peekKind(record) == .object else { return false }
        try scanner.enterObject(record)
        while let key = try scanner.nextMember(record) {
            guard try scanner.peekKind(record) == .string else { return false }
            let value = try scanner.scanString(record)
            if equal(record, key, "content") {
                guard content.isEmpty else { return false }
                content = value
            } else if equal(record, key, "thinking") {
                guard thinking.isEmpty else { return false }
                thinking = value
            } else if !equal(record, key, "role") {
                return false
            }
        }
        return true
    }
}
