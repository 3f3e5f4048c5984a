// The events of /v1/responses: what real servers sent becomes what OpenAI's clients read.

import Chat
import Dialects
import TestSupport
import Testing

@Suite struct ResponsesStreamTests {
    static let recordings = [
        "responses/stream", "responses/stream-tools", "responses/stream-reasoning",
        "responses/stream-length", "responses/stream-split-first", "responses/stream-held-back",
        "responses/stream-all-held-back",
    ]

    /// What must hold of every stream that came to its end.
    private func check(_ decoded: Decoded, _ name: String) throws {
        let events = decoded.namedEvents
        #expect(events.allSatisfy { $0.data["type"]?.string == $0.name }, "\(name)")
        #expect(events.map { $0.data["sequence_number"]?.int } == Array(0..<events.count))
        #expect(events.first?.name == "response.created", "\(name)")
        #expect(events.count { $0.name == "response.created" } == 1, "\(name)")
        let ends = events.filter {
            ["response.completed", "response.incomplete"].contains($0.name)
        }
        #expect(ends.count == 1 && events.last == ends.first, "\(name)")
        let responses = events.compactMap { $0.data["response"] }
        #expect(Set(responses.map { $0["id"]?.string }).count == 1, "\(name)")
        for response in responses {
            #expect(
                response["model"]?.string == "asked" && response["object"]?.string == "response")
            #expect(response["created_at"]?.int != nil && response["output"] != nil)
            for echoed in ["tools", "tool_choice", "parallel_tool_calls", "error", "metadata"] {
                #expect(response[echoed] != nil, "\(name): \(echoed)")
            }
        }
        try checkItems(events, name)
    }

    /// Every item begins before anything is said of it, in its own place, and the pieces of its
    /// text are the whole.
    private func checkItems(_ events: [NamedEvent], _ name: String) throws {
        var places: [Int: String] = [:]
        var texts: [Int: String] = [:]
        for event in events {
            let data = event.data
            guard let place = data["output_index"]?.int else {
                #expect(data["item_id"] == nil && data["item"] == nil, "\(name): \(event)")
                continue
            }
            if event.name == "response.output_item.added" {
                #expect(place == places.count, "\(name)")
                places[place] = try #require(data["item"]?["id"]?.string)
            }
            let id = data["item_id"]?.string ?? data["item"]?["id"]?.string
            #expect(places[place] == id, "\(name): \(event)")
            if event.name.contains("output_text") || event.name.contains("content_part") {
                #expect(data["content_index"]?.int == 0, "\(name): \(event)")
            }
            if event.name.contains("output_text") { #expect(data["logprobs"]?.elements == []) }
            if let delta = data["delta"]?.string { texts[place, default: ""] += delta }
            let whole = data["text"]?.string ?? data["arguments"]?.string
            if let whole { #expect(texts[place] == whole, "\(name): \(event.name)") }
        }
    }

    @Test(arguments: recordings) func aRecordedStreamHasWhatClientsNeed(_ name: String) throws {
        let body = try recordedAnswer(name)
        let whole = try decodeDoor(.responses, [body])
        #expect(whole.error == nil)
        try check(whole, name)
        #expect(whole.promptTokens ?? 0 > 0 && whole.completionTokens ?? 0 > 0)
        try forEveryCut(of: body, singleCutLimit: 60) { pieces in
            let cut = try decodeDoor(.responses, pieces)
            #expect(cut == whole)
        }
    }

    /// Nothing that came is lost or changed, but for the model's name and ids that do not agree.
    @Test(arguments: recordings) func whatCameGoesOn(_ name: String) throws {
        let events = try decodeDoor(.responses, [try recordedAnswer(name)]).namedEvents
        var rest = events[...]
        for came in try recordedEvents(name) {
            let type = came["type"]?.string ?? ""
            if type == "response.created" || type == "response.in_progress" { continue }
            let found = try #require(
                rest.firstIndex { sent in
                    sent.name == type
                        && came.keys.allSatisfy {
                            ["response", "part"].contains($0) || sent.data[$0] == came[$0]
                        }
                }, "\(name): \(type)")
            rest = rest[(found + 1)...]
            let sent = events[found].data["response"]
            let output = came["response"]?["output"]
            if let output { #expect(sent?["output"] == output, "\(name)") }
        }
    }

    @Test(arguments: recordings)
    func theAnswerInOnePieceIsTheResponseOfTheLastEvent(_ name: String) throws {
        let body = try recordedAnswer(name)
        let last = try #require(try decodeDoor(.responses, [body]).namedEvents.last)
        let whole = try decodeDoor(.responses, [body], isStream: false)
        #expect(whole.error == nil && whole.bytes.last == 0x0A)
        #expect(JSONValue(whole.bytes.dropLast()) == last.data["response"])
        try forEveryCut(of: body, singleCutLimit: 20) { pieces in
            let cut = try decodeDoor(.responses, pieces, isStream: false)
            #expect(cut == whole)
        }
    }

    @Test func theArgumentsOfACallAreToldAsAWhole() throws {
        let events = try decodeDoor(
            .responses, [try recordedAnswer("responses/stream-tools")]
        ).namedEvents
        let calls = events.filter { $0.data["item"]?["type"]?.string == "function_call" }
            .filter { $0.name.hasSuffix("done") }
        let told = events.filter { $0.name == "response.function_call_arguments.done" }
        #expect(!calls.isEmpty && told.count == calls.count)
        for (call, whole) in zip(calls, told) {
            #expect(whole.data["arguments"] == call.data["item"]?["arguments"])
            #expect(whole.data["name"] == call.data["item"]?["name"])
        }
    }

    private static let created =
        #"{"type":"response.created","response":{"id":"resp_up","status":"in_progress"}}"#
    private static let added =
        #"{"type":"response.output_item.added","item":{"id":"m","type":"message","content":[]}}"#
    private static let part =
        #"{"type":"response.content_part.added","item_id":"m","part":{"type":"output_text","text":""}}"#

    private static func delta(_ text: String) -> String {
        #"{"type":"response.output_text.delta","item_id":"m","delta":"\#(text)"}"#
    }
    private static func done(_ text: String) -> String {
        #"{"type":"response.output_text.done","item_id":"m","text":"\#(text)"}"#
    }
    private static func completed(_ more: String = "") -> String {
        #"{"type":"response.completed","response":{"id":"resp_up","status":"completed","output":[]\#(more)}}"#
    }

    @Test func textThatWasHeldBackIsToldBeforeTheWhole() throws {
        let decoded = try decodeDoor(
            .responses,
            events: [
                Self.created, Self.added, Self.part, Self.delta(#"h\u00e9l"#),
                Self.done("hél\\nlo"),
                Self.completed(),
            ])
        let deltas = decoded.namedEvents.compactMap { $0.data["delta"]?.string }
        #expect(deltas == ["hél", "\nlo"])
        try check(decoded, "held back")
    }

    @Test func aTextThatIsNotWhatCameIsNotMended() throws {
        let decoded = try decodeDoor(
            .responses,
            events: [
                Self.created, Self.added, Self.part, Self.delta("abc"), Self.done("abd…"),
                Self.completed(),
            ])
        #expect(decoded.namedEvents.compactMap { $0.data["delta"]?.string } == ["abc"])
    }

    /// All of a short answer may be held back until its last events.
    @Test func anAnswerThatBeginsWithItsEndIsBegunProperly() throws {
        let call =
            #"{"id":"fc","type":"function_call","call_id":"call","name":"f","arguments":"{\"a\":1}"}"#
        let decoded = try decodeDoor(
            .responses,
            events: [
                Self.done("hi"), #"{"type":"response.output_item.done","item":\#(call)}"#,
                Self.completed(),
            ])
        #expect(
            decoded.types == [
                "response.created", "response.in_progress", "response.output_item.added",
                "response.content_part.added", "response.output_text.delta",
                "response.output_text.done", "response.output_item.added",
                "response.function_call_arguments.delta", "response.function_call_arguments.done",
                "response.output_item.done", "response.completed",
            ])
        try check(decoded, "from its end")
        #expect(decoded.namedEvents.last?.data["response"]?["id"]?.string == "resp_made")
    }

    /// `return_progress` of llama-server.
    @Test func progressPassesAndABeginningThatIsToldTwiceDoesNot() throws {
        let progress = #"{"type":"response.in_progress","response":{"id":"resp_up"},"#
        let decoded = try decodeDoor(
            .responses,
            events: [
                progress + #""prompt_progress":{"total":9,"processed":3}}"#,
                progress + #""prompt_progress":{"total":9,"processed":9}}"#,
                Self.created, progress.dropLast() + "}", Self.completed(),
            ])
        try check(decoded, "progress")
        let events = decoded.namedEvents
        #expect(events.compactMap { $0.data["prompt_progress"]?["processed"]?.int } == [3, 9])
        #expect(events.count == 4 && events[0].data["response"]?["id"]?.string == "resp_up")
    }

    @Test func anEmptyAnswerIsOne() throws {
        let decoded = try decodeDoor(.responses, events: [Self.completed()])
        try check(decoded, "empty")
        #expect(decoded.namedEvents.count == 3)
    }

    @Test func anAnswerWithAsManyTokensAsItMayHaveIsIncomplete() throws {
        let usage = #","usage":{"input_tokens":2,"output_tokens":5,"total_tokens":7}"#
        for (limit, isCut) in [(nil, false), (6, false), (5, true), (4, true)] {
            let decoded = try decodeDoor(
                .responses, events: [Self.created, Self.completed(usage)], tokenLimit: limit)
            let end = try #require(decoded.namedEvents.last)
            #expect(end.name == (isCut ? "response.incomplete" : "response.completed"))
            let response = end.data["response"]
            #expect(response?["status"]?.string == (isCut ? "incomplete" : "completed"))
            #expect(
                response?["incomplete_details"]?["reason"]?.string
                    == (isCut ? "max_output_tokens" : nil))
            #expect(decoded.promptTokens == 2 && decoded.completionTokens == 5)
        }
    }

    @Test func theNumbersOfAServerThatHasThemStay() throws {
        let decoded = try decodeDoor(
            .responses,
            events: [
                Self.created,
                #"{"type":"response.output_item.added","output_index":3,"item":{"id":"a"}}"#,
                #"{"type":"response.refusal.delta","output_index":3,"content_index":2,"item_id":"a","delta":"x"}"#,
                #"{"type":"response.new.thing","item_id":"a","x":1}"#,
                Self.completed(),
            ])
        let events = decoded.namedEvents
        #expect(events.compactMap { $0.data["output_index"]?.int } == [3, 3, 3])
        #expect(events[2].data["content_index"]?.int == 2)
        #expect(events[3].data["x"]?.int == 1)
    }

    // MARK: - Failures

    /// What an upstream may send that is no end, and what becomes of it.
    static let faults: [(body: String, error: DialectError)] = [
        ("", .endedEarly), ("data: [DONE]\n\n", .endedEarly), ("data: {\"type\":", .endedEarly),
        ("data: nonsense\n\n", .malformedFrame(excerpt: "nonsense")),
        ("data: {\"x\":1}\n\n", .malformedFrame(excerpt: #"{"x":1}"#)),
        (
            "data: {\"type\":\"a\\nb\"}\n\n",
            .malformedFrame(excerpt: #"{"type":"a\nb"}"#)
        ),
        ("data: {\"error\":{\"code\":500}}\n\n", .reported(json: Array(#"{"code":500}"#.utf8))),
        (
            "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"message\":\"m\"}}}\n\n",
            .reported(json: Array(#"{"message":"m"}"#.utf8))
        ),
        (
            "event: error\ndata: {\"type\":\"error\",\"message\":\"m\"}\n\n",
            .reported(json: Array(#"{"type":"error","message":"m"}"#.utf8))
        ),
        ("proxy error: gone\n", .strayText(excerpt: "proxy error: gone")),
    ]

    @Test(arguments: faults)
    func whatIsNoEndIsNeverTakenForOne(_ body: String, _ error: DialectError) throws {
        let head = [Self.created, Self.added, Self.part, Self.delta("Hel")]
        let bytes = Array((head.map { "data: \($0)\n\n" }.joined() + body).utf8)
        let whole = try decodeDoor(
            .responses, [bytes], failure: APIError(.upstreamClosed, "It ended."))
        #expect(whole.error == error)
        #expect(whole.text.contains(#""delta":"Hel""#), "what came is delivered first")
        let events = whole.namedEvents
        #expect(events.suffix(2).map(\.name) == ["response.failed", "error"])
        let failed = events[events.count - 2].data
        #expect(failed["response"]?["status"]?.string == "failed")
        #expect(failed["response"]?["id"]?.string == "resp_up")
        #expect(failed["response"]?["error"]?["code"]?.string == "server_error")
        let last = try #require(events.last?.data)
        #expect(last["error"]?["code"]?.string == "upstream_closed")
        #expect(last["message"]?.string == "It ended." && last["code"]?.string == "upstream_closed")
        #expect(events.map { $0.data["sequence_number"]?.int } == Array(0..<events.count))
        try forEveryCut(of: bytes) { pieces in
            let cut = try decodeDoor(
                .responses, pieces, failure: APIError(.upstreamClosed, "It ended."))
            #expect(cut == whole)
        }
    }

    @Test func aFailureBeforeAnythingWasSaidIsTheErrorAlone() throws {
        let decoded = try decodeDoor(
            .responses, events: [], failure: APIError(.queueTimeout, "Too long."))
        #expect(decoded.namedEvents.map(\.name) == ["error"])
    }

    @Test func whatFollowsTheEndIsNoFault() throws {
        let body = [Self.created, Self.completed()].map { "data: \($0)\n\n" }.joined()
        for rest in ["data: [DONE]\n\n", "nonsense\n", "data: {\"error\":1}\n\n"] {
            let decoded = try decodeDoor(.responses, [Array((body + rest).utf8)])
            #expect(decoded.error == nil && decoded.namedEvents.count == 2)
        }
    }

    @Test func anEventBeyondTheLimitIsRefused() throws {
        let decoded = try decodeDoor(
            .responses,
            [Array("data: \(Self.delta(String(repeating: "x", count: 2000)))\n\n".utf8)],
            limits: (1000, 1 << 20))
        #expect(decoded.error == .frameTooLong(limitBytes: 1000))
    }

    @Test func aThousandItemsCannotFillTheMemory() throws {
        var events = [Self.created]
        for index in 0...5000 {
            events.append(#"{"type":"response.output_item.added","item":{"id":"\#(index)"}}"#)
        }
        #expect(try decodeDoor(.responses, events: events).error != nil)
    }
}
