// The stream of an Ollama for a client of Ollama's: its own bytes, checked on the way.

import Chat
internal import Framing
import JSON

/// Passes records on as they are, but for the model's name where the client calls it otherwise.
///
/// Each is checked to be a record, because what is not must not reach a client as if it were, and
/// because the end has to be known: without `done: true` the answer was cut, also when the body
/// ended properly (wire notes of Ollama, section 3).
struct OllamaRelayDecoder: AnswerDecoder {
    private var lines: LineSplitter
    private var stream: OllamaRelayStream

    init(model: String, eventLimit: Int) {
        lines = LineSplitter(limit: eventLimit)
        stream = OllamaRelayStream(model: model)
    }

    var dataEvents: Int { stream.dataEvents }
    var isAnswerComplete: Bool { stream.isDone }
    var isDone: Bool { stream.isDone }
    var usage: (promptTokens: Int, completionTokens: Int)? { stream.usage }

    mutating func feed(
        _ bytes: Span<UInt8>, into sink: inout ChunkSink
    ) throws(DialectError) {
        guard !isDone else { return }
        do { try stream.feed(bytes, through: &lines, into: &sink) } catch { try pardon(error) }
    }

    mutating func finish(into sink: inout ChunkSink) throws(DialectError) {
        guard !isDone else { return }
        do { try stream.takeRest(of: &lines, into: &sink) } catch { try pardon(error) }
        guard isDone else { throw .endedEarly }
    }

    mutating func appendFailure(_ error: APIError, into sink: inout ChunkSink) {
        sink.appendOllamaFailure(error)
    }

    /// What follows the end is the upstream's own affair.
    private func pardon(_ error: DialectError) throws(DialectError) {
        guard !isDone else { return }
        throw error
    }
}

/// Takes the records of one answer and passes them on.
private struct OllamaRelayStream: RecordStream, Sendable {
    /// Records so far.
    private(set) var dataEvents = 0
    /// Whether the last record has come.
    private(set) var isDone = false
    private(set) var usage: (promptTokens: Int, completionTokens: Int)?
    /// The client's name of the model, as JSON.
    private var model: [UInt8] = []

    init(model: String) { self.model.appendJSONString(model) }

    mutating func take(_ record: Span<UInt8>, into sink: inout ChunkSink) throws(DialectError) {
        // Older servers put an empty line here and there; and nothing counts behind the end.
        guard !isDone, !record.isEmpty else { return }
        dataEvents &+= 1
        var reader = OllamaRecordReader()
        do { try reader.read(record) } catch {
            throw record[0] == UInt8(ascii: "{") ? .malformed(record) : .stray(record)
        }
        if let error = reader.error {
            var json: [UInt8] = []
            json.append(record, error)
            throw .reported(json: json)
        }
        guard let done = reader.done, reader.hasText || done else { throw .malformed(record) }
        sink.beginEvent()
        if let name = reader.model, !isOurs(record, name) {
            append(record, 0..<name.lowerBound, reader, &sink)
            sink.bytes.append(model.span)
            append(record, name.upperBound..<record.count, reader, &sink)
        } else {
            append(record, 0..<record.count, reader, &sink)
        }
        sink.endEvent()
        guard done else { return }
        isDone = true
        usage = (reader.promptTokens, reader.completionTokens)
    }

    private func isOurs(_ record: Span<UInt8>, _ name: Range<Int>) -> Bool {
        name.count == model.count && stands(model.span, in: record, at: name.lowerBound)
    }

    /// Ollama leaves U+0085 as it is, and its own Python client breaks the line there.
    private func append(
        _ record: Span<UInt8>, _ range: Range<Int>, _ reader: OllamaRecordReader,
        _ sink: inout ChunkSink
    ) {
        if reader.hasNonASCII {
            sink.bytes.appendEscapingLineSeparators(record.extracting(range))
        } else {
            sink.bytes.append(record, range)
        }
    }
}

/// What has to be known of a record. Of duplicate keys the last one counts.
private struct OllamaRecordReader {
    private(set) var model: Range<Int>?
    private(set) var error: Range<Int>?
    /// Whether it is the last one; `nil` if it does not say.
    private(set) var done: Bool?
    /// Whether it has the member that brings text.
    private(set) var hasText = false
    private(set) var promptTokens = 0
    private(set) var completionTokens = 0
    private var scanner = JSONScanner(depthLimit: 128)

    var hasNonASCII: Bool { scanner.hasNonASCII }

    mutating func read(_ record: Span<UInt8>) throws(JSONError) {
        try scanner.enterObject(record)
        while let key = try scanner.nextMember(record) {
            let kind = try scanner.peekKind(record)
            let value = try scanner.skipValue(record)
            guard kind != .null else { continue }
            if equal(record, key, "model") {
                model = kind == .string ? value : nil
            } else if equal(record, key, "done") {
                done = equal(record, value, "true")
            } else if equal(record, key, "message") || equal(record, key, "response") {
                hasText = true
            } else if equal(record, key, "error") {
                error = value
            } else if equal(record, key, "prompt_eval_count") {
                promptTokens = Self.count(record, value)
            } else if equal(record, key, "eval_count") {
                completionTokens = Self.count(record, value)
            }
        }
        try scanner.finish(record)
    }

    /// A count; 0 for what is none.
    private static func count(_ record: Span<UInt8>, _ range: Range<Int>) -> Int {
        guard range.count <= 15 else { return 0 }
        var number = 0
        for i in range {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(record[i]) else { return 0 }
            number = number * 10 + Int(record[i] - UInt8(ascii: "0"))
        }
        return number
    }
}
