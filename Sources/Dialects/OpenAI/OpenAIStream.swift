// The stream of llama-server and its kind, event by event.

internal import Chat
internal import Framing
internal import JSON

/// Takes the events of one OpenAI-compatible stream and writes the client's chunks.
struct OpenAIStream: Sendable {
    private(set) var writer: StreamWriter
    /// Events with data so far.
    private(set) var dataEvents = 0
    /// Holds only between events that leave every state as it was: all others `forget` it.
    private var template = EventTemplate()

    init(_ options: StreamOptions) { writer = StreamWriter(options) }

    /// Takes what the event stream was found to hold.
    mutating func take(
        _ item: SSEItem, named name: Span<UInt8>, _ data: Span<UInt8>, into sink: inout ChunkSink
    ) throws(DialectError) {
        guard !writer.isDone else { return }
        switch item {
        case .data:
            guard !data.isEmpty else { return }
            dataEvents &+= 1
            if !name.isEmpty {
                if equal(name, 0..<name.count, "ping") { return }
                if equal(name, 0..<name.count, "error") {
                    throw failure(in: data, isError: true)
                }
            }
            try take(data, into: &sink)
        case .comment: break
        case .stray:
            guard !trimmed(data).isEmpty else { return }
            throw failure(in: data, isError: stands("error:", in: data))
        case .unterminated:
            // Some servers leave the last blank line out; else the connection broke inside an
            // event.
            do { try take(data, into: &sink) } catch {
                guard case .malformedFrame = error else { throw error }
                throw .endedEarly
            }
        }
    }

    /// Takes the data of one event.
    mutating func take(_ event: Span<UInt8>, into sink: inout ChunkSink) throws(DialectError) {
        if applyTemplate(event, &sink) { return }
        if template.learn(event, for: writer), applyTemplate(event, &sink) { return }
        // Whatever this is, it may change what the template took for granted.
        template.forget()
        let content = trimmed(event)
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
        // Separators double when they are escaped; what is near the limit is measured exactly.
        let limit = writer.options.eventSplit / 2
        guard let text = template.apply(event, limit: limit, into: &sink) else { return false }
        if let call = template.call {
            let arguments = event.extracting(text)
            writer.note(arguments: arguments, call: call.index, choice: call.choice)
        }
        return true
    }

    /// What a line that is no event says went wrong. llama-server once wrote `error: {…}`.
    private func failure(in line: Span<UInt8>, isError: Bool) -> DialectError {
        var start = 0
        while start < line.count, line[start] != UInt8(ascii: "{") { start += 1 }
        guard start < line.count, let (text, _) = parsed(line.extracting(start..<line.count))
        else { return .stray(line) }
        if let error = reportedError(text, uniqueMembers(of: text)) {
            return .reported(json: error)
        }
        return isError ? .reported(json: Array(text.bytes)) : .stray(line)
    }

    /// Reads an event member by member.
    private mutating func takeWhole(
        _ event: Span<UInt8>, into sink: inout ChunkSink
    ) throws(StreamRefusal) {
        guard let (text, strayBytes) = parsed(event), text.kind == .object else {
            throw .malformed
        }
        let members = uniqueMembers(of: text)
        if let error = reportedError(text, members) { throw .reported(error) }
        let includeUsage = writer.options.includeUsage
        guard let whole = OpenAIStreamEvent(text, members, includeUsage: includeUsage) else {
            throw .malformed
        }
        settle(whole)
        if let usage = whole.members.value("usage") { writer.usage.note(usage: usage) }
        var reader = OpenAIStreamDeltaReader(isRepaired: strayBytes > 0)
        var deltas: [ChoiceDelta] = []
        for (position, choice) in whole.choices.enumerated() {
            deltas.append(try reader.delta(of: choice, at: position))
        }
        guard reader.strayBytesInTexts == strayBytes else { throw .malformed }
        noteTimings(whole, deltas)
        if whole.choices.isEmpty {
            takeUsageChunk(whole, into: &sink)
            return
        }
        do { try writer.write(deltas, in: whole, into: &sink) } catch { throw .malformed }
    }

    /// The event as checked JSON, and how many bytes of cut characters were replaced to get there.
    private func parsed(_ event: Span<UInt8>) -> (JSONText, Int)? {
        var bytes: [UInt8] = []
        bytes.append(event)
        do {
            let text = try JSONText(bytes)
            guard hasControl(event) else { return (text, 0) }
            // Line breaks between tokens are harmless in JSON, but end a line in an event stream.
            let blanked = bytes.map { $0 < 0x20 ? 0x20 : $0 }
            return try (JSONText(blanked), 0)
        } catch JSONError.invalidUTF8 {
            // One that fails for another reason too is malformed.
            guard let repaired = repairingCutCharacters(event),
                let text = try? JSONText(repaired.bytes)
            else { return nil }
            return (text, repaired.count)
        } catch {
            return nil
        }
    }

    /// The JSON of a reported failure: the `error` member, or the whole event of vLLM's older form.
    private func reportedError(_ event: JSONText, _ members: [JSONText.Member]) -> [UInt8]? {
        if let error = members.value("error"), error.bool != false, error.string != "" {
            return Array(error.bytes)
        }
        guard members.value("object")?.isString("error") == true else { return nil }
        return Array(event.bytes)
    }

    /// Ids of other kinds are not taken over: clients and this program's users expect `chatcmpl-`.
    private mutating func settle(_ event: OpenAIStreamEvent) {
        guard !writer.hasBegun else { return }
        var id: [UInt8]?
        if let given = event.members.value("id"), given.string?.hasPrefix("chatcmpl-") == true {
            id = []
            id?.appendEscapingLineSeparators(given.bytes.span)
        }
        let created = event.members.value("created").flatMap { $0.int }
        var fingerprint: [UInt8]?
        if let given = event.members.value("system_fingerprint"), given.kind == .string {
            fingerprint = []
            fingerprint?.appendEscapingLineSeparators(given.bytes.span)
        }
        writer.settle(
            id: id, created: created.flatMap { $0 > 0 ? Array(String($0).utf8) : nil },
            fingerprint: fingerprint)
    }

    /// Only the timings that close a choice count; `timings_per_token` puts them everywhere.
    private mutating func noteTimings(_ event: OpenAIStreamEvent, _ deltas: [ChoiceDelta]) {
        guard let timings = event.members.value("timings") else { return }
        if deltas.contains(where: { $0.finish != nil }) {
            writer.usage.note(closingTimings: timings, inFinishChunk: true)
        } else if deltas.isEmpty {
            writer.usage.note(closingTimings: timings, inFinishChunk: false)
        }
    }

    /// An event without choices: the usage of all of them, or with llama-server of the one that
    /// finished last.
    private mutating func takeUsageChunk(_ event: OpenAIStreamEvent, into sink: inout ChunkSink) {
        let timings = event.members.value("timings").map { Array($0.bytes) }
        writer.writeHeldFinish(timings: timings, into: &sink)
        guard event.members.value("usage") != nil else { return }
        // Kept for the case that this chunk cannot leave yet, or counts one choice of several.
        writer.usage.timings = timings
        guard let usage = writer.usage.usageObject(), writer.takeTurnForUsage() else { return }
        sink.beginEvent()
        event.writeUsage(usage, writer.identity, into: &sink.bytes)
        sink.endEvent()
    }

    /// `event` without white space around it.
    private func trimmed(_ event: Span<UInt8>) -> Range<Int> {
        var range = 0..<event.count
        while !range.isEmpty, event[range.lowerBound] <= 0x20 {
            range = (range.lowerBound + 1)..<range.upperBound
        }
        while !range.isEmpty, event[range.upperBound - 1] <= 0x20 {
            range = range.lowerBound..<(range.upperBound - 1)
        }
        return range
    }
}

/// Whether the bytes begin with `literal`.
private func stands(_ literal: StaticString, in bytes: Span<UInt8>) -> Bool {
    let length = literal.utf8CodeUnitCount
    return bytes.count >= length && equal(bytes, 0..<length, literal)
}
