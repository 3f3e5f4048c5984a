// Runs the façade of Ollama's API as the server does, and shows what a client or a backend would
// get.

import Chat
import Dialects
import JSON
import TestSupport
import Testing

/// 2026-11-20, 12:32:46.180792355 UTC, in nanoseconds since 1970.
let facadeMoment = 1_795_177_966_180_792_355

func ollamaAnswer(
    _ endpoint: OllamaRequest.Endpoint = .chat, _ fields: String = "", model: String = "asked"
) throws -> OllamaAnswer {
    let request = try OllamaRequest(reading: Array("{\(fields)}".utf8), endpoint)
    return OllamaAnswer(request, model: model) { facadeMoment }
}

/// Decodes a body that arrives in pieces, then ends, for a client of Ollama's.
func decode(
    _ dialect: UpstreamDialect, _ pieces: [[UInt8]], for answer: OllamaAnswer,
    limits: (event: Int, completion: Int) = (4 << 20, 4 << 20)
) -> Decoded {
    var decoder = answer.makeDecoder(dialect, testOptions(), limits: limits)
    return Decoded(&decoder, pieces, framing: .lines)
}

extension Decoded {
    /// The lines, read as JSON.
    var records: [JSONValue] { text.split(separator: "\n").compactMap { JSONValue($0.utf8) } }

    /// Whether any record says that the answer is whole.
    var saysDone: Bool { records.contains { $0["done"] == .bool(true) } }
}

/// An event stream of OpenAI's kind.
func eventBody(_ events: [String]) -> [UInt8] {
    Array((events + ["[DONE]"]).map { "data: \($0)\n\n" }.joined().utf8)
}

/// A chunk with one delta.
func deltaEvent(_ delta: String, finish: String = "null") -> String {
    #"{"choices":[{"index":0,"delta":\#(delta),"finish_reason":\#(finish)}]}"#
}

/// What a backend of `target` is sent for a request of Ollama's.
func written(
    _ endpoint: OllamaRequest.Endpoint, _ body: String, for target: RequestTarget
) throws -> (json: JSONValue, request: UpstreamRequest) {
    let client = Array(body.utf8)
    var translation = FacadeTranslation(try OllamaRequest(reading: client, endpoint))
    let request = try translation.makeUpstreamRequest(for: target)
    #expect(request.bytes(client: client).count == request.contentLength)
    #expect(try translation.makeUpstreamRequest(for: target) == request, "the same each time")
    return (try #require(JSONValue(request.bytes(client: client))), request)
}

/// The refusal of a request of Ollama's, or `nil` if it is written.
func refusal(
    _ endpoint: OllamaRequest.Endpoint, _ body: String, for target: RequestTarget
) -> APIError? {
    do {
        _ = try written(endpoint, body, for: target)
        return nil
    } catch {
        return error as? APIError
    }
}
