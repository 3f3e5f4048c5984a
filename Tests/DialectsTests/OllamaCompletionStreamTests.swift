// Ollama's generations become chunks of a text completion.

import Chat
import Dialects
import TestSupport
import Testing

@Suite struct OllamaCompletionStreamTests {
    static func record(_ text: String, more: String = #","done":false"#) -> String {
        #"{"model":"tiny-go","created_at":"2026-11-20T12:32:46.18Z","response":"\#(text)"\#(more)}"#
    }

    static func last(_ reason: String, text: String = "") -> String {
        record(
            text,
            more: #","done":true,"done_reason":"\#(reason)","context":[1,2],"#
                + #""prompt_eval_count":8,"prompt_eval_duration":2000000,"#
                + #""eval_count":4,"eval_duration":8000000"#)
    }

    static func chunk(_ text: String, finish: String = "null", more: String = "") -> String {
        #"{"id":"cmpl-made","object":"text_completion","created":1700000000,"model":"asked","#
            + #""choices":[{"text":"\#(text)","index":0,"logprobs":null,"finish_reason":\#(finish)}]"#
            + "\(more)}"
    }

    @Test func aSimpleStream() {
        let decoded = decodeText(records: [
            Self.record("{\\\"a\\u003c"), Self.record(" é"), Self.last("length"),
        ])
        #expect(decoded.error == nil && decoded.dataEvents == 3)
        #expect(
            decoded.events == [
                Self.chunk("{\\\"a\\u003c"), Self.chunk(" é"),
                Self.chunk("", finish: #""length""#, more: OllamaStreamTests.timings), "[DONE]",
            ])
        #expect(decoded.promptTokens == 8 && decoded.completionTokens == 4)
    }

    @Test func usageComesLast() {
        let decoded = decodeText(
            records: [Self.record("a"), Self.last("stop", text: "b")],
            textOptions { $0.includeUsage = true })
        var expectation = TextCompletionSchema.Expectation()
        expectation.includeUsage = true
        let schema = TextCompletionSchema(decoded.bytes, expectation)
        #expect(schema.violations == [])
        #expect(schema.choices[0]?.text == "ab" && schema.choices[0]?.finish == "stop")
        #expect(schema.usage?["total_tokens"]?.int == 12)
        #expect(schema.timings?["predicted_n"]?.int == 4)
    }

    @Test func thoughtsHaveNoPlace() {
        let decoded = decodeText(records: [
            Self.record("", more: #","thinking":"Hm","done":false"#), Self.record("a"),
            Self.last("stop"),
        ])
        let schema = TextCompletionSchema(decoded.bytes, .init())
        #expect(schema.violations == [] && schema.chunks.count == 2)
        #expect(!decoded.text.contains("Hm"))
    }

    @Test func logprobsHaveBothForms() {
        let entry =
            #"{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-1}]}"#
        let decoded = decodeText(records: [
            Self.record("a", more: #","done":false,"logprobs":[\#(entry)]"#),
            Self.record("", more: #","done":false,"logprobs":[{"token":"","logprob":-2}]"#),
            Self.last("stop"),
        ])
        let schema = TextCompletionSchema(decoded.bytes, .init())
        #expect(schema.violations == [])
        #expect(schema.choices[0]?.logprobs.map { $0["token"]?.string } == ["a", ""])
        #expect(schema.choices[0]?.tokens == [.string("a"), .string("")])
    }

    static let failures: [(String, DialectError)] = [
        ("", .endedEarly), (#"{"error":"x"}"# + "\n", .reported(json: Array(#""x""#.utf8))),
        ("oops\n", .strayText(excerpt: "oops")), ("{\"resp", .endedEarly),
        ("{}\n", .malformedFrame(excerpt: "{}")),
        (
            #"{"response":5,"done":false}"# + "\n",
            .malformedFrame(excerpt: #"{"response":5,"done":false}"#)
        ),
    ]

    @Test(arguments: failures)
    func aFailureComesAfterAllThatWasReceived(_ rest: String, _ error: DialectError) {
        forEveryCut(of: Array((Self.record("a") + "\n" + rest).utf8)) { pieces in
            let decoded = decodeText(.ollama, pieces)
            #expect(decoded.error == error)
            #expect(decoded.events == [Self.chunk("a")])
        }
    }

    @Test func whatFollowsTheEndIsIgnored() {
        let decoded = decodeText(records: [Self.record("a"), Self.last("stop"), "garbage"])
        #expect(decoded.error == nil && decoded.events.last == "[DONE]")
    }

    @Test func charactersCutByTheUpstreamAreJoined() {
        let (head, tail) = (Array(#"{"response":""#.utf8), Array(#"","done":false}"#.utf8) + [10])
        let end = Array((Self.last("stop") + "\n").utf8)
        forEveryCut(of: [0xF0, 0x9F, 0xA6, 0x99]) { pieces in
            let decoded = decodeText(.ollama, [pieces.flatMap { head + $0 + tail } + end])
            #expect(TextCompletionSchema(decoded.bytes, .init()).choices[0]?.text == "\u{1F999}")
        }
    }

    @Test func damagedStreamsNeverBreakTheForm() {
        let whole = Array(
            ([Self.record("a"), Self.record("b\u{2028}"), Self.last("stop")]
                .joined(separator: "\n") + "\n").utf8)
        var random = SplitMix(seed: 12)
        for _ in 0..<300 {
            var body = whole
            let place = Int.random(in: body.indices, using: &random)
            switch random.next() % 3 {
            case 0: body[place] = UInt8(truncatingIfNeeded: random.next())
            case 1: body.remove(at: place)
            default: body.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
            }
            let decoded = decodeText(.ollama, [body])
            var expectation = TextCompletionSchema.Expectation()
            expectation.isComplete = decoded.error == nil
            #expect(TextCompletionSchema(decoded.bytes, expectation).violations == [])
        }
    }
}
