// Streams of servers of OpenAI's kind as records of Ollama's.

import Chat
import Dialects
import JSON
import Synchronization
import TestSupport
import Testing

@Suite struct FacadeDecoderTests {
    private static let opening = #"{"model":"asked","created_at":"2026-11-20T12:32:46.180792355Z","#

    private static func message(_ members: String) -> String {
        opening + #""message":{"role":"assistant",\#(members)},"done":false}"#
    }

    private static let usage =
        #"{"choices":[],"usage":{"prompt_tokens":8,"completion_tokens":3,"total_tokens":11},"#
        + #""timings":{"prompt_ms":1.5,"predicted_ms":2.25,"predicted_n":3}}"#

    private static let figures =
        #""prompt_eval_count":8,"prompt_eval_duration":1500000,"eval_count":3,"eval_duration":2250000}"#

    private static func last(_ reason: String, _ figures: String = Self.figures) -> String {
        opening
            + #""message":{"role":"assistant","content":""},"done":true,"done_reason":"\#(reason)",\#(figures)"#
    }

    /// The lines for a body, the same however it is cut.
    private func lines(_ events: [String], for answer: OllamaAnswer) -> [String] {
        let body = eventBody(events)
        let whole = decode(.openAI, [body], for: answer)
        #expect(whole.error == nil)
        forEveryCut(of: body, singleCutLimit: 60) { pieces in
            #expect(decode(.openAI, pieces, for: answer) == whole)
        }
        return whole.text.split(separator: "\n").map(String.init)
    }

    @Test func textAndThoughtsAreRecordsOfTheirOwn() throws {
        let events = [
            deltaEvent(#"{"role":"assistant","content":null}"#),
            deltaEvent(#"{"reasoning_content":"Hm"}"#),
            deltaEvent(#"{"content":"a\n\"\#u{2028}ü"}"#),
            deltaEvent(#"{"content":"b"}"#), deltaEvent("{}", finish: #""stop""#), Self.usage,
        ]
        #expect(
            lines(events, for: try ollamaAnswer()) == [
                Self.message(#""content":"","thinking":"Hm""#),
                Self.message(#""content":"a\n\"\u2028ü""#), Self.message(#""content":"b""#),
                Self.last("stop"),
            ])
    }

    @Test func aGenerationHasItsOwnMembers() throws {
        let events = [
            deltaEvent(#"{"reasoning_content":"Hm"}"#), deltaEvent(#"{"content":"a"}"#),
            deltaEvent("{}", finish: #""length""#), Self.usage,
        ]
        #expect(
            lines(events, for: try ollamaAnswer(.generate, #""prompt":"p""#)) == [
                Self.opening + #""response":"","thinking":"Hm","done":false}"#,
                Self.opening + #""response":"a","done":false}"#,
                Self.opening
                    + #""response":"","done":true,"done_reason":"length",\#(Self.figures)"#,
            ])
    }

    @Test func aRawGenerationIsATextCompletion() throws {
        let events = [
            #"{"choices":[{"index":0,"text":"a\n","finish_reason":null}]}"#,
            #"{"choices":[{"index":0,"text":"b","finish_reason":"stop"}]}"#, Self.usage,
        ]
        let lines = lines(events, for: try ollamaAnswer(.generate, #""prompt":"p","raw":true"#))
        #expect(lines.dropLast().map { JSONValue($0.utf8)?["response"]?.string }.joined == "a\nb")
        #expect(JSONValue(lines.last?.utf8 ?? "".utf8)?["eval_count"]?.int == 3)
    }

    @Test func aCallLeavesWhenItIsWhole() throws {
        func call(_ index: Int, _ members: String) -> String {
            deltaEvent(#"{"tool_calls":[{"index":\#(index),\#(members)}]}"#)
        }
        let events = [
            deltaEvent(#"{"content":"Both."}"#),
            call(0, #""id":"a","type":"function","function":{"name":"f","arguments":""}"#),
            call(0, #""function":{"arguments":"{\"x\":"}"#),
            call(0, #""function":{"arguments":"\n1}"}"#),
            call(1, #""id":"b","type":"function","function":{"name":"g","arguments":""}"#),
            deltaEvent("{}", finish: #""tool_calls""#), Self.usage,
        ]
        #expect(
            lines(events, for: try ollamaAnswer()) == [
                Self.message(#""content":"Both.""#),
                Self.message(
                    #""content":"","tool_calls":[{"id":"a","function":{"index":0,"name":"f","arguments":{"x": 1}}}]"#
                ),
                Self.message(
                    #""content":"","tool_calls":[{"id":"b","function":{"index":1,"name":"g","arguments":{}}}]"#
                ), Self.last("stop"),
            ])
    }

    @Test func logprobsStandBesideTheMessage() throws {
        let entry = #"{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]}"#
        let event =
            #"{"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[\#(entry)]},"finish_reason":null}]}"#
        let decoded = decode(
            .openAI, [eventBody([event, deltaEvent("{}", finish: #""stop""#)])],
            for: try ollamaAnswer())
        #expect(decoded.records[0]["logprobs"] == JSONValue("[\(entry)]".utf8))
    }

    /// Without a backend's figures the clock's are given; a clock that stands still gives none.
    @Test func figuresNobodyKnowsAreLeftOut() throws {
        let events = [deltaEvent(#"{"content":"a"}"#), deltaEvent("{}", finish: #""stop""#)]
        let last = decode(.openAI, [eventBody(events)], for: try ollamaAnswer()).records.last
        #expect(last?.keys == ["model", "created_at", "message", "done", "done_reason"])
    }

    @Test func ourOwnClockMeasuresWhatNobodyElseDid() throws {
        let request = try OllamaRequest(reading: Array("{}".utf8), .chat)
        let ticks = Ticks()
        let answer = OllamaAnswer(request, model: "m") { ticks.next() }
        var decoder = answer.makeDecoder(.openAI, testOptions(), limits: (4096, 4096))
        var sink = ChunkSink(framing: .lines, headroom: 0)
        for event in [deltaEvent(#"{"content":"a"}"#), deltaEvent("{}", finish: #""stop""#)] {
            try decoder.feed(Array("data: \(event)\n\n".utf8).span, into: &sink)
        }
        try decoder.feed(Array("data: [DONE]\n\n".utf8).span, into: &sink)
        let last = JSONValue(sink.bytes.split(separator: 0x0A).last ?? [])
        #expect(last?["total_duration"]?.int == 3_000)
        #expect(last?["prompt_eval_duration"]?.int == 1_000)
        #expect(last?["eval_duration"]?.int == 2_000)
    }

    // MARK: - What goes wrong

    static let broken: [(String, [UInt8])] = [
        ("cut", Array("data: \(deltaEvent(#"{"content":"a"}"#))\n\n".utf8)),
        ("an error", eventBody([deltaEvent(#"{"content":"a"}"#), #"{"error":{"message":"no"}}"#])),
        ("not JSON", eventBody([deltaEvent(#"{"content":"a"}"#), "{"])),
        (
            "arguments that are no object",
            eventBody([
                deltaEvent(#"{"content":"a"}"#),
                deltaEvent(
                    #"{"tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":"[1"}}]}"#
                ),
                deltaEvent("{}", finish: #""tool_calls""#), usage,
            ])
        ),
    ]

    @Test(arguments: broken)
    func aBrokenAnswerIsNeverSaidToBeWhole(_ what: String, _ body: [UInt8]) throws {
        let answer = try ollamaAnswer()
        forEveryCut(of: body) { pieces in
            let decoded = decode(.openAI, pieces, for: answer)
            #expect(decoded.error != nil && !decoded.saysDone, "\(what)")
            #expect(decoded.text == Self.message(#""content":"a""#) + "\n", "\(what)")
        }
    }

    @Test func aCallThatWasCutGoesWithTheRest() throws {
        let events = [
            deltaEvent(
                #"{"tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":"{\"a"}}]}"#
            ),
            deltaEvent("{}", finish: #""length""#), Self.usage,
        ]
        #expect(lines(events, for: try ollamaAnswer()) == [Self.last("length")])
    }

    @Test func anEndlessCallIsRefused() throws {
        let piece = String(repeating: "a", count: 100)
        let fragment = deltaEvent(
            #"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"\#(piece)"}}]}"#)
        let body = eventBody(Array(repeating: fragment, count: 30))
        let decoded = decode(
            .openAI, [body], for: try ollamaAnswer(), limits: (event: 4096, completion: 1000))
        #expect(decoded.error == .frameTooLong(limitBytes: 1000))
    }

    @Test(arguments: [UpstreamDialect.openAI, .ollama])
    func aFailureIsOneRecordInOllamasShape(_ dialect: UpstreamDialect) throws {
        var decoder = try ollamaAnswer().makeDecoder(dialect, testOptions(), limits: (64, 64))
        var sink = ChunkSink(framing: .lines, headroom: 0)
        decoder.appendFailure(APIError(.tokenTimeout, "Too \"late\"."), into: &sink)
        #expect(
            String(decoding: sink.bytes, as: UTF8.self) == "{\"error\":\"Too \\\"late\\\".\"}\n")
    }

    // MARK: - Recordings

    @Test(arguments: try Transcript.llamaServer(streamed: true))
    func everyRecordedChatSaysTheSame(_ transcript: Transcript) throws {
        // Ollama has no word for a second choice, and is never asked for one.
        guard (transcript.request["n"]?.int ?? 1) == 1 else { return }
        let decoded = decode(.openAI, [transcript.body], for: try ollamaAnswer())
        let chunks = decode(.openAI, [transcript.body], testOptions(), framing: .lines)
        #expect(decoded.saysDone == transcript.isComplete && decoded.error == chunks.error)
        let deltas = chunks.text.split(separator: "\n").compactMap {
            JSONValue($0.utf8)?["choices"]?.elements.first?["delta"]
        }
        let messages = decoded.records.compactMap { $0["message"] }
        #expect(
            messages.map { $0["content"]?.string }.joined
                == deltas.map { $0["content"]?.string }.joined)
        #expect(
            messages.map { $0["thinking"]?.string }.joined
                == deltas.map { $0["reasoning_content"]?.string }.joined)
        let calls = messages.flatMap { $0["tool_calls"]?.elements ?? [] }
        let names = deltas.flatMap { $0["tool_calls"]?.elements ?? [] }
            .compactMap { $0["function"]?["name"]?.string }
        // Of an answer that was cut, the call that was cut goes too.
        let isCut = decoded.records.last?["done_reason"]?.string == "length"
        let told = calls.compactMap { $0["function"]?["name"]?.string }
        #expect(told == names || isCut && told == names.dropLast())
    }
}

/// A clock that goes on by a microsecond each time it is read.
private final class Ticks: Sendable {
    private let now = Mutex(0)

    func next() -> Int {
        now.withLock { now in
            now += 1000
            return now
        }
    }
}

extension [String?] {
    fileprivate var joined: String { compactMap(\.self).joined() }
}
