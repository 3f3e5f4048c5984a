// Runs a stream decoder as the server does, and shows what a client would get.

import Chat
import Dialects
import Framing
import TestSupport
import Testing

/// What came of one stream.
struct Decoded: Equatable {
    /// The client's bytes.
    var bytes: [UInt8] = []
    /// What was wrong, if anything.
    var error: DialectError?
    var dataEvents = 0
    var promptTokens: Int?
    var completionTokens: Int?

    /// What `decoder` makes of a body that arrives in `pieces`, then ends. A client is told `failure`
    /// if the answer is not whole.
    init(
        _ decoder: inout some AnswerDecoder, _ pieces: [[UInt8]], framing: ChunkSink.Framing,
        failure: APIError? = nil
    ) {
        var sink = ChunkSink(framing: framing, headroom: 0)
        do {
            for piece in pieces { try decoder.feed(piece.span, into: &sink) }
            try decoder.finish(into: &sink)
        } catch {
            self.error = error
            if let failure { decoder.appendFailure(failure, into: &sink) }
        }
        bytes = sink.bytes
        dataEvents = decoder.dataEvents
        promptTokens = decoder.usage?.promptTokens
        completionTokens = decoder.usage?.completionTokens
    }

    init() {}

    var text: String { String(decoding: bytes, as: UTF8.self) }

    /// The data of the events.
    var events: [String] {
        let blocks = text.split(separator: "\n\n")
        return blocks.map { $0.hasPrefix("data: ") ? String($0.dropFirst(6)) : String($0) }
    }
}

func testOptions(_ change: (inout StreamOptions) -> Void = { _ in }) -> StreamOptions {
    var options = StreamOptions(id: "chatcmpl-made", created: 1_700_000_000, model: "asked")
    change(&options)
    return options
}

/// Decodes a body that arrives in pieces, then ends.
func decode(
    _ dialect: UpstreamDialect, _ pieces: [[UInt8]], _ options: StreamOptions = testOptions(),
    framing: ChunkSink.Framing = .serverSentEvents
) -> Decoded {
    var decoder = StreamDecoder(dialect, options, eventLimit: 4 << 20)
    return Decoded(&decoder, pieces, framing: framing)
}

/// Decodes events, given as the data of each, and the end mark.
func decode(
    events: [String], done: Bool = true, _ options: StreamOptions = testOptions()
) -> Decoded {
    var body = events.map { "data: \($0)\n\n" }.joined()
    if done { body += "data: [DONE]\n\n" }
    return decode(.openAI, [Array(body.utf8)], options)
}

/// Decodes Ollama's records, given as lines.
func decode(records: [String], _ options: StreamOptions = testOptions()) -> Decoded {
    decode(.ollama, [Array((records.joined(separator: "\n") + "\n").utf8)], options)
}

/// The body of a recorded answer, its framing undone, and whether it is a success.
func readAnswer(_ bytes: [UInt8]) -> (body: [UInt8], isSuccess: Bool) {
    var parser = HTTPResponseParser(headLimit: 65_536)
    var body: [UInt8] = []
    var isSuccess = false
    var i = 0
    while true {
        switch parser.next(bytes.span, &i) {
        case .needMore, .end, .refused: return (body, isSuccess)
        case .head(let head): isSuccess = head.status == 200
        case .body(let range): body += bytes[range]
        }
    }
}
