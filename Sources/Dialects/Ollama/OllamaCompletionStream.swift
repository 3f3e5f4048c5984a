// The stream of Ollama's native `/api/generate`, record by record.

internal import Chat
internal import JSON

/// Takes the records of one generation and writes the chunks of a text completion.
struct OllamaCompletionStream: RecordStream, Sendable {
    private(set) var writer: TextCompletionWriter
    /// Records so far.
    private(set) var dataEvents = 0
    private var logprobs = TextCompletionLogprobs()

    init(_ writer: TextCompletionWriter) { self.writer = writer }

    /// Takes one record, a line without its end.
    mutating func take(_ record: Span<UInt8>, into sink: inout ChunkSink) throws(DialectError) {
        // Older servers put an empty line here and there; and nothing counts behind the end.
        guard !writer.isDone, !record.isEmpty else { return }
        dataEvents &+= 1
        do {
            try takeWhole(record, into: &sink)
        } catch {
            guard error == .malformed, record[0] != UInt8(ascii: "{") else {
                throw error.asDialectError(record)
            }
            throw .stray(record)
        }
    }

    /// The stream is over. Without `done: true` it was cut, also when the HTTP body ended properly:
    /// that is how Ollama's repeat guard ends a stream (wire notes, section 3).
    mutating func finish(into sink: inout ChunkSink) throws(DialectError) {
        guard writer.isComplete else { throw .endedEarly }
        writer.writeEnd(into: &sink)
    }

    /// The stream has failed: writes what was held back.
    mutating func abandon(into sink: inout ChunkSink) { writer.writeHeldTexts(into: &sink) }

    // MARK: - Parts

    private mutating func takeWhole(
        _ record: Span<UInt8>, into sink: inout ChunkSink
    ) throws(StreamRefusal) {
        // A record may end inside a character, as an event may.
        guard let parsed = EventReading.parse(record), parsed.json.kind == .object else {
            throw .malformed
        }
        let members = uniqueMembers(of: parsed.json)
        if let error = members.value("error") { throw .reported(Array(error.bytes)) }
        let isDone = members.value("done")?.bool == true
        var delta = try delta(of: members)
        delta.isRepaired = parsed.strayBytes > 0
        guard !delta.isRepaired || strayByteCount(delta.text.span) == parsed.strayBytes else {
            throw .malformed
        }
        var envelope = PlainTextEnvelope()
        envelope.overhead += delta.logprobs?.count ?? 0
        if isDone {
            // "load", "unload", and what versions before 0.1.35 leave out: all of them an end.
            let isCut = members.value("done_reason")?.isString("length") == true
            delta.finish = isCut ? .length : .stop
            let metrics = OllamaMetrics(members)
            writer.usage.note(
                prompt: metrics.promptCount, completion: metrics.count, cached: metrics.cachedCount)
            envelope.timings = metrics.timings()
        }
        // Thoughts have no place in a text completion; only models that think whatever they are
        // asked send them here.
        guard isDone || !delta.text.isEmpty || delta.logprobs != nil else { return }
        do { try writer.write([delta], in: envelope, into: &sink) } catch { throw .malformed }
        if isDone { writer.writeEnd(into: &sink) }
    }

    private mutating func delta(
        of record: [JSONText.Member]
    ) throws(StreamRefusal) -> TextCompletionDelta {
        var delta = TextCompletionDelta(index: 0, position: 0)
        // An error record has neither; anything else without both is not Ollama's.
        guard record.value("response") != nil || record.value("done") != nil else {
            throw .malformed
        }
        if let response = record.value("response") {
            guard response.kind == .string else { throw .malformed }
            delta.text.appendEscapingLineSeparators(response.source[response.contents].span)
        }
        // In OpenAI's form for chats first, then in that for completions.
        var reader = OllamaMessageReader(isRepaired: false)
        let entries = record.filter { $0.key.isString("logprobs") || $0.key.isString("done") }
        if !entries.isEmpty, let list = try reader.delta(of: entries).logprobs,
            let json = try? JSONText(list)
        {
            delta.logprobs = logprobs.completed(json)
        }
        return delta
    }
}
