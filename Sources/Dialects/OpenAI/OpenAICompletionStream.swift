// The stream of `POST /v1/completions` of llama-server and its kind, event by event.

internal import Chat
internal import JSON
internal import Text

/// Takes the events of one text completion and writes the client's chunks.
struct OpenAICompletionStream: EventStream, Sendable {
    private(set) var writer: TextCompletionWriter
    /// Events with data so far.
    var dataEvents = 0
    var isDone: Bool { writer.isDone }
    private var template = CompletionEventTemplate()
    /// By choice; only of those that have log probabilities.
    private var logprobs: [Int: TextCompletionLogprobs] = [:]

    init(_ writer: TextCompletionWriter) { self.writer = writer }

    /// Takes the data of one event.
    mutating func take(_ event: Span<UInt8>, into sink: inout ChunkSink) throws(DialectError) {
        if template.apply(event, limit: writer.options.eventSplit / 2, into: &sink) { return }
        // What was learned no longer holds: the state of a choice may change.
        template.forget()
        let content = EventReading.trimmed(event)
        if equal(event, content, "[DONE]") {
            guard writer.isComplete else { throw .endedEarly }
            writer.writeEnd(into: &sink)
            return
        }
        // llama-server sends `data: null` for arrays of prompts (wire notes, section 2).
        if equal(event, content, "null") { return }
        do { try takeWhole(event, into: &sink) } catch { throw error.asDialectError(event) }
    }

    /// The stream is over: writes what completes a complete answer.
    mutating func finish(into sink: inout ChunkSink) throws(DialectError) {
        guard writer.isComplete else { throw .endedEarly }
        writer.writeEnd(into: &sink)
    }

    /// The stream has failed: writes what was held back.
    mutating func abandon(into sink: inout ChunkSink) { writer.writeHeldTexts(into: &sink) }

    // MARK: - Parts

    /// Reads an event member by member.
    private mutating func takeWhole(
        _ event: Span<UInt8>, into sink: inout ChunkSink
    ) throws(StreamRefusal) {
        guard let parsed = EventReading.parse(event), parsed.json.kind == .object else {
            throw .malformed
        }
        if let error = EventReading.reportedError(parsed.json) { throw .reported(error) }
        guard let whole = OpenAICompletionEvent(parsed.json) else { throw .malformed }
        settle(whole)
        var deltas: [TextCompletionDelta] = []
        var strayBytes = 0
        for (position, choice) in whole.choices.enumerated() {
            var delta = try delta(of: choice, at: position)
            delta.isRepaired = parsed.strayBytes > 0
            if delta.isRepaired { strayBytes += strayByteCount(delta.text.span) }
            deltas.append(delta)
        }
        // Only in texts can they be joined with their rest.
        guard strayBytes == parsed.strayBytes else { throw .malformed }
        note(whole, deltas)
        guard !deltas.isEmpty else { return }
        let start = sink.bytes.count
        do { try writer.write(deltas, in: whole, into: &sink) } catch { throw .malformed }
        if parsed.strayBytes == 0, let text = whole.plainText, writer.isSteady(deltas[0].index) {
            template.learn(parsed.json.source, text: text, writtenAt: start, in: sink)
        }
    }

    private mutating func delta(
        of choice: [JSONText.Member], at position: Int
    ) throws(StreamRefusal) -> TextCompletionDelta {
        guard let index = choice.value("index").map(\.int) ?? 0 else { throw .malformed }
        var delta = TextCompletionDelta(index: index, position: position)
        delta.finish = try EventReading.finishReason(choice.value("finish_reason"))
        if let value = choice.value("logprobs") {
            delta.logprobs = logprobs[index, default: TextCompletionLogprobs()].completed(value)
        }
        guard let text = choice.value("text") else { return delta }
        guard text.kind == .string else { throw .malformed }
        delta.text.appendEscapingLineSeparators(text.source[text.contents].span)
        return delta
    }

    private mutating func settle(_ event: OpenAICompletionEvent) {
        var id: [UInt8]?
        let prefixes = ["cmpl-", "chatcmpl-"]
        if let given = event.members.value("id"), let name = given.string,
            prefixes.contains(where: name.hasPrefix)
        {
            id = []
            id?.appendEscapingLineSeparators(given.bytes.span)
        }
        var fingerprint: [UInt8]?
        if let given = event.members.value("system_fingerprint"), given.kind == .string {
            fingerprint = []
            fingerprint?.appendEscapingLineSeparators(given.bytes.span)
        }
        let created = event.members.value("created")?.int
        writer.settle(
            id: id, created: created.flatMap { $0 > 0 ? $0 : nil }, fingerprint: fingerprint)
    }

    /// Counts tokens: llama-server tells those of each choice with its finish.
    private mutating func note(
        _ event: OpenAICompletionEvent, _ deltas: [TextCompletionDelta]
    ) {
        if deltas.isEmpty, let timings = event.members.value("timings") {
            writer.usage.timings = Array(timings.bytes)
        }
        guard let usage = event.members.value("usage"), usage.kind == .object else { return }
        if deltas.count == 1 {
            writer.usage.note(usage, ofChoice: deltas[0].index)
        } else {
            writer.usage.note(sum: usage)
        }
    }
}

/// What stands around the text of a token event, as it came and as it leaves.
///
/// An upstream writes the same bytes around every token. So an event with the same bytes around
/// one string as the last one needs only that string checked.
struct CompletionEventTemplate: Sendable {
    private var isLearned = false
    private var upstreamHead: [UInt8] = []
    private var upstreamTail: [UInt8] = []
    private var clientHead: [UInt8] = []
    private var clientTail: [UInt8] = []

    mutating func forget() { isLearned = false }

    /// Learns from an event and from what was written for it into `sink`, from `start` on. `text`
    /// is where the text stands in the event.
    mutating func learn(
        _ event: [UInt8], text: Range<Int>, writtenAt start: Int, in sink: ChunkSink
    ) {
        var written: [UInt8] = []
        written.appendEscapingLineSeparators(event[text].span)
        let marker = Array(#""text":""#.utf8)
        // The text is found behind its name, if that name stands there once.
        let chunk = sink.bytes[start...]
        guard let place = chunk.firstRange(of: marker + written + [UInt8(ascii: "\"")]),
            chunk.firstRange(of: marker)?.lowerBound == place.lowerBound,
            chunk[place.upperBound...].firstRange(of: marker) == nil
        else { return }
        let textStart = place.lowerBound + marker.count
        upstreamHead = Array(event[..<text.lowerBound])
        upstreamTail = Array(event[text.upperBound...])
        clientHead = Array(chunk[..<textStart])
        clientTail = Array(chunk[(textStart + written.count)...])
        isLearned = true
    }

    /// Writes `event` if it is like the one learned; `false` if it is not.
    func apply(_ event: Span<UInt8>, limit: Int, into sink: inout ChunkSink) -> Bool {
        guard isLearned, event.count <= limit else { return false }
        let tailStart = event.count &- upstreamTail.count
        guard tailStart >= upstreamHead.count, stands(upstreamHead.span, in: event, at: 0),
            stands(upstreamTail.span, in: event, at: tailStart)
        else { return false }
        // The head ends with the opening quote, the tail begins with the closing one.
        var scanner = JSONScanner(at: upstreamHead.count &- 1, depthLimit: 1)
        // What is wrong with a text will be found, and said, on the slow path.
        guard let text = try? scanner.scanString(event), text.upperBound == tailStart,
            !mayEndInsideCharacter(event, text)
        else { return false }
        sink.bytes.append(clientHead.span)
        sink.bytes.appendEscapingLineSeparators(event.extracting(text))
        sink.bytes.append(clientTail.span)
        return true
    }
}
