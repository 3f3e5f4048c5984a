// From frames to streams: what is done the same way with every event and every record, whichever
// endpoint they come from.

internal import Chat
internal import Framing

/// A stream of server-sent events of OpenAI's kind.
protocol EventStream {
    /// Whether the end was written.
    var isDone: Bool { get }
    /// Events with data so far.
    var dataEvents: Int { get set }
    /// Takes the data of one event.
    mutating func take(_ event: Span<UInt8>, into sink: inout ChunkSink) throws(DialectError)
}

extension EventStream {
    /// Takes what the event stream was found to hold.
    mutating func take(
        _ item: SSEItem, named name: Span<UInt8>, _ data: Span<UInt8>, into sink: inout ChunkSink
    ) throws(DialectError) {
        guard !isDone else { return }
        switch item {
        case .data:
            guard !data.isEmpty else { return }
            dataEvents &+= 1
            if !name.isEmpty {
                if equal(name, 0..<name.count, "ping") { return }
                if equal(name, 0..<name.count, "error") {
                    throw EventReading.failure(in: data, isError: true)
                }
            }
            try take(data, into: &sink)
        case .comment: break
        case .stray:
            guard !EventReading.trimmed(data).isEmpty else { return }
            let isError = data.count >= 6 && equal(data, 0..<6, "error:")
            throw EventReading.failure(in: data, isError: isError)
        case .unterminated:
            // Some servers leave the last blank line out; else the connection broke inside an
            // event.
            do { try take(data, into: &sink) } catch {
                guard case .malformedFrame = error else { throw error }
                throw .endedEarly
            }
        }
    }

    /// Takes the next bytes of the body.
    mutating func feed(
        _ bytes: Span<UInt8>, through events: inout SSEDecoder, into sink: inout ChunkSink
    ) throws(DialectError) {
        do {
            try events.feed(bytes) { item, name, data throws(DialectError) in
                try take(item, named: name, data, into: &sink)
            }
        } catch {
            throw error.merged { .frameTooLong(limitBytes: $0.limit) }
        }
    }

    /// The body has ended: takes what was left of it.
    mutating func takeRest(
        of events: inout SSEDecoder, into sink: inout ChunkSink
    ) throws(DialectError) {
        do {
            try events.finish { item, name, data throws(DialectError) in
                try take(item, named: name, data, into: &sink)
            }
        } catch {
            throw error.merged { .frameTooLong(limitBytes: $0.limit) }
        }
    }
}

/// A stream of lines of JSON, as Ollama writes them.
protocol RecordStream {
    /// Takes one record, a line without its end.
    mutating func take(_ record: Span<UInt8>, into sink: inout ChunkSink) throws(DialectError)
}

extension RecordStream {
    /// Takes the bytes behind the last line end: a whole record, as Ollama answers a mere load, or
    /// what is left of one.
    mutating func takeLast(
        _ record: Span<UInt8>, into sink: inout ChunkSink
    ) throws(DialectError) {
        do { try take(record, into: &sink) } catch {
            guard case .malformedFrame = error else { throw error }
            throw .endedEarly
        }
    }

    /// Takes the next bytes of the body.
    mutating func feed(
        _ bytes: Span<UInt8>, through records: inout LineSplitter, into sink: inout ChunkSink
    ) throws(DialectError) {
        do {
            try records.feed(bytes) { record throws(DialectError) in
                try take(record, into: &sink)
            }
        } catch {
            throw error.merged { .frameTooLong(limitBytes: $0.limit) }
        }
    }

    /// The body has ended: takes what was left of it.
    mutating func takeRest(
        of records: inout LineSplitter, into sink: inout ChunkSink
    ) throws(DialectError) {
        do {
            try records.finish { record throws(DialectError) in
                try takeLast(record, into: &sink)
            }
        } catch {
            throw error.merged { .frameTooLong(limitBytes: $0.limit) }
        }
    }
}
