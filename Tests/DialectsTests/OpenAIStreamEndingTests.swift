// The ways in which a stream of OpenAI's kind ends, truthfully told.

import Chat
import Dialects
import TestSupport
import Testing

/// How streams of llama-server and its kind end: usage, timings, failures.
@Suite struct OpenAIStreamEndingTests {
    typealias Events = OpenAIStreamTests

    static let usage = #"{"completion_tokens":9,"prompt_tokens":14,"total_tokens":23}"#
    static let timings = #","timings":{"cache_n":13,"prompt_n":1,"predicted_n":9}"#
    static let token = Events.event(#"{"content":"a"}"#)

    // MARK: - Usage and timings

    @Test func usageLeavesAsItCameWhenItIsAskedFor() {
        let last = Events.usageEvent(Self.usage, more: Self.timings)
        let events = [Events.role, Self.token, Self.token, Events.stop, last]
        let decoded = decode(events: events, testOptions { $0.includeUsage = true })
        let null = #","usage":null"#
        #expect(
            decoded.events == [
                Events.chunk(#"{"role":"assistant","content":""}"#, more: null),
                Events.chunk(#"{"content":"a"}"#, more: null),
                Events.chunk(#"{"content":"a"}"#, more: null),
                Events.chunk("{}", finish: #""stop""#, more: null),
                last.replacing(#""tiny""#, with: #""asked""#), "[DONE]",
            ])
        #expect(decoded.promptTokens == 14 && decoded.completionTokens == 9)
    }

    @Test func withoutUsageTheTimingsStandInTheFinishChunk() {
        let events = [Events.role, Events.stop, Events.usageEvent(Self.usage, more: Self.timings)]
        let decoded = decode(events: events, testOptions { $0.isLlamaServer = true })
        #expect(
            decoded.events == [
                Events.first, Events.chunk("{}", finish: #""stop""#, more: Self.timings), "[DONE]",
            ])
        #expect(decoded.completionTokens == 9)
    }

    @Test func aFinishHeldForTimingsLeavesWithoutThemWhenTheConnectionEnds() {
        let body = [Events.role, Events.stop].map { "data: \($0)\n\n" }.joined()
        let options = testOptions { $0.isLlamaServer = true }
        let decoded = decode(.openAI, [Array(body.utf8)], options)
        #expect(decoded.events == [Events.first, Events.chunk("{}", finish: #""stop""#), "[DONE]"])
    }

    @Test func usageOfSeveralChoicesCountsThemAll() {
        func timed(_ n: Int) -> String { #","timings":{"predicted_n":\#(n)}"# }
        let one = #"{"completion_tokens":8,"prompt_tokens":14,"total_tokens":22}"#
        let other = #"{"completion_tokens":5,"prompt_tokens":14,"total_tokens":19}"#
        let events = [
            Events.role, Events.event("{}", finish: #""length""#, index: 1),
            Events.usageEvent(one, more: timed(8)), Events.stop,
            Events.usageEvent(other, more: timed(5)),
        ]
        let options = testOptions {
            $0.includeUsage = true
            $0.choiceCount = 2
            $0.isLlamaServer = true
        }
        let decoded = decode(events: events, options)
        var expectation = ChunkSchema.Expectation()
        expectation.includeUsage = true
        expectation.choiceCount = 2
        let schema = ChunkSchema(decoded.bytes, expectation)
        #expect(schema.violations == [])
        #expect(schema.usage?["completion_tokens"]?.int == 13)
        #expect(schema.usage?["total_tokens"]?.int == 27)
        #expect(decoded.completionTokens == 13)
    }

    /// Where usage stands, and what the client that asked for it gets.
    static let places: [(String, [String])] = [
        (
            "in the finish chunk",
            [
                Events.event("{}", finish: #""stop""#, more: #","usage":\#(usage)"#)
            ]
        ),
        (
            "in every chunk",
            [
                Events.event(
                    #"{"content":"a"}"#,
                    more: #","usage":{"prompt_tokens":14,"completion_tokens":1,"total_tokens":15}"#),
                Events.event("{}", finish: #""stop""#, more: #","usage":\#(usage)"#),
                Events.usageEvent(usage),
            ]
        ),
        ("twice", [Events.stop, Events.usageEvent(usage), Events.usageEvent(usage)]),
        ("before the finish", [Events.usageEvent(usage), Events.stop]),
        (
            "with null before",
            [
                Events.event(#"{"content":"a"}"#, more: #","usage":null"#), Events.stop,
                Events.usageEvent(usage),
            ]
        ),
        (
            "without a total",
            [
                Events.stop, Events.usageEvent(#"{"completion_tokens":9,"prompt_tokens":14}"#),
            ]
        ),
        (
            "in timings only",
            [
                Events.event(
                    "{}", finish: #""stop""#,
                    more: #","timings":{"cache_n":13,"prompt_n":1,"predicted_n":9}"#)
            ]
        ),
    ]

    @Test(arguments: places, [false, true])
    func usageEndsUpInItsOwnChunk(_ place: (String, [String]), isAskedFor: Bool) {
        let options = testOptions { $0.includeUsage = isAskedFor }
        let decoded = decode(events: [Events.role] + place.1, options)
        var expectation = ChunkSchema.Expectation()
        expectation.includeUsage = isAskedFor
        let schema = ChunkSchema(decoded.bytes, expectation)
        #expect(schema.violations == [], "\(place.0)")
        #expect(decoded.promptTokens == 14 && decoded.completionTokens == 9)
        if isAskedFor { #expect(schema.usage?["total_tokens"]?.int == 23) }
    }

    // MARK: - Truthful endings

    static let before = [Events.role, token]

    @Test func anEndWithoutAFinishIsNone() {
        for done in [false, true] {
            let decoded = decode(events: Self.before, done: done)
            #expect(decoded.error == .endedEarly)
            #expect(decoded.events == [Events.first, Events.chunk(#"{"content":"a"}"#)])
        }
    }

    @Test func onceTheFinishCameTheAnswerIsComplete() {
        let whole = decode(events: Self.before + [Events.stop])
        #expect(decode(events: Self.before + [Events.stop], done: false).bytes == whole.bytes)
        for rest in ["data: {broken\n\n", "proxy error: gone", "data: {\"error\":\"x\"}\n\n"] {
            let body = (Self.before + [Events.stop]).map { "data: \($0)\n\n" }.joined() + rest
            let decoded = decode(.openAI, [Array(body.utf8)])
            #expect(decoded.error == nil)
            #expect(decoded.bytes == whole.bytes)
        }
    }

    @Test func oneOfTwoChoicesIsNoAnswer() {
        let options = testOptions { $0.choiceCount = 2 }
        #expect(decode(events: Self.before + [Events.stop], options).error == .endedEarly)
    }

    @Test func nothingLeavesBehindTheEnd() {
        let events = Self.before + [Events.stop, "[DONE]", Self.token, "{broken"]
        let decoded = decode(events: events)
        #expect(decoded.error == nil)
        #expect(decoded.bytes == decode(events: Self.before + [Events.stop]).bytes)
    }

    @Test func whatStandsBesideAFinishLeavesBeforeIt() {
        let last = Events.event(#"{"refusal":"no"}"#, finish: #""stop""#)
        #expect(
            decode(events: [Events.role, last]).events == [
                Events.first, Events.chunk(#"{"content":"","refusal":"no"}"#),
                Events.chunk("{}", finish: #""stop""#), "[DONE]",
            ])
    }

    @Test func timingsLeaveWithoutRawLineSeparators() {
        let timings = #","timings":{"x":"\#u{2028}","predicted_n":1}"#
        let events = [Events.role, Events.stop, Events.usageEvent(Self.usage, more: timings)]
        let changes: [@Sendable (inout StreamOptions) -> Void] = [
            { $0.includeUsage = true }, { $0.isLlamaServer = true },
        ]
        for change in changes {
            let decoded = decode(events: events, testOptions(change))
            #expect(decoded.text.contains(#""x":"\u2028""#))
        }
    }

    @Test func textBehindItsFinishIsLeftOut() {
        // Also when it looks like the tokens before.
        let decoded = decode(events: [
            Events.role, Self.token, Self.token, Events.stop, Self.token,
        ])
        #expect(decoded.events.count == 5)
        #expect(decoded.error == nil)
    }

    static let failures: [(String, DialectError)] = [
        (
            #"data: {"error":{"code":500,"message":"Context size has been exceeded."}}"# + "\n\n",
            .reported(
                json: Array(#"{"code":500,"message":"Context size has been exceeded."}"#.utf8))
        ),
        (#"data: {"error":"down"}"# + "\n\n", .reported(json: Array(#""down""#.utf8))),
        (
            #"data: {"object":"error","message":"m","code":400}"# + "\n\n",
            .reported(json: Array(#"{"object":"error","message":"m","code":400}"#.utf8))
        ),
        (
            "event: error\ndata: {\"message\":\"m\"}\n\n",
            .reported(json: Array(#"{"message":"m"}"#.utf8))
        ),
        ("{\"error\":{\"code\":1}}\n", .reported(json: Array(#"{"code":1}"#.utf8))),
        ("{\"choices\":[]}\n", .strayText(excerpt: "{\"choices\":[]}")),
        ("error: {\"code\":503}\n\n", .reported(json: Array(#"{"code":503}"#.utf8))),
        (
            "data: \(Events.event("{}", finish: #""abort""#))\n\n",
            .reported(json: Array(#""the answer ended with finish_reason \"abort\"""#.utf8))
        ),
        (
            "proxy error: Failed to read connection",
            .strayText(excerpt: "proxy error: Failed to read connection")
        ),
        ("Internal Server Error\n", .strayText(excerpt: "Internal Server Error")),
        ("data: {\"choices\":[\n\n", .malformedFrame(excerpt: "{\"choices\":[")),
        ("data: hello\n\n", .malformedFrame(excerpt: "hello")),
        ("data: {}\n\n", .malformedFrame(excerpt: "{}")),
        ("data: [1]\n\n", .malformedFrame(excerpt: "[1]")),
        ("data: {\"choices\":{}}\n\n", .malformedFrame(excerpt: "{\"choices\":{}}")),
        ("data: {\"choices\":[1]}\n\n", .malformedFrame(excerpt: "{\"choices\":[1]}")),
        (
            "data: {\"choices\":[{\"delta\":{\"content\":1}}]}\n\n",
            .malformedFrame(excerpt: "{\"choices\":[{\"delta\":{\"content\":1}}]}")
        ),
        (
            "data: {\"choices\":[{\"index\":1000000,\"delta\":{\"content\":\"a\"}}]}\n\n",
            .malformedFrame(
                excerpt: "{\"choices\":[{\"index\":1000000,\"delta\":{\"content\":\"a\"}}]}")
        ),
        ("data: {\"choi", .endedEarly),
    ]

    @Test(arguments: failures)
    func aFailureIsToldAfterAllThatCameBeforeIt(_ bytes: String, _ error: DialectError) {
        let body = Self.before.map { "data: \($0)\n\n" }.joined() + bytes
        let decoded = decode(.openAI, [Array(body.utf8)])
        #expect(decoded.error == error)
        #expect(decoded.events == [Events.first, Events.chunk(#"{"content":"a"}"#)])
    }

    @Test func anExcerptIsShort() {
        let long = String(repeating: "é", count: 500)
        guard case .malformedFrame(let excerpt) = decode(events: [long]).error else {
            Issue.record("no error")
            return
        }
        #expect(excerpt.utf8.count <= 120 && excerpt.utf8.count > 110)
    }

    @Test func aFrameHasALimit() {
        var decoder = StreamDecoder(.openAI, testOptions(), eventLimit: 100)
        var sink = ChunkSink(framing: .serverSentEvents, headroom: 0)
        let bytes = Array("data: \(String(repeating: "x", count: 200))".utf8)
        #expect(throws: DialectError.frameTooLong(limitBytes: 100)) {
            try decoder.feed(bytes.span, into: &sink)
        }
    }

    @Test func whatIsNoEventIsReadOver() {
        let noise = [
            ":\n\n", ": ping\n\n", "data: null\n\n", "data:\n\n", "id: 4\n\n", "\n\n\n",
            "event: ping\ndata: {}\n\n", "retry: 3\n",
        ]
        let body =
            noise.joined() + "data: \(Events.role)\n\n" + noise.joined()
            + "data: \(Events.stop)\n\n" + noise.joined() + "data: [DONE]\n\n"
        let decoded = decode(.openAI, [Array(body.utf8)])
        #expect(decoded.error == nil)
        #expect(decoded.bytes == decode(events: [Events.role, Events.stop]).bytes)
    }

    @Test func pingsAreNoDataEvents() {
        var decoder = StreamDecoder(.openAI, testOptions(), eventLimit: 1000)
        var sink = ChunkSink(framing: .serverSentEvents, headroom: 5)
        let ping = Array(":\n\n: ping\n\n".utf8)
        try? decoder.feed(ping.span, into: &sink)
        #expect(decoder.dataEvents == 0 && sink.isEmpty)
        let event = Array("data: \(Events.role)\n\n".utf8)
        try? decoder.feed(event.span, into: &sink)
        #expect(decoder.dataEvents == 1 && !sink.isEmpty && !decoder.isAnswerComplete)
    }
}
