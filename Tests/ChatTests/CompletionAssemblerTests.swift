// A whole completion is put together from chunks.

import Chat
import TestSupport
import Testing

/// Chunks in, one completion out.
@Suite struct CompletionAssemblerTests {
    static let common =
        #""created":1,"id":"chatcmpl-a","model":"m","object":"chat.completion.chunk""#

    static func chunk(
        _ delta: String, finish: String = "null", index: Int = 0, more: String = ""
    ) -> String {
        #"{"choices":[{"finish_reason":\#(finish),"index":\#(index),"delta":\#(delta)\#(more)}],"#
            + #"\#(common),"usage":null}"#
    }

    static let role = chunk(#"{"role":"assistant","content":""}"#)
    static let stop = chunk("{}", finish: #""stop""#)

    private func assemble(_ chunks: [String]) throws -> String {
        var assembler = CompletionAssembler(limitBytes: 10_000)
        for chunk in chunks { try assembler.take(chunk: Array(chunk.utf8).span) }
        return String(decoding: assembler.completion(), as: UTF8.self)
    }

    @Test func textAddsUpInLlamaServersOrder() throws {
        let usage =
            #"{"choices":[],\#(Self.common),"usage":{"total_tokens":3},"timings":{"predicted_n":2}}"#
        let text = try assemble([
            Self.role, Self.chunk(#"{"content":"a\n"}"#), Self.chunk(#"{"content":"é"}"#),
            Self.stop, usage,
        ])
        #expect(
            text
                == #"{"choices":[{"finish_reason":"stop","index":0,"message":{"role":"assistant","#
                + #""content":"a\né"}}],"object":"chat.completion","created":1,"model":"m","#
                + #""usage":{"total_tokens":3},"id":"chatcmpl-a","timings":{"predicted_n":2}}"#)
    }

    @Test(arguments: [
        (
            [#"{"reasoning_content":"t"}"#, #"{"reasoning_content":"u"}"#, #"{"content":"a"}"#],
            #""content":"a","reasoning_content":"tu""#
        ),
        (
            [
                #"{"tool_calls":[{"index":0,"id":"A","type":"function","function":{"name":"f","arguments":"{"}}]}"#,
                #"{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}"#,
                #"{"tool_calls":[{"index":1,"id":"B","type":"function","function":{"name":"g","arguments":"{}"}}]}"#,
            ],
            #""content":"","tool_calls":[{"type":"function","function":{"name":"f","arguments":"{}"},"id":"A"},{"type":"function","function":{"name":"g","arguments":"{}"},"id":"B"}]"#
        ),
        ([#"{"refusal":"N"}"#, #"{"refusal":"o"}"#], #""content":"","refusal":"No""#),
        (
            [
                #"{"function_call":{"name":"f","arguments":"{\"a"}}"#,
                #"{"function_call":{"arguments":"\":1}","name":null}}"#,
                #"{"audio":{"id":"x","data":"AA=="}}"#, #"{"audio":{"data":7,"expires_at":1}}"#,
                #"{"audio":{"data":"BB"}}"#, #"{"function_call":{}}"#,
            ],
            #""content":"","function_call":{"name":"f","arguments":"{\"a\":1}"},"audio":{"id":"x","data":"BB","expires_at":1}"#
        ),
        ([#"{"annotations":[1]}"#], #""content":"","annotations":[1]"#),
    ])
    func everyKindOfDeltaAddsUp(_ deltas: [String], _ message: String) throws {
        let text = try assemble([Self.role] + deltas.map { Self.chunk($0) } + [Self.stop])
        #expect(text.contains(#""message":{"role":"assistant",\#(message)}}]"#))
    }

    @Test func chunksAlikeInTextMayDifferInAllElse() throws {
        let token = Self.chunk(#"{"content":"a"}"#)
        let text = try assemble([
            Self.role, token, token, token.replacing(#""usage":null"#, with: #""usage":1234"#),
            Self.chunk(#"{"content":"b"}"#, finish: #""length""#),
            token.replacing(#""created":1"#, with: #""created":2"#),
        ])
        #expect(text.contains(#""content":"aaaba""#))
        #expect(text.contains(#""usage":1234"#) && text.contains(#""created":2"#))
    }

    @Test func choicesComeInTheirOrder() throws {
        let text = try assemble([
            Self.chunk(#"{"role":"assistant","content":""}"#, index: 1), Self.role,
            Self.chunk(#"{"content":"b"}"#, index: 1), Self.chunk(#"{"content":"a"}"#),
            Self.chunk("{}", finish: #""length""#, index: 1), Self.stop,
        ])
        let choices = JSONValue(Array(text.utf8))?["choices"]?.elements
        #expect(choices?.map { $0["index"]?.int } == [0, 1])
        #expect(choices?.map { $0["message"]?["content"]?.string } == ["a", "b"])
        #expect(choices?.map { $0["finish_reason"]?.string } == ["stop", "length"])
    }

    @Test func logprobsOfAllTokensStandTogether() throws {
        func logprobs(_ token: String) -> String {
            #","logprobs":{"content":[{"token":"\#(token)","logprob":-1}]}"#
        }
        let text = try assemble([
            Self.role, Self.chunk(#"{"content":"a"}"#, more: logprobs("a")),
            Self.chunk(#"{"content":"b"}"#, more: logprobs("b")), Self.stop,
        ])
        #expect(
            text.contains(
                #""logprobs":{"content":[{"token":"a","logprob":-1},{"token":"b","logprob":-1}]}"#))
    }

    @Test func progressIsLeftOut() throws {
        let progress = Self.role.dropLast() + #","prompt_progress":{"total":1}}"#
        #expect(try !assemble([String(progress), Self.stop]).contains("prompt_progress"))
    }

    @Test func aCompletionHasALimit() throws {
        var assembler = CompletionAssembler(limitBytes: 1000)
        let chunk = Array(Self.chunk(#"{"content":"0123456789"}"#).utf8)
        #expect(throws: CompletionError.tooLong(limitBytes: 1000)) {
            for _ in 0..<100 { try assembler.take(chunk: chunk.span) }
        }
    }

    @Test(arguments: [
        "", "[]", "{", #"{"choices":[{"delta":{}}]}"#,
        #"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":2}]}}]}"#,
    ])
    func whatIsNoChunkIsRefused(_ text: String) {
        var assembler = CompletionAssembler(limitBytes: 1000)
        #expect(throws: CompletionError.malformedChunk) {
            try assembler.take(chunk: Array(text.utf8).span)
        }
    }

    @Test func linesOfASinkAreTakenOneByOne() throws {
        var assembler = CompletionAssembler(limitBytes: 1000)
        let lines = Array("\(Self.role)\n\(Self.chunk(#"{"content":"a"}"#))\n".utf8)
        try assembler.take(lines: lines.span)
        #expect(String(decoding: assembler.completion(), as: UTF8.self).contains(#""content":"a""#))
        #expect(throws: CompletionError.malformedChunk) {
            try assembler.take(lines: Array(lines.dropLast()).span)
        }
    }
}
