// Servers that answer with one JSON object although they were asked for a stream.

import Chat
import Dialects
import TestSupport
import Testing

@Suite struct WholeAnswerTests {
    private static let answer = """
        {
          "id": "chatcmpl-up", "object": "chat.completion", "created": 1795176265,
          "model": "their-name", "system_fingerprint": "b0", "new": {"x": 1},
          "choices": [{
            "index": 0,
            "message": {
              "role": "assistant", "content": "Hi }\\"{", "reasoning_content": "So",
              "refusal": null,
              "tool_calls": [
                {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "y", "type": "function", "function": {"name": "f", "arguments": ""}}
              ]
            },
            "logprobs": {"content": [{"token": "Hi", "logprob": -0.5, "bytes": [72, 105],
              "top_logprobs": []}]},
            "finish_reason": "stop"
          }],
          "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        }
        """

    @Test(arguments: [false, true])
    func aWholeAnswerLeavesAsAStream(usage: Bool) throws {
        let options = testOptions { $0.includeUsage = usage }
        try forEveryCut(of: Array(Self.answer.utf8), singleCutLimit: 64) { pieces in
            let decoded = decode(.openAI, pieces, options)
            #expect(decoded.error == nil && decoded.dataEvents == 1)
            var expectation = ChunkSchema.Expectation()
            expectation.includeUsage = usage
            let schema = ChunkSchema(decoded.bytes, expectation)
            #expect(schema.violations == [])
            let choice = try #require(schema.choices.first)
            #expect(choice.content == "Hi }\"{" && choice.reasoning == "So")
            #expect(choice.calls.map(\.id) == ["x", "y"])
            #expect(choice.calls.map(\.arguments) == ["{}", "{}"])
            #expect(choice.finish == "tool_calls" && choice.logprobs.count == 1)
            #expect(schema.chunks.contains { $0["new"]?["x"]?.int == 1 })
            #expect(decoded.promptTokens == 5 && decoded.completionTokens == 2)
        }
    }

    @Test func itAddsUpToItself() throws {
        let options = testOptions { $0.includeUsage = true }
        let decoded = decode(.openAI, [Array(Self.answer.utf8)], options, framing: .lines)
        var assembler = CompletionAssembler(limitBytes: 1 << 20)
        try assembler.take(lines: decoded.bytes.span)
        let assembled = try #require(JSONValue(assembler.completion()))
        let whole = try #require(JSONValue(Self.answer.utf8))
        for key in ["id", "created", "system_fingerprint", "new", "usage", "object"] {
            #expect(assembled[key] == whole[key], "\(key)")
        }
        let mine = assembled["choices"]?.elements.first
        let theirs = whole["choices"]?.elements.first
        #expect(mine?["logprobs"] == theirs?["logprobs"])
        #expect(mine?["message"]?["content"] == theirs?["message"]?["content"])
        #expect(mine?["message"]?["tool_calls"]?.elements.count == 2)
    }

    static let others: [(String, DialectError)] = [
        (#"{"error":{"message":"no"}}"#, .reported(json: Array(#"{"message":"no"}"#.utf8))),
        (#"{"choices":[{"message":{"content":"a"},"finish_reason":null}]}"#, .endedEarly),
        (#"{"choices":[{"message":{"content":"a"},"#, .endedEarly),
        (#"{"detail":"no"}"#, .malformedFrame(excerpt: #"{"detail":"no"}"#)),
        (#"{"a":]}"#, .malformedFrame(excerpt: #"{"a":]"#)),
        ("{}", .malformedFrame(excerpt: "{}")),
        (#"{"choices":[]}"#, .endedEarly),
    ]

    @Test(arguments: others)
    func whatIsNoWholeAnswerIsAnError(_ body: String, _ error: DialectError) {
        forEveryCut(of: Array(("\n" + body + "\n").utf8)) { pieces in
            #expect(decode(.openAI, pieces).error == error)
        }
    }

    @Test func itHasTheLimitOfAnEvent() {
        var decoder = StreamDecoder(.openAI, testOptions(), eventLimit: 64)
        var sink = ChunkSink(framing: .lines, headroom: 0)
        let body = Array(Self.answer.utf8)
        #expect(throws: DialectError.frameTooLong(limitBytes: 64)) {
            try decoder.feed(body.span, into: &sink)
        }
    }

    @Test func whatComesBehindItIsIgnored() {
        let body = Self.answer + "\n\nproxy error: x"
        let decoded = decode(.openAI, [Array(body.utf8)])
        #expect(decoded.error == nil)
        #expect(ChunkSchema(decoded.bytes, .init()).violations == [])
    }
}
