// The events of /v1/messages: what real servers sent becomes what Anthropic's clients read.

import Chat
import Dialects
import TestSupport
import Testing

@Suite struct MessagesStreamTests {
    static let recordings = [
        "messages/stream", "messages/stream-tool", "messages/stream-thinking",
        "messages/stream-held-back", "messages/stream-stop-sequence", "messages/stream-tool-auto",
    ]

    /// What must hold of every stream that came to its end: one begin, one end, and blocks that
    /// follow each other.
    private func check(_ decoded: Decoded, _ name: String) throws {
        let events = decoded.namedEvents
        #expect(events.allSatisfy { $0.data["type"]?.string == $0.name }, "\(name)")
        #expect(events.first?.name == "message_start" && events.last?.name == "message_stop")
        #expect(events.count { $0.name == "message_start" || $0.name == "message_stop" } == 2)
        let message = try #require(events.first?.data["message"])
        #expect(message["model"]?.string == "asked" && message["role"]?.string == "assistant")
        #expect(message["content"]?.elements == [] && message["stop_reason"] == .null)
        #expect(message["usage"]?["cache_creation_input_tokens"]?.int == 0)
        var open: Int?
        var next = 0
        for event in events where event.name.hasPrefix("content_block") {
            let index = try #require(event.data["index"]?.int)
            switch event.name {
            case "content_block_start":
                #expect(open == nil && index == next, "\(name)")
                (open, next) = (index, index + 1)
            case "content_block_stop":
                #expect(open == index, "\(name)")
                open = nil
            default: #expect(open == index, "\(name)")
            }
        }
        #expect(open == nil)
        #expect(events.dropLast().last?.name == "message_delta")
    }

    @Test(arguments: recordings) func aRecordedStreamHasWhatClientsNeed(_ name: String) throws {
        let body = try recordedAnswer(name)
        let whole = try decodeDoor(.messages, [body])
        #expect(whole.error == nil)
        try check(whole, name)
        #expect(whole.promptTokens ?? 0 > 0 && whole.completionTokens ?? 0 > 0)
        try forEveryCut(of: body, singleCutLimit: 60) { pieces in
            let cut = try decodeDoor(.messages, pieces)
            #expect(cut == whole)
        }
    }

    /// But for the signature of a thought, which moves to its end.
    @Test(arguments: recordings) func everyDeltaGoesOnAsItCame(_ name: String) throws {
        func deltas(_ events: [JSONValue]) -> [JSONValue] {
            events.filter { $0["type"]?.string == "content_block_delta" }
                .filter { $0["delta"]?["signature"] == nil }
        }
        let sent = try decodeDoor(.messages, [try recordedAnswer(name)]).namedEvents.map(\.data)
        #expect(deltas(sent) == deltas(try recordedEvents(name)))
    }

    /// The events added up by rules of this test's own.
    @Test(arguments: recordings)
    func theAnswerInOnePieceIsTheSumOfTheEvents(_ name: String) throws {
        let body = try recordedAnswer(name)
        let events = try decodeDoor(.messages, [body]).namedEvents.map(\.data)
        let whole = try decodeDoor(.messages, [body], isStream: false)
        let message = try #require(JSONValue(whole.bytes.dropLast()))
        let starts = events.compactMap { $0["content_block"] }
        #expect(message["content"]?.elements.count == starts.count)
        for (index, block) in (message["content"]?.elements ?? []).enumerated() {
            #expect(block["type"] == starts[index]["type"])
            let deltas = events.filter { $0["index"]?.int == index }.compactMap { $0["delta"] }
            for key in ["text", "thinking"] where starts[index][key] != nil {
                let text = deltas.compactMap { $0[key]?.string }.joined()
                #expect(block[key]?.string == text)
            }
            if block["type"]?.string == "tool_use" {
                let json = deltas.compactMap { $0["partial_json"]?.string }.joined()
                #expect(block["input"] == JSONValue(json.utf8))
            }
        }
        let delta = events.compactMap { $0["delta"] }.last
        #expect(message["stop_reason"] == delta?["stop_reason"])
        #expect(message["stop_sequence"] == delta?["stop_sequence"])
        #expect(message["usage"]?["output_tokens"]?.int == whole.completionTokens)
        try forEveryCut(of: body, singleCutLimit: 20) { pieces in
            let cut = try decodeDoor(.messages, pieces, isStream: false)
            #expect(cut == whole)
        }
    }

    @Test func aStopSequenceIsCalledSo() throws {
        let events = try decodeDoor(
            .messages, [try recordedAnswer("messages/stream-stop-sequence")]
        ).namedEvents
        let delta = try #require(events.first { $0.name == "message_delta" }?.data["delta"])
        #expect(delta["stop_reason"]?.string == "stop_sequence")
        #expect(delta["stop_sequence"]?.string == "pieces")
    }

    private static let start =
        #"{"type":"message_start","message":{"id":"m","content":[],"usage":{"input_tokens":3,"#
        + #""cache_read_input_tokens":4,"output_tokens":0}}}"#

    private static func block(_ index: Int, _ json: String) -> String {
        #"{"type":"content_block_start","index":\#(index),"content_block":\#(json)}"#
    }
    private static func delta(_ index: Int, _ json: String) -> String {
        #"{"type":"content_block_delta","index":\#(index),"delta":\#(json)}"#
    }
    private static func text(_ index: Int, _ text: String) -> String {
        delta(index, #"{"type":"text_delta","text":"\#(text)"}"#)
    }
    private static func stop(_ index: Int) -> String {
        #"{"type":"content_block_stop","index":\#(index)}"#
    }
    private static let emptyText = block(0, #"{"type":"text","text":""}"#)
    private static let ending = [
        #"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":9}}"#,
        #"{"type":"message_stop"}"#,
    ]

    @Test func aThoughtIsSignedAndEndsBeforeTheTextBegins() throws {
        let decoded = try decodeDoor(
            .messages,
            events: [
                Self.start, Self.block(0, #"{"type":"thinking","thinking":""}"#),
                Self.delta(0, #"{"type":"thinking_delta","thinking":"Hm"}"#),
                Self.block(1, #"{"type":"text","text":""}"#), Self.text(1, "Hi"),
                Self.delta(0, #"{"type":"signature_delta","signature":""}"#), Self.stop(0),
                Self.stop(1),
            ] + Self.ending)
        try check(decoded, "thought")
        let told = decoded.namedEvents.compactMap { $0.data["delta"]?["type"]?.string }
        #expect(told == ["thinking_delta", "signature_delta", "text_delta"])
        #expect(decoded.promptTokens == 7 && decoded.completionTokens == 9)
    }

    @Test func aBlockThatBeginsTwiceBeginsOnce() throws {
        let events =
            [Self.start, Self.emptyText, Self.text(0, "Hi"), Self.emptyText, Self.text(0, "!")]
            + [Self.stop(0)] + Self.ending
        let decoded = try decodeDoor(.messages, events: events)
        try check(decoded, "twice")
        #expect(decoded.namedEvents.count { $0.name == "content_block_start" } == 1)
        let whole = try decodeDoor(.messages, events: events, isStream: false)
        let content = JSONValue(whole.bytes.dropLast())?["content"]?.elements ?? []
        #expect(content.map { $0["text"]?.string } == ["Hi!"])
    }

    private static let tool = block(1, #"{"type":"tool_use","id":"t","name":"f"}"#)
    private static func json(_ index: Int, _ piece: String) -> String {
        delta(index, #"{"type":"input_json_delta","partial_json":"\#(piece)"}"#)
    }

    /// Events after which text comes whose block has ended, or never began; and what a client reads.
    static let late: [(events: [String], blocks: [String])] = [
        (
            [emptyText, text(0, "Hi"), tool, json(1, "{}"), text(0, " there"), text(0, "!")],
            ["Hi", "{}", " there!"]
        ),
        (
            [emptyText, text(0, "a"), tool, text(0, "b"), stop(0), stop(1), text(0, "c")],
            ["a", "{}", "b", "c"]
        ),
        // The upstream's next block goes behind ours.
        (
            [emptyText, text(0, "a"), tool, text(0, "b"), block(2, #"{"type":"text","text":""}"#)]
                + [text(2, "c"), stop(2), text(1, "d")], ["a", "{}", "b", "c", "d"]
        ),
        ([text(0, "a"), text(0, "b")], ["ab"]),
        (
            [delta(0, #"{"type":"thinking_delta","thinking":"a"}"#), text(1, "b")],
            ["a", "b"]
        ),
        // Begun again after its end, as llama-server might.
        ([emptyText, text(0, "a"), stop(0), emptyText, text(0, "b")], ["a", "b"]),
        // Nothing is missed of these.
        (
            [emptyText, text(0, "a"), tool, text(0, ""), json(0, "")]
                + [delta(0, #"{"type":"signature_delta","signature":"s"}"#)], ["a", "{}"]
        ),
    ]

    @Test(arguments: late)
    func textWhoseBlockHasEndedIsABlockOfItsOwn(_ events: [String], _ blocks: [String]) throws {
        let all = [Self.start] + events + Self.ending
        let decoded = try decodeDoor(.messages, events: all)
        try check(decoded, "late")
        var told = Array(repeating: "", count: blocks.count)
        for event in decoded.namedEvents where event.name == "content_block_delta" {
            let index = try #require(event.data["index"]?.int)
            let delta = try #require(event.data["delta"])
            for key in ["text", "thinking", "partial_json"] {
                told[index] += delta[key]?.string ?? ""
            }
        }
        #expect(told.map { $0.isEmpty ? "{}" : $0 } == blocks)
        let whole = try decodeDoor(.messages, events: all, isStream: false)
        let content = JSONValue(whole.bytes.dropLast())?["content"]?.elements ?? []
        let texts = content.map { $0["text"]?.string ?? $0["thinking"]?.string ?? "{}" }
        #expect(texts == blocks)
        for (index, block) in content.enumerated() {
            let start = decoded.namedEvents.first {
                $0.name == "content_block_start" && $0.data["index"]?.int == index
            }
            #expect(start?.data["content_block"]?["type"] == block["type"])
        }
    }

    /// A piece of a call is of no use without the others, and a call that lacks one must not be made.
    @Test func aCallThatCannotBeWholeIsAFault() throws {
        for index in [1, 7] {
            let events = [
                Self.start, Self.tool, Self.json(1, "{"), Self.block(2, #"{"type":"text"}"#),
                Self.json(index, "}"),
            ]
            for isStream in [true, false] {
                let decoded = try decodeDoor(
                    .messages, events: events + Self.ending, isStream: isStream)
                #expect(decoded.error == .malformedFrame(excerpt: Self.json(index, "}")))
            }
        }
    }

    @Test func blocksBeyondAllMeasureAreAFault() throws {
        let texts = (0..<5000).map { Self.text($0 % 2, "x") }
        let decoded = try decodeDoor(.messages, events: [Self.start] + texts + Self.ending)
        #expect(decoded.error != nil)
        #expect(decoded.namedEvents.count { $0.name == "content_block_start" } == 4096)
    }

    @Test func aMessageWithoutABeginGetsOne() throws {
        for late in [[], [Self.start]] {
            let decoded = try decodeDoor(
                .messages,
                events: [Self.emptyText, Self.text(0, "Hi")] + late + [Self.stop(0)] + Self.ending)
            try check(decoded, "no begin")
            #expect(decoded.namedEvents[0].data["message"]?["id"]?.string == "msg_made")
        }
    }

    @Test func aCallHasAnInputFromItsBegin() throws {
        let tool = Self.block(0, #"{"type":"tool_use","id":"t","name":"f"}"#)
        let cases: [(pieces: [String], input: String)] = [
            ([], "{}"), ([#"{\"a\""#, #":[1,\n2]}"#], #"{"a":[1,2]}"#), ([#"{\"a\":"#], "{}"),
        ]
        for (pieces, input) in cases {
            let deltas = pieces.map {
                Self.delta(0, #"{"type":"input_json_delta","partial_json":"\#($0)"}"#)
            }
            let events = [Self.start, tool] + deltas + [Self.stop(0)] + Self.ending
            let decoded = try decodeDoor(.messages, events: events)
            try check(decoded, "call")
            #expect(decoded.namedEvents[1].data["content_block"]?["input"]?.keys == [])
            let whole = try decodeDoor(.messages, events: events, isStream: false)
            let block = JSONValue(whole.bytes.dropLast())?["content"]?.elements.first
            #expect(block?["input"] == JSONValue(input.utf8))
        }
    }

    static let faults: [(body: String, error: DialectError)] = [
        ("", .endedEarly), ("data: [DONE]\n\n", .endedEarly), ("data: {\"type\":", .endedEarly),
        ("data: nonsense\n\n", .malformedFrame(excerpt: "nonsense")),
        (
            "event: error\ndata: {\"error\":{\"code\":500}}\n\n",
            .reported(json: Array(#"{"code":500}"#.utf8))
        ),
        (
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"m\"}}\n\n",
            .reported(json: Array(#"{"message":"m"}"#.utf8))
        ),
        ("proxy error: gone\n", .strayText(excerpt: "proxy error: gone")),
    ]

    @Test(arguments: faults)
    func whatIsNoEndIsNeverTakenForOne(_ body: String, _ error: DialectError) throws {
        // All but the last event: the reason is told, but not the end.
        let head = [Self.start, Self.emptyText, Self.text(0, "Hel"), Self.stop(0), Self.ending[0]]
        let bytes = Array((head.map { "data: \($0)\n\n" }.joined() + body).utf8)
        let failure = APIError(.upstreamClosed, "It ended.")
        let whole = try decodeDoor(.messages, [bytes], failure: failure)
        #expect(whole.error == error)
        let last = try #require(whole.namedEvents.last)
        #expect(last.name == "error" && last.data["error"]?["type"]?.string == "api_error")
        #expect(last.data["error"]?["message"]?.string == "It ended.")
        #expect(last.data["request_id"]?.string == "made")
        #expect(!whole.text.contains("message_stop"))
        try forEveryCut(of: bytes) { pieces in
            let cut = try decodeDoor(.messages, pieces, failure: failure)
            #expect(cut == whole)
        }
        #expect(try decodeDoor(.messages, [bytes], isStream: false).bytes == [])
    }

    @Test func pingsAreNotPassedOn() throws {
        let decoded = try decodeDoor(
            .messages, events: [Self.start, #"{"type":"ping"}"#] + Self.ending)
        #expect(decoded.types == ["message_start", "message_delta", "message_stop"])
    }

    @Test func aMessageBeyondTheLimitIsRefused() throws {
        let texts = (0..<50).map { _ in Self.text(0, String(repeating: "x", count: 100)) }
        let events = [Self.start, Self.emptyText] + texts + [Self.stop(0)] + Self.ending
        let body = Array(events.map { "data: \($0)\n\n" }.joined().utf8)
        let refused = try decodeDoor(.messages, [body], isStream: false, limits: (1000, 4000))
        #expect(refused.error == .frameTooLong(limitBytes: 4000))
        #expect(try decodeDoor(.messages, [body], limits: (1000, 4000)).error == nil)
    }
}

@Suite struct DoorDocumentTests {
    @Test(arguments: [
        (Door.countTokens, "endpoints/count-tokens"), (.rerank, "rerank/ok"),
        (.tokenize, "endpoints/tokenize"), (.detokenize, "endpoints/detokenize"),
    ])
    func aRecordedAnswerGoesOnUnderTheNameAskedFor(_ door: Door, _ name: String) throws {
        let body = try recordedAnswer(name)
        let own = String(decoding: body, as: UTF8.self).replacing(#""tiny""#, with: #""asked""#)
        try forEveryCut(of: body) { pieces in
            let decoded = try decodeDoor(door, pieces, isStream: false)
            #expect(
                decoded.error == nil && JSONValue(decoded.bytes.dropLast()) == JSONValue(own.utf8))
            #expect(decoded.promptTokens == (door == .rerank ? 9 : nil))
        }
    }

    /// As Hugging Face's servers answer, and llama-server where it is asked in their words.
    @Test func ranksMayBeAnArray() throws {
        let body = "[{\"index\":0,\"score\":0.5},\n{\"index\":1,\"score\":0.25}]"
        try forEveryCut(of: Array(body.utf8)) { pieces in
            let decoded = try decodeDoor(.rerank, pieces, isStream: false)
            #expect(JSONValue(decoded.bytes.dropLast()) == JSONValue(body.utf8))
            #expect(!decoded.bytes.dropLast().contains(0x0A))
        }
    }

    @Test func whatIsNotWholeIsNoAnswer() throws {
        let cases: [(String, DialectError)] = [
            ("", .endedEarly), (#"{"tokens":[1"#, .endedEarly),
            ("5", .malformedFrame(excerpt: "5")), ("<html>", .malformedFrame(excerpt: "<html>")),
            (#"{"error":{"message":"m"}}"#, .reported(json: Array(#"{"message":"m"}"#.utf8))),
        ]
        for (body, error) in cases {
            let decoded = try decodeDoor(.tokenize, [Array(body.utf8)], isStream: false)
            #expect(decoded.error == error && decoded.bytes == [])
        }
    }

    @Test func aDocumentBeyondTheLimitIsRefused() throws {
        let body = Array(#"{"content":"\#(String(repeating: "x", count: 200))"}"#.utf8)
        let decoded = try decodeDoor(.detokenize, [body], isStream: false, limits: (1 << 20, 100))
        #expect(decoded.error == .frameTooLong(limitBytes: 100))
    }
}
