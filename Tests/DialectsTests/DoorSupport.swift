// Runs the decoders and writers of the doors as the server does, and finds the recorded answers.

import Chat
import Dialects
import TestSupport
import Testing

/// One event of a stream as a client reads it.
struct NamedEvent: Equatable {
    var name: String
    var data: JSONValue
}

extension Decoded {
    /// The events; fails on what is none.
    var namedEvents: [NamedEvent] {
        text.components(separator: "\n\n").compactMap { block in
            let lines = block.split(separator: "\n", omittingEmptySubsequences: false)
            guard lines.count == 2, lines[0].hasPrefix("event: "), lines[1].hasPrefix("data: "),
                let data = JSONValue(lines[1].dropFirst(6).utf8)
            else {
                Issue.record("no event: \(block.prefix(200))")
                return nil
            }
            return NamedEvent(name: String(lines[0].dropFirst(7)), data: data)
        }
    }

    /// The types of the events, runs of one type as one.
    var types: [String] {
        namedEvents.reduce(into: []) { types, event in
            if types.last != event.name { types.append(event.name) }
        }
    }
}

extension String {
    fileprivate func components(separator: String) -> [String] {
        var parts: [String] = []
        var rest = self[...]
        while let range = rest.firstRange(of: separator) {
            parts.append(String(rest[..<range.lowerBound]))
            rest = rest[range.upperBound...]
        }
        return rest.isEmpty ? parts : parts + [String(rest)]
    }
}

/// A request at a door; a fault of the test if it is refused.
func doorRequest(_ door: Door, _ body: String) throws -> DoorRequest {
    try DoorRequest(reading: Array(body.utf8), at: door)
}

/// The smallest request of a door.
func smallRequest(_ door: Door, isStream: Bool) throws -> DoorRequest {
    let stream = #","stream":\#(isStream)"#
    switch door {
    case .responses: return try doorRequest(door, #"{"input":"hi"\#(stream)}"#)
    case .messages, .countTokens:
        return try doorRequest(door, #"{"messages":[{"role":"user","content":"hi"}]\#(stream)}"#)
    case .rerank: return try doorRequest(door, #"{"query":"a","documents":["b"]}"#)
    case .tokenize, .detokenize: return try doorRequest(door, "{}")
    }
}

/// Decodes an answer that arrives in pieces, then ends; `failure` is told if it is not whole.
func decodeDoor(
    _ door: Door, _ pieces: [[UInt8]], isStream: Bool = true, tokenLimit: Int? = nil,
    limits: (event: Int, completion: Int) = (1 << 20, 1 << 20), failure: APIError? = nil
) throws -> Decoded {
    var options = StreamOptions(id: "made", created: 1_700_000_000, model: "asked")
    options.isLlamaServer = true
    options.tokenLimit = tokenLimit
    let request = try smallRequest(door, isStream: isStream)
    let own = DoorOptions(request, model: "asked").completed(by: options)
    var decoder = makeDoorDecoder(own, limits: limits)
    let framing: ChunkSink.Framing = isStream ? .serverSentEvents : .lines
    let result = Decoded(&decoder, pieces, framing: framing, failure: failure)
    #expect(decoder.isDone == (result.error == nil) && decoder.isAnswerComplete == decoder.isDone)
    return result
}

/// The same for events, given as the data of each.
func decodeDoor(
    _ door: Door, events: [String], isStream: Bool = true, tokenLimit: Int? = nil,
    failure: APIError? = nil
) throws -> Decoded {
    let body = events.map { "data: \($0)\n\n" }.joined()
    return try decodeDoor(
        door, [Array(body.utf8)], isStream: isStream, tokenLimit: tokenLimit, failure: failure)
}

/// The body of a recorded answer of llama-server.
func recordedAnswer(_ name: String) throws -> [UInt8] {
    readAnswer(try fixture("llama-server/\(name).response.http")).body
}

/// The data of the events of a recorded stream.
func recordedEvents(_ name: String) throws -> [JSONValue] {
    String(decoding: try recordedAnswer(name), as: UTF8.self).split(separator: "\n")
        .filter { $0.hasPrefix("data: ") }.compactMap { JSONValue($0.dropFirst(6).utf8) }
}
