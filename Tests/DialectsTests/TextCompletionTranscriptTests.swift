// Recorded text completions: streams keep the normal form, and add up to what the same server
// answered whole.

import Chat
import Dialects
import TestSupport
import Testing

@Suite struct TextCompletionTranscriptTests {
    private func check(_ transcript: TextTranscript, _ dialect: UpstreamDialect, choices: Int) {
        for usage in [false, true] {
            let options = textOptions {
                $0.includeUsage = usage
                $0.choiceCount = choices
            }
            let whole = decodeText(dialect, [transcript.body], options)
            #expect(whole.error == nil, "\(transcript.name)")
            var expectation = TextCompletionSchema.Expectation()
            expectation.includeUsage = usage
            expectation.choiceCount = choices
            let schema = TextCompletionSchema(whole.bytes, expectation)
            #expect(schema.violations == [], "\(transcript.name)")
            #expect(schema.timings?["predicted_n"]?.int != nil)
            forEveryCut(of: transcript.body, singleCutLimit: 40) { pieces in
                #expect(decodeText(dialect, pieces, options) == whole)
            }
        }
    }

    @Test func llamaServersStreamsKeepTheNormalForm() throws {
        check(try #require(TextTranscript.named("stream")), .openAI, choices: 1)
        check(try #require(TextTranscript.named("prompt-array-stream")), .openAI, choices: 2)
    }

    @Test func ollamasStreamsKeepTheNormalForm() {
        let streams = TextTranscript.ollama.filter {
            String(decoding: $0.body, as: UTF8.self).contains(#""done":false"#)
        }
        #expect(streams.count >= 4)
        for stream in streams { check(stream, .ollama, choices: 1) }
    }

    @Test func anEventThatNeedsNoChangeLeavesWithItsBytesUnchanged() throws {
        let transcript = try #require(TextTranscript.named("stream"))
        let upstream = String(decoding: transcript.body, as: UTF8.self)
            .split(separator: "\n\n").map(String.init)
        let options = textOptions { $0.model = "tiny" }
        let decoded = decodeText(.openAI, [transcript.body], options)
        let client = decoded.text.split(separator: "\n\n").map(String.init)
        #expect(client.count == upstream.count)
        for (sent, came) in zip(client, upstream) where !came.contains("usage") {
            #expect(sent == came)
        }
    }

    private func assembled(
        _ transcript: TextTranscript, _ dialect: UpstreamDialect, choices: Int
    ) throws -> JSONValue {
        let options = textOptions {
            $0.includeUsage = true
            $0.choiceCount = choices
        }
        let decoded = decodeText(dialect, [transcript.body], options, framing: .lines)
        #expect(decoded.error == nil)
        var assembler = TextCompletionAssembler(limitBytes: 1 << 20)
        try assembler.take(lines: decoded.bytes.span)
        return try #require(JSONValue(assembler.completion()))
    }

    /// They differ in `model`, in ids, times and cached tokens, which no two runs share, and in the
    /// usage of several prompts, of which llama-server counts one.
    @Test(arguments: [("stream", "nonstream", 1), ("prompt-array-stream", "prompt-array", 2)])
    func aLlamaServerStreamAddsUpToItsWholeAnswer(
        _ stream: String, _ whole: String, _ choices: Int
    ) throws {
        let sum = try assembled(
            try #require(TextTranscript.named(stream)), .openAI, choices: choices)
        let transcript = try #require(TextTranscript.named(whole))
        let answer = try #require(JSONValue(transcript.body))
        #expect(Set(sum.keys) == Set(answer.keys))
        for key in ["choices", "object", "system_fingerprint"] { #expect(sum[key] == answer[key]) }
        let tokens = answer["usage"]?["completion_tokens"]?.int ?? 0
        let prompt = answer["usage"]?["prompt_tokens"]?.int ?? 0
        #expect(sum["usage"]?["completion_tokens"]?.int == tokens * choices)
        #expect(sum["usage"]?["prompt_tokens"]?.int == prompt * choices)
        #expect(sum["usage"]?.keys.sorted() == answer["usage"]?.keys.sorted())
        #expect(sum["timings"]?.keys.sorted() == answer["timings"]?.keys.sorted())
    }

    @Test(arguments: ["native-rendered", "native-jinja"])
    func anOllamaStreamAddsUpToItsWholeAnswer(_ cassette: String) throws {
        let stream = try #require(TextTranscript.named(cassette + "/generate-stream"))
        let sum = try assembled(stream, .ollama, choices: 1)
        let whole = try #require(TextTranscript.named(cassette + "/generate-nonstream"))
        let answer = try #require(JSONValue(whole.body))
        let choice = try #require(sum["choices"]?.elements.first)
        #expect(choice["text"] == answer["response"])
        #expect(choice["finish_reason"] == answer["done_reason"])
        #expect(sum["usage"]?["prompt_tokens"] == answer["prompt_eval_count"])
        #expect(sum["usage"]?["completion_tokens"] == answer["eval_count"])
        #expect(sum["object"] == .string("text_completion"))
        #expect(sum["model"] == .string("asked"))
    }
}
