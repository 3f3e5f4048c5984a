// The stream of llama-server and its kind, event by event.

internal import Chat
internal import Framing
internal import JSON

/// Takes the events of one OpenAI-compatible stream and writes the client's chunks.
struct OpenAIStream: EventStream, Sendable {
    // What a token touches stands first, so that it lies together in memory.
    /// Events with data so far.
    var dataEvents = 0
    /// Holds only between events that leave every state as it was: all others `forget` it.
    private var template = EventTemplate()
    private(set) var writer: StreamWriter
    var isDone: Bool { writer.isDone }
    /// What each event is compared with.
    var learned: [[UInt8]] { template.learned }

    init(_ options: StreamOptions) { writer = StreamWriter(options) }

    /// Takes the data of one event.
    mutating func take(_ event: Span<UInt8>, into sink: inout ChunkSink) throws(DialectError) {
        if applyTemplate(event, &sink) { return }
        if template.learn(event, for: writer), applyTemplate(event, &sink) { return }
        // Whatever this is, it may change what the template took for granted.
        template.forget()
        let content = EventReading.trimmed(event)
        if equal(event, content, "[DONE]") {
            // The mark alone proves nothing: a proxy in between may have added it.
            guard writer.isComplete else { throw .endedEarly }
            writer.writeEnd(into: &sink)
            return
        }
        // llama-server sends `data: null` for arrays of prompts (wire notes, section 2).
        if equal(event, content, "null") { return }
        do { try takeWhole(event, into: &sink) } catch { throw error.asDialectError(event) }
    }

    /// Takes a whole answer that came instead of a stream.
    mutating func take(
        _ answer: OpenAIWholeAnswer, into sink: inout ChunkSink
    ) throws(DialectError) {
        guard !writer.isDone else { return }
        guard answer.isClosed else { throw .endedEarly }
        dataEvents &+= 1
        let event = answer.asEvent()
        do { try takeWhole(event.span, into: &sink) } catch {
            throw error.asDialectError(answer.bytes.span)
        }
        // Nothing more will come: without a finish the answer was cut.
        try finish(into: &sink)
    }

    /// The stream has failed: writes what was held back.
    mutating func abandon(into sink: inout ChunkSink) { writer.writeHeldTexts(into: &sink) }

    /// The stream is over: writes what completes a complete answer.
    mutating func finish(into sink: inout ChunkSink) throws(DialectError) {
        guard writer.isComplete else { throw .endedEarly }
        template.forget()
        writer.writeEnd(into: &sink)
    }

    // MARK: - Parts

    /// Writes an event like the last token; `false` if it is none.
    private mutating func applyTemplate(_ event: Span<UInt8>, _ sink: inout ChunkSink) -> Bool {
        guard let text = template.apply(event, into: &sink) else { return false }
        if let call = template.call {
            let arguments = event.extracting(text)
            writer.note(arguments: arguments, call: call.index, choice: call.choice)
        }
        return true
    }

    /// Reads an event member by member.
    private mutating func takeWhole(
        _ event: Span<UInt8>, into sink: inout ChunkSink
    ) throws(StreamRefusal) {
        guard let parsed = EventReading.index(event),
            parsed.json.kind(of: parsed.json.root) == .object
        else { throw .malformed }
        let strayBytes = parsed.strayBytes
        let whole = OpenAIStreamEvent(parsed.json, includeUsage: writer.options.includeUsage)
        if let error = whole.reportedError { throw .reported(error) }
        guard whole.isWellFormed else { throw .malformed }
        if !writer.hasBegun { settle(whole) }
        if let usage = whole.usage { writer.usage.note(usage: usage, of: whole.json) }
        var reader = OpenAIStreamDeltaReader(isRepaired: strayBytes > 0)
        let deltas = try whole.deltas(&reader)
        guard reader.strayBytesInTexts == strayBytes else { throw .malformed }
        noteTimings(whole, deltas)
        if deltas.isEmpty {
            takeUsageChunk(whole, into: &sink)
            return
        }
        do { try writer.write(deltas, in: whole, into: &sink) } catch { throw .malformed }
    }

    /// Takes over what the first event says about the stream. Ids of other kinds are not taken
    /// over: clients and this program's users expect `chatcmpl-`.
    private mutating func settle(_ event: OpenAIStreamEvent) {
        let json = event.json
        var id: [UInt8]?
        if let given = event.id, isChatID(json.text(of: given)) {
            id = []
            id?.appendEscapingLineSeparators(json.bytes(of: given).span)
        }
        var created: [UInt8]?
        if let given = event.created.flatMap({ json.text(of: $0).int }), given > 0 {
            created = []
            created?.append(decimal: given)
        }
        var fingerprint: [UInt8]?
        if let given = event.fingerprint, json.kind(of: given) == .string {
            fingerprint = []
            fingerprint?.appendEscapingLineSeparators(json.bytes(of: given).span)
        }
        writer.settle(id: id, created: created, fingerprint: fingerprint)
    }

    /// Whether an id begins as clients expect it.
    private func isChatID(_ id: JSONText) -> Bool {
        guard id.kind == .string else { return false }
        // A plain letter or digit behind the hyphen: no escape and no mark can belong to it.
        let (bytes, start) = (id.source.span, id.contents.lowerBound)
        if id.contents.count > 9, equal(bytes, start..<(start + 9), "chatcmpl-") {
            switch bytes[start + 9] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "a")...UInt8(ascii: "z"):
                return true
            default: break
            }
        }
        return id.string?.hasPrefix("chatcmpl-") == true
    }

    /// Only the timings that close a choice count; `timings_per_token` puts them everywhere.
    private mutating func noteTimings(_ event: OpenAIStreamEvent, _ deltas: [ChoiceDelta]) {
        guard let timings = event.timings else { return }
        if deltas.contains(where: { $0.finish != nil }) {
            writer.usage.note(closingTimings: timings, of: event.json, inFinishChunk: true)
        } else if deltas.isEmpty {
            writer.usage.note(closingTimings: timings, of: event.json, inFinishChunk: false)
        }
    }

    /// An event without choices: the usage of all of them, or with llama-server of the one that
    /// finished last.
    private mutating func takeUsageChunk(_ event: OpenAIStreamEvent, into sink: inout ChunkSink) {
        let timings = event.timings.map { Array(event.json.bytes(of: $0)) }
        writer.writeHeldFinish(timings: timings, into: &sink)
        guard event.usage != nil else { return }
        // Kept for the case that this chunk cannot leave yet, or counts one choice of several.
        writer.usage.timings = timings
        guard let usage = writer.usage.usageObject(), writer.takeTurnForUsage() else { return }
        sink.beginEvent()
        event.writeUsage(usage, writer.identity, into: &sink.bytes)
        sink.endEvent()
    }
}
