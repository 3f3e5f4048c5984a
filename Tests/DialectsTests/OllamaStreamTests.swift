// Ollama's records become chunks.

import Chat
import Dialects
import TestSupport
import Testing

/// Records of Ollama's native chat, and the client's chunks for them.
@Suite struct OllamaStreamTests {
    static func record(_ message: String, more: String = #","done":false"#) -> String {
        #"{"model":"tiny-go","created_at":"2026-11-20T12:32:46.180792355Z","#
            + #""message":{"role":"assistant",\#(message)}\#(more)}"#
    }

    static let metrics =
        #","total_duration":10654248,"load_duration":1727024,"prompt_eval_count":8,"#
        + #""prompt_eval_duration":2000000,"eval_count":4,"eval_duration":8000000"#

    static func last(_ reason: String, message: String = #""content":"""#) -> String {
        record(message, more: #","done":true,"done_reason":"\#(reason)"\#(metrics)"#)
    }

    static func chunk(_ delta: String, finish: String = "null", more: String = "") -> String {
        #"{"id":"chatcmpl-made","object":"chat.completion.chunk","created":1700000000,"#
            + #""model":"asked","choices":[{"index":0,"delta":\#(delta),"finish_reason":\#(finish)}]"#
            + "\(more)}"
    }

    static let first = chunk(#"{"role":"assistant","content":""}"#)
    static let timings =
        #","timings":{"prompt_n":8,"prompt_ms":2.0,"prompt_per_token_ms":0.25,"#
        + #""prompt_per_second":4000.0,"predicted_n":4,"predicted_ms":8.0,"#
        + #""predicted_per_token_ms":2.0,"predicted_per_second":500.0}"#

    @Test func aSimpleStream() {
        let decoded = decode(records: [
            Self.record(#""content":"{\"a\u003c""#), Self.record(#""content":" é""#),
            Self.last("stop"),
        ])
        #expect(
            decoded.events == [
                Self.first, Self.chunk(#"{"content":"{\"a\u003c"}"#),
                Self.chunk(#"{"content":" é"}"#),
                Self.chunk("{}", finish: #""stop""#, more: Self.timings), "[DONE]",
            ])
        #expect(decoded.error == nil && decoded.dataEvents == 3)
        #expect(decoded.promptTokens == 8 && decoded.completionTokens == 4)
    }

    @Test func usageTakesTheTimingsWithIt() {
        let options = testOptions { $0.includeUsage = true }
        let decoded = decode(
            records: [
                Self.record(#""content":"a""#), Self.record(#""content":"b""#),
                Self.last("length"),
            ], options)
        let usage =
            #","usage":{"prompt_tokens":8,"completion_tokens":4,"total_tokens":12}"#
            + Self.timings
        let usageChunk = Self.chunk("{}", more: usage).replacing(
            #"[{"index":0,"delta":{},"finish_reason":null}]"#, with: "[]")
        let null = #","usage":null"#
        #expect(
            decoded.events == [
                Self.chunk(#"{"role":"assistant","content":""}"#, more: null),
                Self.chunk(#"{"content":"a"}"#, more: null),
                Self.chunk(#"{"content":"b"}"#, more: null),
                Self.chunk("{}", finish: #""length""#, more: null), usageChunk, "[DONE]",
            ])
    }

    @Test func cachedTokensAreToldWhereTheServerTellsThem() {
        let options = testOptions { $0.includeUsage = true }
        let last = Self.last("stop").replacing(
            #""eval_count":4"#, with: #""eval_count":4,"prompt_eval_cached_count":6"#)
        let schema = ChunkSchema(decode(records: [last], options).bytes, usageAsked)
        #expect(schema.violations == [])
        #expect(schema.usage?["prompt_tokens_details"]?["cached_tokens"]?.int == 6)
        #expect(schema.timings?["cache_n"]?.int == 6 && schema.timings?["prompt_n"]?.int == 2)
    }

    private var usageAsked: ChunkSchema.Expectation {
        var expectation = ChunkSchema.Expectation()
        expectation.includeUsage = true
        return expectation
    }

    struct Row: CustomTestStringConvertible, Sendable {
        let what: String
        let messages: [String]
        let leave: [String]
        var testDescription: String { what }

        init(_ what: String, _ messages: [String], _ leave: [String]) {
            (self.what, self.messages, self.leave) = (what, messages, leave)
        }
    }

    static let rows = [
        Row("nothing", [#""content":"""#], []),
        Row("thinking", [#""content":"","thinking":"t""#], [#"{"reasoning_content":"t"}"#]),
        Row(
            "thinking and content at once", [#""content":"a","thinking":"t""#],
            [#"{"reasoning_content":"t"}"#, #"{"content":"a"}"#]),
        Row("no content", [#""thinking":"t""#], [#"{"reasoning_content":"t"}"#]),
        Row("null content", [#""content":null"#], []),
        Row("separators", [#""content":"\#u{2028}a\#u{85}""#], [#"{"content":"\u2028a\u0085"}"#]),
    ]

    @Test(arguments: rows)
    func messagesTakeTheNormalForm(_ row: Row) {
        let records = row.messages.map { Self.record($0) }
        let chunks = row.leave.map { Self.chunk($0) }
        let cold = decode(records: records + [Self.last("stop")]).events
        #expect(cold.dropFirst().dropLast(2) == chunks[...])
        let warm = Self.record(#""content":"w""#)
        let warmed = decode(records: [warm, warm] + records + [Self.last("stop")]).events
        #expect(warmed.dropFirst(3).dropLast(2) == chunks[...])
    }

    @Test(arguments: [
        ("stop", "stop"), ("length", "length"), ("load", "stop"), ("unload", "stop"),
    ])
    func endingsAreOfTheKnownFour(_ given: String, _ leaves: String) {
        let decoded = decode(records: [Self.last(given)])
        let schema = ChunkSchema(decoded.bytes, .init())
        #expect(schema.violations == [])
        #expect(schema.choices.first?.finish == leaves)
    }

    @Test func aLoadIsAnsweredInOnePieceWithoutALineEnd() {
        let load =
            #"{"model":"m","message":{"role":"assistant","content":""},"done":true,"#
            + #""done_reason":"load"}"#
        let decoded = decode(.ollama, [Array(load.utf8)])
        #expect(decoded.error == nil)
        #expect(decoded.events == [Self.first, Self.chunk("{}", finish: #""stop""#), "[DONE]"])
    }

    @Test func theLastRecordsMessageCounts() {
        let call = #""content":"b","tool_calls":[{"function":{"name":"f","arguments":{"x":1}}}]"#
        let decoded = decode(records: [
            Self.record(#""content":"a""#), Self.last("stop", message: call),
        ])
        let schema = ChunkSchema(decoded.bytes, .init())
        #expect(schema.violations == [])
        #expect(schema.choices.first?.content == "ab")
        #expect(schema.choices.first?.calls.map(\.arguments) == [#"{"x":1}"#])
        #expect(schema.choices.first?.finish == "tool_calls")
    }

    @Test func callsGetTheirOwnNumbersIdsAndTheirArgumentsAsText() {
        let calls =
            #""content":"","tool_calls":["#
            + #"{"id":"call_x","function":{"index":0,"name":"f","arguments":{"b":1,"a":"\"<\u003e"}}},"#
            + #"{"function":{"index":0,"name":"f","arguments":{"b":1}}},"#
            + #"{"id":"call_x","function":{"name":"g","arguments":{}}},"#
            + #"{"function":{"name":"h"}}]"#
        let decoded = decode(records: [Self.record(calls), Self.last("length")])
        let schema = ChunkSchema(decoded.bytes, .init())
        #expect(schema.violations == [])
        #expect(
            schema.choices.first?.calls == [
                .init(id: "call_x", name: "f", arguments: #"{"b":1,"a":"\"<\u003e"}"#),
                .init(id: "call_made_1", name: "f", arguments: #"{"b":1}"#),
                .init(id: "call_made_2", name: "g", arguments: "{}"),
                .init(id: "call_made_3", name: "h", arguments: "{}"),
            ])
        #expect(schema.choices.first?.finish == "length")
    }

    @Test func logprobsTakeOpenAIsForm() {
        let logprobs =
            #","done":false,"logprobs":[{"token":"é","logprob":-0.5,"bytes":[195,169],"#
            + #""top_logprobs":[{"token":"","logprob":-19.5}]},{"token":"b","logprob":0}]"#
        let decoded = decode(records: [
            Self.record(#""content":"éb""#, more: logprobs), Self.last("stop"),
        ])
        let expected =
            #","logprobs":{"content":[{"token":"é","logprob":-0.5,"bytes":[195,169],"#
            + #""top_logprobs":[{"token":"","logprob":-19.5,"bytes":[]}]},"#
            + #"{"token":"b","logprob":0,"bytes":[],"top_logprobs":[]}]}"#
        #expect(
            decoded.events.dropFirst().first
                == Self.chunk(#"{"content":"éb"}"#).replacing(
                    #","finish_reason""#, with: expected + #","finish_reason""#))
    }

    static let failures: [(String, DialectError)] = [
        (
            #"{"error":"an error was encountered while running the model: unexpected EOF"}"# + "\n",
            .reported(
                json: Array(
                    #""an error was encountered while running the model: unexpected EOF""#.utf8))
        ),
        ("", .endedEarly),
        (#"{"model":"m","mess"#, .endedEarly),
        ("{broken}\n", .malformedFrame(excerpt: "{broken}")),
        ("[]\n", .strayText(excerpt: "[]")),
        ("Bad Gateway\n", .strayText(excerpt: "Bad Gateway")),
        ("{}\n", .malformedFrame(excerpt: "{}")),
        (
            #"{"message":1,"done":false}"# + "\n",
            .malformedFrame(excerpt: #"{"message":1,"done":false}"#)
        ),
    ]

    @Test(arguments: failures)
    func aFailureIsToldAfterAllThatCameBeforeIt(_ rest: String, _ error: DialectError) {
        let body = Self.record(#""content":"a""#) + "\n" + rest
        let decoded = decode(.ollama, [Array(body.utf8)])
        #expect(decoded.error == error)
        #expect(decoded.events == [Self.first, Self.chunk(#"{"content":"a"}"#)])
    }

    @Test func nothingLeavesBehindTheEnd() {
        let records = [Self.record(#""content":"a""#), Self.last("stop")]
        let rest = [Self.record(#""content":"b""#), "{broken", #"{"error":"x"}"#]
        let decoded = decode(records: records + rest)
        #expect(decoded.error == nil)
        #expect(decoded.bytes == decode(records: records).bytes)
    }

    @Test func emptyLinesAreReadOver() {
        let records = ["", Self.record(#""content":"a""#), "", Self.last("stop"), ""]
        let schema = ChunkSchema(decode(records: records).bytes, .init())
        #expect(schema.violations == [])
    }
}
