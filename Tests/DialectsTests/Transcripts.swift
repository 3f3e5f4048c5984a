// The recorded chats of both upstreams, found among the fixtures.

import TestSupport
import Testing

/// One recorded request and its answer's body.
struct Transcript: Sendable, CustomTestStringConvertible {
    let name: String
    let request: JSONValue
    let body: [UInt8]

    var testDescription: String { name }

    /// Whether the upstream said that it had finished.
    var isComplete: Bool {
        let text = String(decoding: body, as: UTF8.self)
        return text.contains("data: [DONE]") || text.contains(#""done":true"#)
    }

    /// The request without what only says how to deliver the answer.
    var question: JSONValue {
        guard case .object(let members) = request else { return request }
        return .object(members.filter { !["stream", "stream_options"].contains($0.key) })
    }

    /// Successful chats of llama-server, streamed or not.
    static func llamaServer(streamed: Bool) throws -> [Transcript] {
        var found: [Transcript] = []
        let end = ".response.http"
        let folders = try fixtureNames(in: "llama-server").filter { !$0.contains(".") }
        for folder in folders {
            for file in try fixtureNames(in: "llama-server/\(folder)") where file.hasSuffix(end) {
                let path = "llama-server/\(folder)/\(file.dropLast(end.count))"
                let request = try fixture(path + ".request.http")
                let answer = try fixture(path + end)
                let head = String(decoding: answer.prefix(1024), as: UTF8.self)
                let line = String(decoding: request.prefix(80), as: UTF8.self)
                guard line.hasPrefix("POST"), line.contains("/chat/completions"),
                    head.contains("text/event-stream") == streamed,
                    let json = requestBody(request)
                else { continue }
                let (body, isSuccess) = readAnswer(answer)
                guard isSuccess else { continue }
                found.append(Transcript(name: path, request: json, body: body))
            }
        }
        return found
    }

    /// Successful chats of Ollama's native endpoint, streamed or not.
    static func ollama(streamed: Bool) throws -> [Transcript] {
        var found: [Transcript] = []
        for file in try fixtureNames(in: "ollama/cassettes") {
            for line in try fixture("ollama/cassettes/\(file)").split(separator: 0x0A) {
                guard let exchange = JSONValue(line), let name = exchange["name"]?.string,
                    let request = exchange["request"]?.string, request.hasPrefix("POST /api/chat"),
                    let answer = exchange["response"]?.string,
                    answer.contains("application/x-ndjson") == streamed,
                    let json = requestBody(Array(request.utf8))
                else { continue }
                let (body, isSuccess) = readAnswer(Array(answer.utf8))
                guard isSuccess else { continue }
                found.append(Transcript(name: "\(file)/\(name)", request: json, body: body))
            }
        }
        return found
    }

    private static func requestBody(_ request: [UInt8]) -> JSONValue? {
        guard let start = request.firstIndex(of: UInt8(ascii: "{")) else { return nil }
        // One recording holds two requests on one connection; the first is the one that counts.
        return JSONValue(request[start...])
            ?? JSONValue(request[start...].prefix { $0 != 0x0D && $0 != 0x0A })
    }
}
