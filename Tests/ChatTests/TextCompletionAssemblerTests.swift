// Whole text completions put together from chunks.

import Chat
import JSON
import TestSupport
import Testing

private func assembled(_ chunks: [String], limit: Int = 1 << 20) throws -> JSONValue? {
    var assembler = TextCompletionAssembler(limitBytes: limit)
    let lines = Array(chunks.map { $0 + "\n" }.joined().utf8)
    try assembler.take(lines: lines.span)
    return JSONValue(assembler.completion())
}

private func chunk(_ choice: String, _ more: String = "") -> String {
    #"{"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[\#(choice)]\#(more)}"#
}

@Suite struct TextCompletionAssemblerTests {
    @Test func textsAddUpByChoiceAndAreSorted() throws {
        let whole = try assembled([
            chunk(#"{"text":"b\"","index":1,"logprobs":null,"finish_reason":null}"#),
            chunk(#"{"text":"a","index":0,"logprobs":null,"finish_reason":null}"#),
            chunk(#"{"text":"c","index":1,"logprobs":null,"finish_reason":"length"}"#),
            chunk(
                #"{"text":"","index":0,"logprobs":null,"finish_reason":"stop"}"#,
                #","timings":{"predicted_n":2}"#),
            chunk("", #","usage":{"total_tokens":3}"#),
        ])
        let expected = JSONValue(
            (#"{"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":["#
                + #"{"text":"a","index":0,"logprobs":null,"finish_reason":"stop"},"#
                + #"{"text":"b\"c","index":1,"logprobs":null,"finish_reason":"length"}],"#
                + #""usage":{"total_tokens":3},"timings":{"predicted_n":2}}"#).utf8)
        #expect(whole == expected)
    }

    @Test func listsOfLogprobsAddUp() throws {
        let one = #"{"content":[{"token":"a"}],"tokens":["a"],"text_offset":[0]}"#
        let two =
            #"{"content":[{"token":"b"},{"token":"c"}],"tokens":["b","c"],"text_offset":[1,2]}"#
        let whole = try assembled([
            chunk(#"{"text":"a","index":0,"logprobs":\#(one),"finish_reason":null}"#),
            chunk(#"{"text":"bc","index":0,"logprobs":\#(two),"finish_reason":null}"#),
            chunk(#"{"text":"","index":0,"logprobs":null,"finish_reason":"stop"}"#),
        ])
        let logprobs = whole?["choices"]?.elements.first?["logprobs"]
        #expect(logprobs?["tokens"] == JSONValue(#"["a","b","c"]"#.utf8))
        #expect(logprobs?["text_offset"] == JSONValue("[0,1,2]".utf8))
        #expect(logprobs?["content"]?.elements.count == 3)
    }

    @Test func anAnswerOverTheLimitIsRefused() throws {
        let part = chunk(#"{"text":"aaaaaaaaaa","index":0,"logprobs":null,"finish_reason":null}"#)
        #expect(throws: CompletionError.tooLong(limitBytes: 100)) {
            try assembled(Array(repeating: part, count: 20), limit: 100)
        }
        #expect(throws: Never.self) { try assembled(Array(repeating: part, count: 2), limit: 100) }
    }

    @Test(arguments: ["x", "[1]", #"{"choices":[{"text":"a"}]}"#])
    func whatIsNoChunkIsRefused(_ line: String) {
        #expect(throws: CompletionError.malformedChunk) { try assembled([line]) }
    }

    /// Half a line is no line, for whoever assembles.
    @Test(arguments: [
        TextCompletionAssembler(limitBytes: 10) as any AnswerAssembler, EmbeddingAssembler(),
    ])
    func linesAreWhole(_ assembler: any AnswerAssembler) {
        var assembler = assembler
        #expect(throws: CompletionError.malformedChunk) {
            let part = Array("{}".utf8)
            try assembler.take(lines: part.span)
        }
    }
}

@Suite struct TextCompletionLogprobsTests {
    private func completed(_ values: [String]) throws -> [JSONValue?] {
        var logprobs = TextCompletionLogprobs()
        return try values.map {
            JSONValue(logprobs.completed(try JSONText(Array($0.utf8))))
        }
    }

    @Test func completionsFormStandsBesideThatOfChats() throws {
        let content =
            #"[{"token":"é","logprob":-0.5,"top_logprobs":[{"token":"b","logprob":-0.1}]},"#
            + #"{"token":"c","logprob":-1.0,"top_logprobs":[]}]"#
        let both = try completed([#"{"content":\#(content)}"#, #"{"content":\#(content)}"#])
        let lists =
            #""tokens":["é","c"],"token_logprobs":[-0.5,-1.0],"#
            + #""top_logprobs":[{"b":-0.1,"é":-0.5},null],"text_offset":"#
        #expect(both[0] == JSONValue(#"{"content":\#(content),\#(lists)[0,1]}"#.utf8))
        // Offsets go on where the last event ended, in characters.
        #expect(both[1] == JSONValue(#"{"content":\#(content),\#(lists)[2,3]}"#.utf8))
    }

    @Test func tokensThatLookAlikeStandInTheObjectOnce() throws {
        let both = try completed([
            #"{"content":[{"token":"a","logprob":-1,"top_logprobs":["#
                + #"{"token":"a","logprob":-1},{"token":"x","logprob":-2},{"token":"x","logprob":-3}]}]}"#
        ])
        #expect(both[0]?["top_logprobs"] == JSONValue(#"[{"a":-1,"x":-2}]"#.utf8))
    }

    @Test(arguments: [
        #"{"tokens":["a"],"token_logprobs":[-1.0],"top_logprobs":null,"text_offset":[0]}"#,
        #"{"content":[],"tokens":[]}"#, #"{"content":null}"#, "{}", "[]",
    ])
    func whatAnotherServerWroteIsLeftAlone(_ logprobs: String) throws {
        #expect(try completed([logprobs]) == [JSONValue(logprobs.utf8)])
    }

    @Test func emptyContentMakesEmptyLists() throws {
        let value = try completed([#"{"content":[]}"#])
        #expect(
            value == [
                JSONValue(
                    #"{"content":[],"tokens":[],"token_logprobs":[],"top_logprobs":[],"text_offset":[]}"#
                        .utf8)
            ])
    }
}
