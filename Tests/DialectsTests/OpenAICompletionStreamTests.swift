// The text completions of llama-server and its kind become the client's chunks.

import Chat
import Dialects
import TestSupport
import Testing

@Suite struct OpenAICompletionStreamTests {
    /// An event as llama-server writes it, or as it leaves.
    static func event(
        _ text: String, index: Int = 0, finish: String = "null", logprobs: String = "null",
        more: String = "", id: String = "chatcmpl-up", model: String = "tiny"
    ) -> String {
        #"{"choices":[{"text":"\#(text)","index":\#(index),"logprobs":\#(logprobs),"#
            + #""finish_reason":\#(finish)}],"created":5,"model":"\#(model)","#
            + #""system_fingerprint":"b0","object":"text_completion"\#(more),"id":"\#(id)"}"#
    }

    static func usage(_ prompt: Int, _ completion: Int, cached: Int = 1) -> String {
        #","usage":{"completion_tokens":\#(completion),"prompt_tokens":\#(prompt),"#
            + #""total_tokens":\#(prompt + completion),"#
            + #""prompt_tokens_details":{"cached_tokens":\#(cached)}}"#
    }

    static func end(_ index: Int = 0, _ prompt: Int = 2, _ completion: Int = 3) -> String {
        event("", index: index, finish: #""length""#, more: usage(prompt, completion))
    }

    private func left(_ text: String, more: String = "", finish: String = "null") -> String {
        Self.event(text, finish: finish, more: more, model: "asked")
    }

    @Test func tokensLeaveAsTheyCameUnderTheNameAskedFor() {
        let texts = [" near", " é\\u003c", "\\\"", "\u{1F999}", "", " x"]
        let decoded = decodeText(events: texts.map { Self.event($0) } + [Self.end()])
        #expect(decoded.error == nil)
        #expect(
            decoded.events == texts.map { left($0) } + [left("", finish: #""length""#), "[DONE]"])
        #expect(decoded.dataEvents == texts.count + 2)
        #expect(decoded.promptTokens == 2 && decoded.completionTokens == 3)
    }

    @Test func usageMovesToAChunkOfItsOwnWhenItIsAskedFor() {
        let timed = #","timings":{"predicted_n":3}"#
        let last = Self.event(
            "", finish: #""stop""#, more: Self.usage(2, 3) + timed)
        let decoded = decodeText(
            events: [Self.event("a"), Self.event("b"), last], textOptions { $0.includeUsage = true }
        )
        var expectation = TextCompletionSchema.Expectation()
        expectation.includeUsage = true
        let schema = TextCompletionSchema(decoded.bytes, expectation)
        #expect(schema.violations == [])
        #expect(schema.usage?["total_tokens"]?.int == 5)
        #expect(schema.usage?["prompt_tokens_details"]?["cached_tokens"]?.int == 1)
        // The timings stay where llama-server puts them.
        #expect(schema.chunks[2]["timings"]?["predicted_n"]?.int == 3)
        #expect(schema.choices[0]?.text == "ab")
    }

    @Test func usageOfAllServersKindsIsFound() {
        let sum =
            #"{"id":"cmpl-1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":9,"total_tokens":16}}"#
        let zero = #","usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#
        for events in [
            [Self.event("a"), Self.event("", finish: #""stop""#), sum],
            [Self.event("a", more: zero), Self.event("", finish: #""stop""#, more: zero), sum],
        ] {
            let decoded = decodeText(events: events, textOptions { $0.includeUsage = true })
            var expectation = TextCompletionSchema.Expectation()
            expectation.includeUsage = true
            let schema = TextCompletionSchema(decoded.bytes, expectation)
            #expect(schema.violations == [])
            #expect(schema.usage?["total_tokens"]?.int == 16)
        }
    }

    @Test func severalPromptsAndChoicesAreCountedOnceEach() {
        let events =
            ["null"] + (0..<4).map { Self.event("t", index: $0) }
            + [Self.end(1, 2, 3), Self.end(0, 2, 4), Self.end(3, 5, 1), Self.end(2, 5, 2)]
        let body = Array((events + ["[DONE]"]).map { "data: \($0)\n\n" }.joined().utf8)
        let options = textOptions {
            $0.includeUsage = true
            $0.choiceCount = 4
        }
        let decoded = decodeText(.openAI, [body], options, choicesPerPrompt: 2)
        var expectation = TextCompletionSchema.Expectation()
        expectation.includeUsage = true
        expectation.choiceCount = 4
        let schema = TextCompletionSchema(decoded.bytes, expectation)
        #expect(schema.violations == [])
        #expect(schema.usage?["prompt_tokens"]?.int == 7)
        #expect(schema.usage?["completion_tokens"]?.int == 10)
        #expect(schema.usage?["prompt_tokens_details"]?["cached_tokens"]?.int == 2)
    }

    @Test func choicesOfOneEventLeaveInEventsOfTheirOwn() {
        let both =
            #"{"id":"cmpl-v","object":"text_completion","created":5,"model":"m","choices":["#
            + #"{"index":0,"text":"a","finish_reason":null},{"index":1,"text":"b","finish_reason":"stop"}],"x":1}"#
        let rest = #"{"id":"cmpl-v","choices":[{"index":0,"text":"c","finish_reason":"stop"}]}"#
        let decoded = decodeText(events: [both, rest], textOptions { $0.choiceCount = 2 })
        var expectation = TextCompletionSchema.Expectation()
        expectation.choiceCount = 2
        let schema = TextCompletionSchema(decoded.bytes, expectation)
        #expect(schema.violations == [])
        #expect(schema.choices.mapValues(\.text) == [0: "ac", 1: "b"])
        // What is said of the event is said once.
        #expect(schema.chunks.map { $0["x"]?.int } == [nil, 1, nil])
        #expect(schema.chunks[0]["id"]?.string == "cmpl-v")
    }

    @Test func idsOfOtherKindsAreOurs() {
        let decoded = decodeText(events: [Self.event("a", id: "gen-7"), Self.end()])
        #expect(decoded.events[0] == Self.event("a", id: "cmpl-made", model: "asked"))
    }

    @Test func logprobsHaveBothForms() throws {
        let entry =
            #"{"id":694,"token":" near","bytes":[32],"logprob":-1.5,"top_logprobs":[{"token":" is","logprob":-1.0}]}"#
        let events = [
            Self.event(" near", logprobs: #"{"content":[\#(entry)]}"#),
            Self.event(
                "x", logprobs: #"{"content":[{"token":"x","logprob":0.0,"top_logprobs":[]}]}"#),
            Self.end(),
        ]
        let decoded = decodeText(events: events)
        let schema = TextCompletionSchema(decoded.bytes, .init())
        #expect(schema.violations == [])
        let first = schema.chunks[0]["choices"]?.elements[0]["logprobs"]
        #expect(first?["content"] == JSONValue("[\(entry)]".utf8))
        #expect(first?["token_logprobs"] == JSONValue("[-1.5]".utf8))
        #expect(first?["top_logprobs"] == JSONValue(#"[{" is":-1.0," near":-1.5}]"#.utf8))
        let second = schema.chunks[1]["choices"]?.elements[0]["logprobs"]
        #expect(second?["text_offset"] == JSONValue("[5]".utf8))
    }

    @Test func separatorsLeaveEscaped() {
        let texts = ["a\u{2028}b", "\u{85}", "c\u{2029}"]
        let decoded = decodeText(events: texts.map { Self.event($0) } + [Self.end()])
        let schema = TextCompletionSchema(decoded.bytes, .init())
        #expect(schema.violations == [])
        #expect(schema.choices[0]?.text == texts.joined())
    }

    @Test(arguments: [false, true])
    func aLongEventIsCut(isLast: Bool) {
        let text = String(repeating: "é\\n\u{1F999}", count: 40_000)
        let last = Self.event(
            text, finish: isLast ? #""stop""# : "null",
            more: Self.usage(2, 3) + #","timings":{"a":1}"#)
        let decoded = decodeText(events: [Self.event("a"), last] + (isLast ? [] : [Self.end()]))
        let schema = TextCompletionSchema(decoded.bytes, .init())
        #expect(schema.violations == [])
        #expect(schema.choices[0]?.text == "a" + text.replacing("\\n", with: "\n"))
        #expect(schema.chunks.filter { $0["timings"] != nil }.count == 1)
        #expect(schema.chunks.count >= 3)
    }

    @Test func charactersCutByTheUpstreamAreJoined() {
        let head = Array(#"data: {"choices":[{"index":0,"text":""#.utf8)
        let tail = Array(#"","finish_reason":null}]}"#.utf8) + [10, 10]
        let end = Array("data: \(Self.end())\n\ndata: [DONE]\n\n".utf8)
        let llama: [UInt8] = [0xF0, 0x9F, 0xA6, 0x99]
        forEveryCut(of: llama) { pieces in
            let body = pieces.flatMap { head + $0 + tail } + end
            let decoded = decodeText(.openAI, [body])
            let schema = TextCompletionSchema(decoded.bytes, .init())
            #expect(schema.violations == [] && decoded.error == nil)
            #expect(schema.choices[0]?.text == "\u{1F999}")
        }
        // Nothing completes it: before the finish, and before a failure.
        let cut = head + llama.prefix(2) + tail
        let finished = decodeText(.openAI, [cut + end])
        #expect(TextCompletionSchema(finished.bytes, .init()).choices[0]?.text == "\u{FFFD}")
        let failed = decodeText(.openAI, [cut])
        #expect(failed.error == .endedEarly)
        #expect(failed.text.contains("\u{FFFD}"))
    }

    // MARK: - Endings

    /// What follows two tokens, and what it means.
    static let failures: [(String, DialectError)] = [
        ("", .endedEarly), ("data: [DONE]\n\n", .endedEarly),
        (
            #"data: {"error":{"code":500,"message":"full"}}"# + "\n\n",
            .reported(json: Array(#"{"code":500,"message":"full"}"#.utf8))
        ),
        ("proxy error: Failed", .strayText(excerpt: "proxy error: Failed")),
        (
            #"error: {"message":"x"}"# + "\n\n", .reported(json: Array(#"{"message":"x"}"#.utf8))
        ),
        ("data: {\"choices\":[\n\n", .malformedFrame(excerpt: #"{"choices":["#)),
        ("data: 5\n\n", .malformedFrame(excerpt: "5")),
        (
            #"data: {"choices":[{"index":1,"text":"x"}]}"# + "\n\n",
            .malformedFrame(excerpt: #"{"choices":[{"index":1,"text":"x"}]}"#)
        ),
        (
            #"data: {"choices":[{"index":0,"text":5}]}"# + "\n\n",
            .malformedFrame(excerpt: #"{"choices":[{"index":0,"text":5}]}"#)
        ),
        (
            #"data: {"choices":[{"index":0,"text":"","finish_reason":"error"}]}"# + "\n\n",
            .reported(json: Array(#""the answer ended with finish_reason \"error\"""#.utf8))
        ),
    ]

    @Test(arguments: failures)
    func aFailureComesAfterAllThatWasReceived(_ rest: String, _ error: DialectError) {
        let tokens = ["a", "b"].map { "data: \(Self.event($0))\n\n" }.joined()
        forEveryCut(of: Array((tokens + rest).utf8), singleCutLimit: 64) { pieces in
            let decoded = decodeText(.openAI, pieces)
            #expect(decoded.error == error)
            #expect(decoded.events == [left("a"), left("b")])
        }
    }

    @Test(arguments: ["", "data: [DONE]\n\n", "garbage", "data: {\n\n", "data: {\"x"])
    func nothingSpoilsACompleteAnswer(_ rest: String) {
        let body = "data: \(Self.event("a"))\n\ndata: \(Self.end())\n\n" + rest
        let decoded = decodeText(.openAI, [Array(body.utf8)])
        #expect(decoded.error == nil)
        #expect(decoded.events == [left("a"), left("", finish: #""length""#), "[DONE]"])
    }

    @Test func eventsAfterTheFinishOfTheirChoiceAreDropped() {
        let decoded = decodeText(events: [
            Self.event("a"), Self.event("b"), Self.end(), Self.event("c"), Self.end(),
        ])
        #expect(TextCompletionSchema(decoded.bytes, .init()).violations == [])
        #expect(!decoded.text.contains("\"c\""))
    }

    @Test func aFrameOverTheLimitIsRefused() {
        var decoder = TextCompletionDecoder(
            .openAI, textOptions(), choicesPerPrompt: 1, eventLimit: 500)
        var sink = ChunkSink(framing: .serverSentEvents, headroom: 0)
        let body = Array("data: \(Self.event(String(repeating: "a", count: 500)))\n\n".utf8)
        #expect(throws: DialectError.frameTooLong(limitBytes: 500)) {
            try decoder.feed(body.span, into: &sink)
        }
    }

    @Test func damagedStreamsNeverBreakTheForm() {
        let texts = ["a", "b\u{2028}", "\\u00e9", "d"]
        let whole = Array(
            (texts.map { "data: \(Self.event($0))\n\n" }.joined()
                + "data: \(Self.end())\n\ndata: [DONE]\n\n").utf8)
        var random = SplitMix(seed: 11)
        for _ in 0..<300 {
            var body = whole
            for _ in 0...Int.random(in: 0...2, using: &random) {
                let place = Int.random(in: body.indices, using: &random)
                switch random.next() % 3 {
                case 0: body[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: body.remove(at: place)
                default: body.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
                }
            }
            let decoded = decodeText(.openAI, [body])
            var expectation = TextCompletionSchema.Expectation()
            expectation.isComplete = decoded.error == nil
            #expect(TextCompletionSchema(decoded.bytes, expectation).violations == [])
        }
    }
}
