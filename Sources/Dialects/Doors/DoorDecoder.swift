// An upstream's answer at one of the doors in, the client's out.

internal import Chat
internal import Framing
internal import JSON

/// Turns the body of an upstream's answer into what the client of a door gets.
public func makeDoorDecoder(
    _ options: DoorOptions, limits: (event: Int, completion: Int)
) -> any AnswerDecoder {
    // The last event of a response holds all of it.
    let eventLimit = options.isStream ? limits.event : limits.completion
    switch options.door {
    case .responses:
        return DoorStreamDecoder(ResponsesStream(options), eventLimit: eventLimit)
    case .messages:
        return DoorStreamDecoder(
            MessagesStream(options, completionLimit: limits.completion), eventLimit: eventLimit)
    case .countTokens, .rerank, .tokenize, .detokenize:
        return DocumentDecoder(options, limitBytes: limits.completion)
    }
}

/// A stream of typed events that ends with an event of its own.
protocol DoorStream: EventStream, Sendable {
    /// Tokens of the prompt and of the answer, as far as the upstream has told.
    var usage: (promptTokens: Int, completionTokens: Int)? { get }
    /// Tells the client in its stream why the answer ends here.
    mutating func appendFailure(_ error: APIError, into sink: inout ChunkSink)
}

/// Reads the events of an answer, and hands them to the protocol's own stream.
///
/// The answer is complete with its last event, which is the protocol's word for it; before that it
/// is not, however properly its body ends.
struct DoorStreamDecoder<Stream: DoorStream>: AnswerDecoder {
    private var events: SSEDecoder
    private var stream: Stream

    init(_ stream: Stream, eventLimit: Int) {
        self.stream = stream
        events = SSEDecoder(limit: eventLimit)
    }

    var dataEvents: Int { stream.dataEvents }
    var isAnswerComplete: Bool { stream.isDone }
    var isDone: Bool { stream.isDone }
    var usage: (promptTokens: Int, completionTokens: Int)? { stream.usage }

    mutating func feed(_ bytes: Span<UInt8>, into sink: inout ChunkSink) throws(DialectError) {
        guard !isDone else { return }
        do throws(DialectError) {
            try stream.feed(bytes, through: &events, into: &sink)
        } catch {
            // What follows a complete answer is no fault of it.
            if !isDone { throw error }
        }
    }

    mutating func finish(into sink: inout ChunkSink) throws(DialectError) {
        guard !isDone else { return }
        try stream.takeRest(of: &events, into: &sink)
        if !isDone { throw .endedEarly }
    }

    mutating func appendFailure(_ error: APIError, into sink: inout ChunkSink) {
        stream.appendFailure(error, into: &sink)
    }
}

/// Collects an answer that is one document.
///
/// Nothing of it can leave before all of it is here, so its only data event is its end.
struct DocumentDecoder: AnswerDecoder {
    private let options: DoorOptions
    private var body: DocumentBody
    private(set) var usage: (promptTokens: Int, completionTokens: Int)?
    private(set) var dataEvents = 0
    private(set) var isDone = false
    var isAnswerComplete: Bool { isDone }

    init(_ options: DoorOptions, limitBytes: Int) {
        self.options = options
        body = DocumentBody(limitBytes: limitBytes)
    }

    mutating func feed(_ bytes: Span<UInt8>, into sink: inout ChunkSink) throws(DialectError) {
        guard !isDone else { return }
        try body.take(bytes)
    }

    mutating func finish(into sink: inout ChunkSink) throws(DialectError) {
        guard !isDone else { return }
        let answer = try body.read()
        // Ranks in the form of Hugging Face's servers are an array.
        guard answer.kind == .object || answer.kind == .array else {
            throw .malformed(body.bytes.span)
        }
        dataEvents = 1
        let members = uniqueMembers(of: answer)
        if let error = EventReading.reportedError(answer, members) { throw .reported(json: error) }
        sink.beginEvent()
        let start = sink.bytes.count
        if answer.kind == .array {
            sink.bytes += [UInt8].json(answer)
        } else {
            let set = members.value("model") == nil ? [] : [Self.model(options.model)]
            sink.bytes.append(members, set: set)
        }
        // Blanks between the tokens may be line breaks, which end an event.
        for i in start..<sink.bytes.count where sink.bytes[i] < 0x20 { sink.bytes[i] = 0x20 }
        sink.endEvent()
        let prompt = members.value("usage")?["prompt_tokens"]?.tokenCount
        usage = prompt.map { ($0, 0) }
        isDone = true
        body.release()
    }

    private static func model(_ name: String) -> FilledMember {
        ("model", .json(string: name))
    }
}
