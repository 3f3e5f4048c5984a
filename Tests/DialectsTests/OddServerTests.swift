// Servers older and newer than the recorded ones, and odd ones: what is missing is no crash, what
// is unknown is no loss.

import Chat
import Dialects
import TestSupport
import Testing

@Suite struct OddServerTests {
    private static func usageAsked(_ dialect: UpstreamDialect, _ body: String) -> ChunkSchema {
        let options = testOptions { $0.includeUsage = true }
        let decoded = decode(dialect, [Array(body.utf8)], options)
        #expect(decoded.error == nil)
        var expectation = ChunkSchema.Expectation()
        expectation.includeUsage = true
        return ChunkSchema(decoded.bytes, expectation)
    }

    // MARK: - Line breaks

    /// Joined of two data lines, each event has a line break, wherever in it.
    @Test(arguments: 0..<16)
    func noLineBreakBetweenTokensLeaves(_ offset: Int) {
        let array = "[" + String(repeating: " ", count: offset) + "\ndata: 1]"
        let decoded = [
            decode(events: [
                #"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"more":\#(array)}"#
            ]),
            decodeText(events: [
                #"{"choices":[{"index":0,"text":"","finish_reason":"stop"}],"more":\#(array)}"#
            ]),
        ]
        for answer in decoded {
            #expect(answer.error == nil)
            let lines = String(decoding: answer.bytes, as: UTF8.self).split(separator: "\n")
            #expect(lines.contains { $0.contains(#""more":["#) && $0.contains(" 1]") })
            #expect(lines.allSatisfy { $0.hasPrefix("data: ") })
        }
    }

    // MARK: - Figures

    /// Figures that no model could have counted; each is as good as missing.
    static let absurd = [
        "9223372036854775807", "-9223372036854775808", "-1", "1e300", "0.5", "null", #""7""#, "{}",
    ]

    @Test(arguments: absurd)
    func absurdFiguresOfOpenAIServersAreNoFigures(_ figure: String) {
        let end = OpenAIStreamTests.event("{}", finish: #""stop""#)
        let usages = [
            #"{"prompt_tokens":\#(figure),"completion_tokens":\#(figure)}"#,
            #"{"prompt_tokens":7,"completion_tokens":\#(figure),"total_tokens":\#(figure)}"#,
        ]
        for usage in usages {
            let timings =
                #""timings":{"predicted_n":\#(figure),"prompt_n":7,"cache_n":\#(figure)}"#
            let schema = Self.usageAsked(
                .openAI,
                """
                data: \(end.dropLast()),\(timings)}

                data: {"choices":[],"usage":\(usage),\(timings)}

                data: [DONE]


                """)
            // Where no figure is left there is no usage chunk.
            #expect(schema.violations.allSatisfy { $0.hasPrefix("usage not as asked") })
            if let usage = schema.usage { #expect(usage["total_tokens"]?.int == 7) }
        }
    }

    @Test(arguments: absurd)
    func absurdFiguresOfOllamaAreNoFigures(_ figure: String) {
        let names = [
            "total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration",
            "prompt_eval_cached_count", "eval_count", "eval_duration",
        ]
        let metrics = names.map { #","\#($0)":\#(figure)"# }.joined()
        let last = OllamaStreamTests.record(#""content":"a""#, more: #","done":true"# + metrics)
        let schema = Self.usageAsked(.ollama, last + "\n")
        #expect(schema.violations == [])
        #expect(schema.usage?["total_tokens"]?.int == 0)
    }

    @Test func figuresThatAreNoPlainIntegersLeaveAsSuch() {
        let usage = #"{"prompt_tokens":5.0,"completion_tokens":2e0,"total_tokens":7.0,"x":1}"#
        let schema = Self.usageAsked(
            .openAI,
            """
            data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],"usage":\(usage)}


            """)
        #expect(schema.violations == [])
        let expected = [
            JSONMember("prompt_tokens", .number("5")),
            JSONMember("completion_tokens", .number("2")),
            JSONMember("total_tokens", .number("7")), JSONMember("x", .number("1")),
        ]
        guard case .object(let members)? = schema.usage else {
            Issue.record("no usage")
            return
        }
        let isSame = zip(members, expected).allSatisfy { given, wanted in
            guard case .number(let a) = given.value, case .number(let b) = wanted.value else {
                return false
            }
            return given.key == wanted.key && a == b
        }
        #expect(isSame && members.count == expected.count)
    }

    // MARK: - Ollama, version by version (wire notes, section 8)

    struct Version: Sendable, CustomTestStringConvertible {
        let what: String
        let records: [String]
        var content = ""
        var thoughts = ""
        var calls: [String] = []
        var finish = "stop"
        var tokens = 0
        var testDescription: String { what }
    }

    private static func record(
        _ members: String, done: Bool = false, more: String = ""
    ) -> String {
        #"{"model":"m","created_at":"2024-01-01T00:00:00Z",\#(members),"done":\#(done)\#(more)}"#
    }
    private static let empty = #""message":{"role":"assistant","content":""}"#
    private static let a = #""message":{"role":"assistant","content":"a"}"#
    private static func call(_ function: String, id: String = "") -> String {
        #""message":{"role":"assistant","content":"","tool_calls":[{\#(id)"function":\#(function)}]}"#
    }

    static let versions = [
        Version(
            what: "before 0.1.35: no done_reason",
            records: [record(a), record(empty, done: true, more: #","eval_count":1"#)],
            content: "a",
            tokens: 1),
        Version(
            what: "early 2024: no message in the last record",
            records: [
                record(a), #"{"model":"m","done":true,"prompt_eval_count":3,"eval_count":1}"#,
            ], content: "a", tokens: 4),
        Version(
            what: "before mid 2024: no prompt count when it was cached",
            records: [record(a), record(empty, done: true, more: #","eval_count":5"#)],
            content: "a",
            tokens: 5),
        Version(
            what: "before 0.4.7: a call without index, without id",
            records: [
                record(call(#"{"name":"f","arguments":{"a":1}}"#)),
                record(call(#"{"name":"f","arguments":{"a":2}}"#)), record(empty, done: true),
            ], calls: [#"{"a":1}"#, #"{"a":2}"#], finish: "tool_calls"),
        Version(
            what: "before 0.12.10: index, but no id",
            records: [
                record(call(#"{"index":0,"name":"f","arguments":{"a":1}}"#)),
                record(call(#"{"index":1,"name":"g","arguments":{}}"#)), record(empty, done: true),
            ], calls: [#"{"a":1}"#, "{}"], finish: "tool_calls"),
        Version(
            what: "harmony and older ones: the index is always 0",
            records: [
                record(call(#"{"index":0,"name":"f","arguments":{"a":1}}"#, id: #""id":"x","#)),
                record(call(#"{"index":0,"name":"f","arguments":{"a":2}}"#, id: #""id":"y","#)),
                record(empty, done: true),
            ], calls: [#"{"a":1}"#, #"{"a":2}"#], finish: "tool_calls"),
        Version(
            what: "arguments as text, as other servers of this API send them",
            records: [
                record(call(#"{"name":"f","arguments":"{\"a\":1}"}"#)), record(empty, done: true),
            ], calls: [#"{"a":1}"#], finish: "tool_calls"),
        Version(
            what: "newer: fields that nobody here knows, beside and inside the message",
            records: [
                record(
                    #""message":{"role":"assistant","content":"a","thinking":"t","images":null,"#
                        + #""new":{"x":[1]}}"#, more: #","remote_model":"r","new":[1]"#),
                record(a, more: #","logprobs":null"#),
                record(
                    empty, done: true, more: #","done_reason":"eviction","eval_count":2,"new":{}"#),
            ], content: "aa", thoughts: "t", tokens: 2),
        Version(
            what: "no role, no created_at, null content",
            records: [
                #"{"message":{"content":null,"thinking":"t"}}"#,
                #"{"message":{"content":"a"},"done":false}"#, #"{"done":true}"#,
            ], content: "a", thoughts: "t"),
    ]

    @Test(arguments: versions)
    func everyVersionOfOllamaIsUnderstood(_ version: Version) {
        let schema = Self.usageAsked(.ollama, version.records.joined(separator: "\n") + "\n")
        #expect(schema.violations == [])
        #expect(schema.choices.first?.content == version.content)
        #expect(schema.choices.first?.reasoning == version.thoughts)
        #expect(schema.choices.first?.calls.map(\.arguments) == version.calls)
        #expect(schema.choices.first?.finish == version.finish)
        #expect(schema.usage?["total_tokens"]?.int == version.tokens)
    }
}
