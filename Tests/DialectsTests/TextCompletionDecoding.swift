// Runs a decoder of text completions as the server does, and finds the recorded ones.

import Chat
import Dialects
import TestSupport

/// Decodes a body that arrives in pieces, then ends.
func decodeText(
    _ dialect: UpstreamDialect, _ pieces: [[UInt8]], _ options: StreamOptions = textOptions(),
    choicesPerPrompt: Int = 1, framing: ChunkSink.Framing = .serverSentEvents
) -> Decoded {
    var decoder = TextCompletionDecoder(
        dialect, options, choicesPerPrompt: choicesPerPrompt, eventLimit: 4 << 20)
    return Decoded(&decoder, pieces, framing: framing)
}

/// Decodes events, given as the data of each, and the end mark.
func decodeText(
    events: [String], done: Bool = true, _ options: StreamOptions = textOptions()
) -> Decoded {
    var body = events.map { "data: \($0)\n\n" }.joined()
    if done { body += "data: [DONE]\n\n" }
    return decodeText(.openAI, [Array(body.utf8)], options)
}

/// Decodes Ollama's records, given as lines.
func decodeText(records: [String], _ options: StreamOptions = textOptions()) -> Decoded {
    decodeText(.ollama, [Array((records.joined(separator: "\n") + "\n").utf8)], options)
}

func textOptions(_ change: (inout StreamOptions) -> Void = { _ in }) -> StreamOptions {
    var options = StreamOptions(id: "cmpl-made", created: 1_700_000_000, model: "asked")
    change(&options)
    return options
}

/// One recorded text completion, streamed or not.
struct TextTranscript: Sendable {
    let name: String
    let request: JSONValue
    let body: [UInt8]

    /// The completions of llama-server.
    static let llamaServer: [TextTranscript] = {
        let names = ["stream", "prompt-array-stream", "nonstream", "prompt-array", "echo"]
        return names.compactMap { name in
            let path = "llama-server/completions/\(name)"
            guard let request = try? fixture(path + ".request.http"),
                let answer = try? fixture(path + ".response.http"),
                let start = request.firstIndex(of: UInt8(ascii: "{")),
                let json = JSONValue(request[start...])
            else { return nil }
            return TextTranscript(name: name, request: json, body: readAnswer(answer).body)
        }
    }()

    /// The generations of Ollama, by cassette and name.
    static let ollama: [TextTranscript] = ["native-rendered", "native-jinja"].flatMap { cassette in
        let lines = (try? fixture("ollama/cassettes/\(cassette).jsonl"))?.split(separator: 0x0A)
        return (lines ?? []).compactMap { line -> TextTranscript? in
            guard let exchange = JSONValue(line), let name = exchange["name"]?.string,
                let request = exchange["request"]?.string,
                let answer = exchange["response"]?.string,
                request.hasPrefix("POST /api/generate "),
                let start = Array(request.utf8).firstIndex(of: UInt8(ascii: "{")),
                let json = JSONValue(Array(request.utf8)[start...])
            else { return nil }
            let (body, isSuccess) = readAnswer(Array(answer.utf8))
            guard isSuccess else { return nil }
            return TextTranscript(name: "\(cassette)/\(name)", request: json, body: body)
        }
    }

    static func named(_ name: String) -> TextTranscript? {
        (llamaServer + ollama).first { $0.name == name }
    }
}
