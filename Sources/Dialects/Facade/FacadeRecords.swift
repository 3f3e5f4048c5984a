// Normalised chunks in, Ollama's records out.

import Chat
import JSON

/// Writes the records of one answer of `/api/chat` or `/api/generate`.
struct FacadeRecords: Sendable {
    private let options: OllamaAnswer
    private let limitBytes: Int
    private let began: Int
    private var firstTokenAt: Int?
    /// `{"model":…,"created_at":`.
    private let head: [UInt8]
    private var time = FacadeTime()
    private var calls: FacadeToolCalls
    private var doneReason: [UInt8]?
    private var usage: JSONText?
    private var timings: JSONText?
    /// Whether the last record was written.
    private(set) var isDone = false

    init(_ options: OllamaAnswer, limitBytes: Int) {
        self.options = options
        self.limitBytes = limitBytes
        began = options.clock()
        calls = FacadeToolCalls(limitBytes: limitBytes)
        var head = Array(#"{"model":"#.utf8)
        head.appendJSONString(options.model)
        head.append(#","created_at":"#)
        self.head = head
    }

    /// Takes lines of chunks. `now` is in nanoseconds since 1970.
    mutating func take(
        lines: Span<UInt8>, now: Int, into sink: inout ChunkSink
    ) throws(DialectError) {
        var start = 0
        while start < lines.count {
            var end = start
            while lines[end] != 0x0A { end &+= 1 }
            try take(lines.extracting(start..<end), now, &sink)
            start = end + 1
        }
    }

    /// Writes the last record: the answer is complete.
    mutating func finish(now: Int, into sink: inout ChunkSink) {
        guard !isDone else { return }
        isDone = true
        begin(now, &sink)
        sink.bytes.append(
            options.endpoint == .chat
                ? #""message":{"role":"assistant","content":""},"done":true,"done_reason":""#
                : #""response":"","done":true,"done_reason":""#)
        sink.bytes += doneReason ?? Array("stop".utf8)
        sink.bytes.append(UInt8(ascii: "\""))
        appendFigures(now, &sink)
        sink.bytes.append(UInt8(ascii: "}"))
        sink.endEvent()
    }

    // MARK: - Parts

    private mutating func take(
        _ line: Span<UInt8>, _ now: Int, _ sink: inout ChunkSink
    ) throws(DialectError) {
        let chunk: FacadeChunk
        do { chunk = try FacadeChunk(line) } catch { throw .malformed(line) }
        if let range = chunk.usage { usage = copy(line, range) }
        if let range = chunk.timings { timings = copy(line, range) }
        if !chunk.text.isEmpty || !chunk.thinking.isEmpty || chunk.logprobs != nil {
            write(chunk, line, now, &sink)
        }
        if let range = chunk.toolCalls, let fragments = copy(line, range) {
            firstTokenAt = firstTokenAt ?? now
            try write(calls: try calls.take(fragments), now, &sink)
        }
        if let range = chunk.finish { try finish(line, range, now, &sink) }
    }

    private mutating func finish(
        _ line: Span<UInt8>, _ reason: Range<Int>, _ now: Int, _ sink: inout ChunkSink
    ) throws(DialectError) {
        let isCut = equal(line, reason, "length")
        let isFiltered = equal(line, reason, "content_filter")
        // Ollama says nothing of calls here.
        doneReason = Array((isCut ? "length" : isFiltered ? "content_filter" : "stop").utf8)
        let last = isCut ? calls.finishCut() : try calls.finish()
        if let last { try write(calls: [last], now, &sink) }
    }

    private mutating func write(
        _ chunk: FacadeChunk, _ line: Span<UInt8>, _ now: Int, _ sink: inout ChunkSink
    ) {
        firstTokenAt = firstTokenAt ?? now
        begin(now, &sink)
        let isChat = options.endpoint == .chat
        sink.bytes.append(isChat ? #""message":{"role":"assistant","content":""# : #""response":""#)
        sink.bytes.append(line, chunk.text)
        sink.bytes.append(UInt8(ascii: "\""))
        if !chunk.thinking.isEmpty {
            sink.bytes.append(#","thinking":""#)
            sink.bytes.append(line, chunk.thinking)
            sink.bytes.append(UInt8(ascii: "\""))
        }
        sink.bytes.append(isChat ? #"},"done":false"# : #","done":false"#)
        if let logprobs = chunk.logprobs {
            sink.bytes.append(#","logprobs":"#)
            sink.bytes.append(line, logprobs)
        }
        sink.bytes.append(UInt8(ascii: "}"))
        sink.endEvent()
    }

    private mutating func write(
        calls: [[UInt8]], _ now: Int, _ sink: inout ChunkSink
    ) throws(DialectError) {
        for call in calls {
            begin(now, &sink)
            sink.bytes.append(#""message":{"role":"assistant","content":"","tool_calls":["#)
            sink.bytes += call
            sink.bytes.append(#"]},"done":false}"#)
            sink.endEvent()
        }
    }

    private mutating func begin(_ now: Int, _ sink: inout ChunkSink) {
        sink.beginEvent()
        sink.bytes.append(head.span)
        time.append(now, to: &sink.bytes)
        sink.bytes.append(UInt8(ascii: ","))
    }

    /// Counts and durations, zeros left out as Ollama does. Where the backend measured nothing, our
    /// own clock did.
    private func appendFigures(_ now: Int, _ sink: inout ChunkSink) {
        func nanoseconds(_ name: String) -> Int? {
            guard let milliseconds = timings?[name]?.double, (0..<1e12).contains(milliseconds)
            else { return nil }
            return Int(milliseconds * 1e6)
        }
        let first = firstTokenAt ?? now
        let figures: [(StaticString, Int?)] = [
            ("total_duration", now - began),
            ("prompt_eval_count", usage?["prompt_tokens"]?.int),
            ("prompt_eval_duration", nanoseconds("prompt_ms") ?? first - began),
            ("eval_count", usage?["completion_tokens"]?.int),
            ("eval_duration", nanoseconds("predicted_ms") ?? now - first),
        ]
        for (name, value) in figures {
            guard let value, value > 0 else { continue }
            sink.bytes.append(",\"")
            sink.bytes.append(name)
            sink.bytes.append("\":")
            sink.bytes.append(decimal: value)
        }
    }

    private func copy(_ line: Span<UInt8>, _ range: Range<Int>) -> JSONText? {
        var bytes: [UInt8] = []
        bytes.append(line, range)
        // It was read as a part of the line already.
        return try? JSONText(bytes)
    }
}
