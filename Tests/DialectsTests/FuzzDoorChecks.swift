// What must hold of any bytes whatever at the doors: for the fuzz target, and for the corpus it
// leaves behind.

import Chat
import Dialects

// The fuzz targets are one module with the helpers of the tests.
#if canImport(TestSupport)
    import TestSupport
#endif

/// What a client would get for a body, and what is wrong with the body.
private struct DoorRun: Equatable {
    var bytes: [UInt8] = []
    var error: DialectError?
    var isDone = false

    init?(_ door: Door, _ pieces: [[UInt8]], isStream: Bool) {
        let body =
            #"{"input":"a","query":"a","documents":["b"],"stream":\#(isStream),"#
            + #""messages":[{"role":"user","content":"x"}]}"#
        guard let request = try? DoorRequest(reading: Array(body.utf8), at: door) else {
            return nil
        }
        var options = StreamOptions(id: "made", created: 1_700_000_000, model: "asked")
        options.isLlamaServer = true
        options.tokenLimit = 9
        let own = DoorOptions(request, model: "asked").completed(by: options)
        var decoder = makeDoorDecoder(own, limits: (16_384, 16_384))
        var sink = ChunkSink(framing: isStream ? .serverSentEvents : .lines, headroom: 0)
        do {
            for piece in pieces { try decoder.feed(piece.span, into: &sink) }
            try decoder.finish(into: &sink)
        } catch {
            self.error = error
            if isStream {
                decoder.appendFailure(APIError(.upstreamClosed, "It ended."), into: &sink)
            }
        }
        bytes = sink.bytes
        isDone = decoder.isDone
    }
}

/// The promise that `bytes`, as the body of an answer at a door, make its decoder break: the same
/// however it is cut; an end only if it is whole, and JSON in every event.
func brokenPromise(ofAnswer bytes: [UInt8], at door: Door, cuts: [[[UInt8]]]) -> String? {
    for isStream in door.hasEvents ? [true, false] : [false] {
        guard let whole = DoorRun(door, [bytes], isStream: isStream) else { return "no request" }
        for pieces in cuts where DoorRun(door, pieces, isStream: isStream) != whole {
            return "a cut changes the answer"
        }
        guard whole.isDone == (whole.error == nil) else { return "an end that is none" }
        guard isStream else {
            let isRight = whole.isDone ? JSONValue(whole.bytes) != nil : whole.bytes.isEmpty
            guard isRight else { return "no document, or half of one" }
            continue
        }
        let ends =
            door == .messages ? ["message_stop"] : ["response.completed", "response.incomplete"]
        if let broken = brokenPromise(ofEvents: whole.bytes, ends, isDone: whole.isDone) {
            return broken
        }
    }
    return nil
}

private func brokenPromise(
    ofEvents bytes: [UInt8], _ ends: [String], isDone: Bool
) -> String? {
    var name = ""
    var names: [String] = []
    for line in bytes.split(separator: 0x0A) {
        let text = String(decoding: line, as: UTF8.self)
        if text.hasPrefix("event: ") {
            name = String(text.dropFirst(7))
        } else if text.hasPrefix("data: "), let data = JSONValue(line.dropFirst(6)) {
            guard data["type"]?.string == name else { return "an event under another name" }
            guard Set(data.keys).count == data.keys.count else { return "a name twice" }
            names.append(name)
        } else {
            return "a line that is no event"
        }
    }
    guard names.count(where: ends.contains) == (isDone ? 1 : 0) else { return "a false end" }
    guard ends.contains(names.last ?? "") == isDone else { return "something after the end" }
    return isDone || names.last == "error" ? nil : "a failure that is not told"
}

/// The promise that `body`, as a request at a door, breaks: it is refused with a 4xx, or written as
/// JSON for every kind of backend.
func brokenPromise(ofRequest body: [UInt8], at door: Door) -> String? {
    let request: DoorRequest
    do { request = try DoorRequest(reading: body, at: door) } catch {
        return (400..<500).contains(error.status) ? nil : "a refusal that is no 4xx"
    }
    for kind in UpstreamKind.allCases {
        let target = RequestTarget(kind: kind, upstreamModel: "m\"\u{2028}", clientModel: "c")
        do {
            let written = try makeUpstreamRequest(request, for: target)
            let bytes = written.bytes(client: body)
            guard bytes.count == written.contentLength else { return "a wrong length" }
            guard let json = JSONValue(bytes) else { return "written, but no JSON" }
            guard Set(json.keys).count == json.keys.count else { return "a name twice" }
            if door.hasEvents, json["stream"] != .bool(true) { return "no stream" }
            let isPlain = written.ignored.allSatisfy { $0.utf8.allSatisfy { 0x21...0x7E ~= $0 } }
            guard isPlain else { return "a name that cannot stand in a header" }
        } catch {
            guard (400..<500).contains(error.status) else { return "a refusal that is no 4xx" }
        }
    }
    return nil
}
