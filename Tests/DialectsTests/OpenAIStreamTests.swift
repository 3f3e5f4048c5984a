// Events of OpenAI's kind become chunks in the normal form.

import Chat
import Dialects
import TestSupport
import Testing

/// Events of llama-server and its kind, and the client's chunks for them.
@Suite struct OpenAIStreamTests {
    /// An upstream event in the shape of llama-server's.
    static func event(
        _ delta: String, finish: String = "null", index: Int = 0, more: String = ""
    ) -> String {
        #"{"choices":[{"finish_reason":\#(finish),"index":\#(index),"delta":\#(delta)}],"#
            + #""created":1795176265,"id":"chatcmpl-up","model":"tiny","#
            + #""system_fingerprint":"b0","object":"chat.completion.chunk"\#(more)}"#
    }

    /// The same, as it leaves.
    static func chunk(
        _ delta: String, finish: String = "null", index: Int = 0, more: String = ""
    ) -> String {
        event(delta, finish: finish, index: index, more: more)
            .replacing(#""model":"tiny""#, with: #""model":"asked""#)
    }

    static let first = chunk(#"{"role":"assistant","content":""}"#)
    static let role = event(#"{"role":"assistant","content":null}"#)
    static let stop = event("{}", finish: #""stop""#)

    static func usageEvent(_ usage: String, more: String = "") -> String {
        #"{"choices":[],"created":1795176265,"id":"chatcmpl-up","model":"tiny","#
            + #""system_fingerprint":"b0","object":"chat.completion.chunk","usage":\#(usage)\#(more)}"#
    }

    @Test func aSimpleStreamChangesOnlyTheModelAndTheFirstContent() {
        let decoded = decode(events: [Self.role, Self.event(#"{"content":"Hi"}"#), Self.stop])
        #expect(
            decoded.events == [
                Self.first, Self.chunk(#"{"content":"Hi"}"#),
                Self.chunk("{}", finish: #""stop""#), "[DONE]",
            ])
        #expect(decoded.error == nil)
        #expect(decoded.dataEvents == 4)
    }

    struct Row: CustomTestStringConvertible, Sendable {
        let what: String
        /// Deltas of choice 0 as they come …
        let deltas: [String]
        /// … and as they leave, less the first and the last.
        let leave: [String]
        var finish = #""stop""#
        var testDescription: String { what }

        init(_ what: String, _ deltas: [String], _ leave: [String], finish: String = #""stop""#) {
            (self.what, self.deltas, self.leave, self.finish) = (what, deltas, leave, finish)
        }
    }

    static let rows = [
        Row("no role comes", [#"{"content":"a"}"#], [#"{"content":"a"}"#]),
        Row(
            "the role comes with text", [#"{"role":"assistant","content":"a"}"#],
            [#"{"content":"a"}"#]),
        Row(
            "the role is repeated",
            [#"{"role":"assistant","content":"a"}"#, #"{"role":"assistant","content":"b"}"#],
            [#"{"content":"a"}"#, #"{"content":"b"}"#]),
        Row(
            "a role of another name", [#"{"role":"model","content":"a"}"#],
            [#"{"content":"a"}"#]),
        Row(
            "an empty text stays", [#"{"content":"a"}"#, #"{"content":""}"#],
            [#"{"content":"a"}"#, #"{"content":""}"#]),
        Row(
            "nulls beside a text", [#"{"content":"a","reasoning_content":null,"tool_calls":null}"#],
            [#"{"content":"a"}"#]),
        Row(
            "reasoning under its other name", [#"{"reasoning":"t"}"#],
            [#"{"reasoning_content":"t"}"#]),
        Row(
            "the same thought under both names", [#"{"reasoning":"t","reasoning_content":"t"}"#],
            [#"{"reasoning_content":"t"}"#]),
        Row(
            "a thought and text at once", [#"{"content":"a","reasoning_content":"t"}"#],
            [#"{"reasoning_content":"t"}"#, #"{"content":"a"}"#]),
        Row(
            "raw line separators", [#"{"content":"a\#u{85}b\#u{2028}c\#u{2029}d é"}"#],
            [#"{"content":"a\u0085b\u2028c\u2029d é"}"#]),
        Row("an escaped key", [#"{"con\u0074ent":"a"}"#], [#"{"content":"a"}"#]),
        Row("a key twice", [#"{"content":"a","content":"b"}"#], [#"{"content":"b"}"#]),
        Row(
            "an unknown member", [#"{"content":"a","refusal":"no"}"#],
            [#"{"content":"a","refusal":"no"}"#]),
        Row(
            "an unknown member alone", [#"{"refusal":"no"}"#],
            [#"{"content":"","refusal":"no"}"#]),
        Row("white space", [#" { "content" : "a" } "#], [#"{"content":"a"}"#]),
        Row("no delta", ["null", #"{"content":"a"}"#], [#"{"content":"a"}"#]),
    ]

    @Test(arguments: rows)
    func deltasTakeTheNormalForm(_ row: Row) {
        let events = row.deltas.map { Self.event($0) } + [Self.stop]
        let expected =
            [Self.first] + row.leave.map { Self.chunk($0) }
            + [Self.chunk("{}", finish: row.finish), "[DONE]"]
        #expect(decode(events: events).events == expected)
        // Behind a token like one seen before, the quick way must lead to the same.
        let warm = Self.event(#"{"content":"warm"}"#)
        let warmed = decode(events: [Self.role, warm, warm] + events).events
        let warmChunk = Self.chunk(#"{"content":"warm"}"#)
        #expect(warmed == [Self.first, warmChunk, warmChunk] + expected.dropFirst())
    }

    @Test(arguments: [
        (#""stop""#, "stop"), (#""length""#, "length"), (#""tool_calls""#, "tool_calls"),
        (#""content_filter""#, "content_filter"), (#""eos""#, "stop"), (#""max_tokens""#, "length"),
    ])
    func finishReasonsAreOfTheKnownFour(_ given: String, _ leaves: String) {
        let decoded = decode(events: [Self.role, Self.event("{}", finish: given)])
        #expect(decoded.events.dropFirst().first == Self.chunk("{}", finish: "\"\(leaves)\""))
    }

    @Test func anEmptyFinishReasonIsNone() {
        let open = Self.event(#"{"content":"a"}"#, finish: #""""#)
        #expect(
            decode(events: [Self.role, open, Self.stop]).events == [
                Self.first, Self.chunk(#"{"content":"a"}"#),
                Self.chunk("{}", finish: #""stop""#), "[DONE]",
            ])
    }

    @Test func aFinishThatCarriesTextBecomesTwoChunks() {
        let timings = #","timings":{"predicted_n":2}"#
        let last = Self.event(#"{"content":"end"}"#, finish: #""length""#, more: timings)
        #expect(
            decode(events: [Self.role, last]).events == [
                Self.first, Self.chunk(#"{"content":"end"}"#),
                Self.chunk("{}", finish: #""length""#, more: timings), "[DONE]",
            ])
    }

    @Test func progressPassesAndTheRoleComesOnce() {
        func progress(_ n: Int) -> String { #","prompt_progress":{"processed":\#(n)}"# }
        let role = #"{"role":"assistant","content":null}"#
        let events = [
            Self.event(role, more: progress(0)), Self.event(role, more: progress(1)), Self.role,
            Self.event(#"{"content":"a"}"#), Self.stop,
        ]
        #expect(
            decode(events: events).events == [
                Self.chunk(#"{"role":"assistant","content":""}"#, more: progress(0)),
                Self.chunk("{}", more: progress(1)), Self.chunk(#"{"content":"a"}"#),
                Self.chunk("{}", finish: #""stop""#), "[DONE]",
            ])
    }

    @Test func whatAnUpstreamLeavesOutIsFilledIn() throws {
        let events = [
            #"{"choices":[{"delta":{"content":"a"}}]}"#,
            #"{"id":null,"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
        ]
        let decoded = decode(events: events)
        let schema = ChunkSchema(decoded.bytes, .init())
        #expect(schema.violations == [])
        #expect(schema.chunks.allSatisfy { $0["id"] == .string("chatcmpl-made") })
        #expect(schema.chunks.allSatisfy { $0["created"]?.int == 1_700_000_000 })
        #expect(schema.choices.first?.content == "a")
    }

    /// Of the event, or of the choice; behind a token like it, on the quick way too.
    @Test(arguments: [
        (
            #""system_fingerprint":"b0","#,
            #""system_fingerprint":"x","a":1,"system_fingerprint":"b0","#, #""a":1,"#
        ),
        (#""index":0,"#, #""index":0,"b":1,"b":2,"#, #""b":2,"#),
    ])
    func ofAMemberThatComesTwiceOnlyTheLastLeaves(_ at: String, _ twice: String, _ left: String) {
        let token = Self.event(#"{"content":"a"}"#).replacing(at, with: twice)
        let chunks = decode(events: [Self.role, token, token, Self.stop]).events.dropFirst()
        for chunk in chunks.prefix(2) {
            #expect(!chunk.contains(#":"x""#) && !chunk.contains(#""b":1"#))
            #expect(chunk.contains(left))
        }
    }

    @Test func idAndCreatedStayThoseOfTheFirstEvent() {
        let later = Self.event(#"{"content":"a"}"#)
            .replacing("1795176265", with: "1795176299").replacing(
                "chatcmpl-up", with: "chatcmpl-2")
        #expect(
            decode(events: [Self.role, later, later, Self.stop]).events.dropFirst().first
                == Self.chunk(#"{"content":"a"}"#))
    }

    @Test func anIdOfAnotherKindIsReplaced() {
        let events = [Self.role, Self.stop].map {
            $0.replacing("chatcmpl-up", with: "gen-77")
        }
        let schema = ChunkSchema(decode(events: events).bytes, .init())
        #expect(schema.violations == [])
    }

    @Test func reasoningLeavesUnderTheNameThatIsSet() {
        let thought = Self.event(#"{"reasoning_content":"t"}"#)
        let expected: [ReasoningField: [String]] = [
            .reasoningContent: [#"{"reasoning_content":"t"}"#],
            .reasoning: [#"{"reasoning":"t"}"#],
            .both: [#"{"reasoning_content":"t","reasoning":"t"}"#],
            .none: [],
        ]
        for field in ReasoningField.allCases {
            let options = testOptions { $0.reasoning = field }
            let decoded = decode(events: [Self.role, thought, thought, Self.stop], options)
            let chunks = (expected[field] ?? []).map { Self.chunk($0) }
            #expect(decoded.events.dropFirst().dropLast(2) == (chunks + chunks)[...])
        }
    }

    @Test func interleavedChoicesEachHaveOneRoleAndOneFinish() {
        let events = [
            Self.event(#"{"role":"assistant","content":null}"#, index: 1),
            Self.event(#"{"content":"b"}"#, index: 1),
            Self.event(#"{"role":"assistant","content":null}"#, index: 0),
            Self.event(#"{"content":"a"}"#, index: 0),
            Self.event("{}", finish: #""stop""#, index: 1),
            Self.event(#"{"content":"a"}"#, index: 0),
            Self.event("{}", finish: #""length""#, index: 0),
        ]
        var expectation = ChunkSchema.Expectation()
        expectation.choiceCount = 2
        let decoded = decode(events: events, testOptions { $0.choiceCount = 2 })
        let schema = ChunkSchema(decoded.bytes, expectation)
        #expect(schema.violations == [])
        #expect(schema.choices.map(\.content) == ["aa", "b"])
        #expect(schema.choices.map(\.finish) == ["length", "stop"])
    }

    @Test func severalChoicesInOneEventLeaveOneByOne() {
        let both = Self.event(#"{"content":"a"}"#).replacing(
            "}],", with: #"},{"finish_reason":null,"index":1,"delta":{"content":"b"}}],"#)
        let ends = [0, 1].map { Self.event("{}", finish: #""stop""#, index: $0) }
        var expectation = ChunkSchema.Expectation()
        expectation.choiceCount = 2
        let decoded = decode(events: [both] + ends, testOptions { $0.choiceCount = 2 })
        let schema = ChunkSchema(decoded.bytes, expectation)
        #expect(schema.violations == [])
        #expect(schema.choices.map(\.content) == ["a", "b"])
    }

    @Test func logprobsPass() {
        let logprobs = #","logprobs":{"content":[{"token":"a","logprob":-0.5}]}"#
        let token = Self.event(#"{"content":"a"}"#).replacing(
            #""a"}}]"#, with: #""a"}\#(logprobs)}]"#)
        let decoded = decode(events: [Self.role, token, token, Self.stop])
        #expect(decoded.events[1] == token.replacing(#""tiny""#, with: #""asked""#))
        #expect(decoded.events[2] == decoded.events[1])
    }

    @Test func whatStandsBesideADeltaIsSaidOnce() {
        let more = #","timings":{"predicted_n":1}"#
        let last = Self.event(#"{"content":"a"}"#, finish: #""stop""#, more: more)
            .replacing(#""index":0"#, with: #""index":0,"stop_reason":7"#)
        let decoded = decode(events: [Self.role, last])
        let plain = Self.chunk("{}", finish: #""stop""#, more: more)
        #expect(
            decoded.events == [
                Self.first, Self.chunk(#"{"content":"a"}"#),
                plain.replacing(#""index":0"#, with: #""index":0,"stop_reason":7"#), "[DONE]",
            ])
    }

    @Test func lineBreaksBetweenTokensDoNotBreakTheEvent() {
        let broken = Self.event(
            #"{"content":"a"}"#, more: ",\"timings\":\ndata: {\"predicted_n\":\r\ndata: 1}")
        let body =
            "data: \(Self.role)\n\ndata: \(broken)\n\ndata: \(broken)\n\ndata: \(Self.stop)"
            + "\r\n\r\ndata: [DONE]\r\n\r\n"
        let decoded = decode(.openAI, [Array(body.utf8)])
        let schema = ChunkSchema(decoded.bytes, .init())
        #expect(schema.violations == [])
        #expect(schema.choices.first?.content == "aa")
    }
}
