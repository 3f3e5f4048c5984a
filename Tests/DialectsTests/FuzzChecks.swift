// What must hold of any bytes whatever: for the fuzz targets, and for the corpus they leave behind.

import Chat
import Dialects
import JSON

// The fuzz targets are one module with the helpers of the tests.
#if canImport(TestSupport)
    import TestSupport
#endif

/// What a client would get for a body, as events and as lines, and what is wrong with the body.
private struct StreamRun: Equatable {
    var events: [UInt8] = []
    var lines: [UInt8] = []
    var error: DialectError?
    var promptTokens: Int?
    var completionTokens: Int?

    init(_ dialect: UpstreamDialect, _ pieces: [[UInt8]], _ options: StreamOptions) {
        for framing in [ChunkSink.Framing.serverSentEvents, .lines] {
            var decoder = StreamDecoder(dialect, options, eventLimit: 16_384)
            var sink = ChunkSink(framing: framing, headroom: 0)
            do {
                for piece in pieces { try decoder.feed(piece.span, into: &sink) }
                try decoder.finish(into: &sink)
            } catch { self.error = error }
            if framing == .lines { lines = sink.bytes } else { events = sink.bytes }
            promptTokens = decoder.usage?.promptTokens
            completionTokens = decoder.usage?.completionTokens
        }
    }
}

/// The promise that `bytes`, as the body of a streamed answer, make the decoder break; `nil` if
/// they make none.
///
/// The options depend on the bytes alone, so that a finding is found again.
func brokenPromise(
    ofStream bytes: [UInt8], _ dialect: UpstreamDialect, cuts: [[[UInt8]]]
) -> String? {
    let variant = bytes.reduce(0) { $0 &+ Int($1) }
    var options = StreamOptions(id: "chatcmpl-made", created: 1_700_000_000, model: "asked")
    options.includeUsage = variant & 1 == 0
    options.isLlamaServer = variant & 2 == 0
    options.thinkTags = variant & 4 == 0
    options.reasoning = ReasoningField.allCases[variant / 8 % 4]
    if variant % 5 == 0 { options.eventSplit = 1024 }
    if variant % 7 == 0, dialect == .openAI { options.choiceCount = 2 }
    let whole = StreamRun(dialect, [bytes], options)
    for pieces in cuts where StreamRun(dialect, pieces, options) != whole {
        return "a cut changes the stream"
    }
    return brokenPromise(ofChunks: whole, options) ?? brokenPromise(ofAssembly: whole, options)
}

private func brokenPromise(ofChunks run: StreamRun, _ options: StreamOptions) -> String? {
    var expectation = ChunkSchema.Expectation()
    expectation.isComplete = run.error == nil
    // No figures of these inputs need be there, and servers may add choices or members.
    expectation.isOfKnownServer = false
    expectation.includeUsage = options.includeUsage
    switch options.reasoning {
    case .reasoningContent: break
    case .reasoning: expectation.reasoningKeys = ["reasoning"]
    case .both: expectation.reasoningKeys = ["reasoning_content", "reasoning"]
    case .none: expectation.reasoningKeys = []
    }
    let schema = ChunkSchema(run.events, expectation)
    guard schema.violations.isEmpty else { return schema.violations[0] }
    let counts = [run.promptTokens, run.completionTokens].compactMap(\.self)
    return counts.allSatisfy { $0 >= 0 } ? nil : "a negative count of tokens"
}

/// What leaves as lines adds up to one JSON object, with every choice's text.
private func brokenPromise(ofAssembly run: StreamRun, _ options: StreamOptions) -> String? {
    var assembler = CompletionAssembler(limitBytes: 1 << 20)
    do { try assembler.take(lines: run.lines.span) } catch { return "cannot assemble: \(error)" }
    guard let completion = JSONValue(assembler.completion()) else { return "no JSON" }
    var expectation = ChunkSchema.Expectation()
    expectation.isOfKnownServer = false
    let streamed = ChunkSchema(run.events, expectation).choices.sorted { $0.index < $1.index }
    let assembled = completion["choices"]?.elements ?? []
    guard assembled.map({ $0["index"]?.int }) == streamed.map(\.index) else { return "choices" }
    for (choice, stream) in zip(assembled, streamed) {
        guard choice["finish_reason"]?.string == stream.finish,
            choice["message"]?["content"]?.string?.utf8.elementsEqual(stream.content.utf8) == true
        else { return "an assembled choice differs" }
        let calls = choice["message"]?["tool_calls"]?.elements ?? []
        guard calls.map({ $0["function"]?["arguments"]?.string }) == stream.calls.map(\.arguments)
        else { return "assembled calls differ" }
    }
    return nil
}

/// The promise that `body`, as a client's chat, completion or embedding, breaks: it is refused with
/// a 4xx, or written as JSON for every kind of backend.
func brokenPromise(ofRequest body: [UInt8]) -> String? {
    brokenPromise(body, isStream: true) { (body) throws(APIError) in
        try ChatRequest(reading: body)
    } write: { (request, target) throws(APIError) in
        try makeUpstreamRequest(request, for: target)
    }
        ?? brokenPromise(body, isStream: true) { (body) throws(APIError) in
            try TextCompletionRequest(reading: body)
        } write: { (request, target) throws(APIError) in
            try makeUpstreamRequest(request, for: target)
        }
        ?? brokenPromise(body, isStream: false) { (body) throws(APIError) in
            try EmbeddingRequest(reading: body)
        } write: { (request, target) throws(APIError) in
            try makeUpstreamRequest(request, for: target)
        }
}

private func brokenPromise<Request: CheckedRequest>(
    _ body: [UInt8], isStream: Bool, read: ([UInt8]) throws(APIError) -> Request,
    write: (Request, RequestTarget) throws(APIError) -> UpstreamRequest
) -> String? {
    let request: Request
    do { request = try read(body) } catch {
        return (400..<500).contains(error.status) ? nil : "a refusal that is no 4xx"
    }
    let messages = request["messages"]?.elements.count
    for kind in UpstreamKind.allCases {
        do {
            let written = try write(request, fuzzTarget(kind, body.count))
            let bytes = written.bytes(client: body)
            guard bytes.count == written.contentLength else { return "a wrong length" }
            guard let json = JSONValue(bytes) else { return "written, but no JSON" }
            guard Set(json.keys).count == json.keys.count else { return "a name twice" }
            guard json["model"]?.string == "m\"\u{2028}" else { return "another model" }
            guard !isStream || json["stream"] == .bool(true) else { return "no stream" }
            guard !(request is ChatRequest) || json["messages"]?.elements.count == messages else {
                return "more messages, or less"
            }
            let isPlain = written.ignored.allSatisfy { $0.utf8.allSatisfy { 0x21...0x7E ~= $0 } }
            guard isPlain else { return "a name that cannot stand in a header" }
        } catch {
            guard (400..<500).contains(error.status) else { return "a refusal that is no 4xx" }
        }
    }
    return nil
}

/// A target of `kind`, with rules and abilities that vary.
private func fuzzTarget(_ kind: UpstreamKind, _ variant: Int) -> RequestTarget {
    var target = RequestTarget(kind: kind, upstreamModel: "m\"\u{2028}", clientModel: "c")
    target.ollama.isKnown = variant % 2 == 0
    target.ollama.thinking = variant % 4 < 2
    target.ollama.tools = true
    if let cap = try? JSONText(Array("8".utf8)), variant % 3 == 0 {
        target.rules.caps = [.init("max_tokens", cap)]
        target.rules.drops = ["user"]
    }
    return target
}

/// The promise that the assembler breaks for `bytes`, taken for lines of chunks: it refuses them,
/// or makes JSON that is not much longer.
func brokenPromise(ofLines bytes: [UInt8]) -> String? {
    var assembler = CompletionAssembler(limitBytes: 2048)
    // A refusal is one of the two right outcomes.
    guard (try? assembler.take(lines: bytes.span)) != nil else { return nil }
    let completion = assembler.completion()
    guard (try? JSONText(completion)) != nil else { return "a completion that is no JSON" }
    return completion.count <= 4096 + bytes.count ? nil : "a completion out of nothing"
}

/// The promise that `bytes`, as the body of a backend's answer, make the façade of Ollama's API
/// break; `nil` if they make none.
func brokenPromise(
    ofFacade bytes: [UInt8], _ dialect: UpstreamDialect, cuts: [[[UInt8]]]
) -> String? {
    let endpoint: OllamaRequest.Endpoint = bytes.count % 2 == 0 ? .chat : .generate
    guard let request = try? OllamaRequest(reading: Array("{}".utf8), endpoint) else {
        return "no request"
    }
    let answer = OllamaAnswer(request, model: "m\"\u{2028}") { 1_795_177_966_180_792_355 }
    func run(_ pieces: [[UInt8]]) -> ([UInt8], DialectError?) {
        var decoder = answer.makeDecoder(
            dialect, StreamOptions(id: "", created: 0, model: ""), limits: (16_384, 16_384))
        var sink = ChunkSink(framing: .lines, headroom: 0)
        do {
            for piece in pieces { try decoder.feed(piece.span, into: &sink) }
            try decoder.finish(into: &sink)
        } catch { return (sink.bytes, error) }
        return (sink.bytes, nil)
    }
    let (lines, error) = run([bytes])
    for pieces in cuts where run(pieces) != (lines, error) { return "a cut changes the lines" }
    let records = lines.split(separator: 0x0A).map { JSONValue($0) }
    guard records.allSatisfy({ $0?.keys.isEmpty == false }) else {
        return "a line that is no object"
    }
    let ends = records.map { $0?["done"] == .bool(true) }
    guard ends.dropLast().allSatisfy({ !$0 }), ends.last ?? false == (error == nil) else {
        return "an end that is none, or no end"
    }
    var assembler = answer.makeAssembler(limitBytes: 1 << 20)
    do { try assembler.take(lines: lines.span) } catch { return "cannot assemble: \(error)" }
    return JSONValue(assembler.completion()) == nil ? "an answer that is no JSON" : nil
}

/// The promise that `body`, as a request of Ollama's API, breaks: it is refused with a 4xx, or
/// written as JSON for every kind of backend, with a model and a stream.
func brokenPromise(ofOllamaRequest body: [UInt8]) -> String? {
    for endpoint in OllamaRequest.Endpoint.allCases {
        let request: OllamaRequest
        do { request = try OllamaRequest(reading: body, endpoint) } catch {
            guard (400..<500).contains(error.status) else { return "a refusal that is no 4xx" }
            continue
        }
        var translation = FacadeTranslation(request)
        for kind in UpstreamKind.allCases {
            var target = RequestTarget(kind: kind, upstreamModel: "m\"\u{2028}", clientModel: "c")
            if let cap = try? JSONText(Array("8".utf8)), body.count % 3 == 0 {
                target.rules.caps = [.init("max_tokens", cap)]
            }
            do {
                let written = try translation.makeUpstreamRequest(for: target)
                let bytes = written.bytes(client: body)
                guard bytes.count == written.contentLength else { return "a wrong length" }
                guard let json = JSONValue(bytes) else { return "written, but no JSON" }
                guard Set(json.keys).count == json.keys.count else { return "a name twice" }
                guard json["model"]?.string == "m\"\u{2028}" else { return "another model" }
                guard !endpoint.hasStream || json["stream"] == .bool(true) else {
                    return "no stream"
                }
            } catch {
                guard (400..<500).contains(error.status) else { return "a refusal that is no 4xx" }
            }
        }
    }
    return nil
}
