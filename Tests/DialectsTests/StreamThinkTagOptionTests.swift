// Think tags are taken for reasoning where that is asked for.

import Chat
import Dialects
import TestSupport
import Testing

/// The option `thinkTags`, in both dialects.
@Suite struct StreamThinkTagOptionTests {
    static let options = testOptions { $0.thinkTags = true }
    static let pieces = ["<thi", "nk>\\n", "why", " not</th", "ink>", "\\n\\nan", "swer", " it"]

    @Test func tagsOfAnOpenAIStreamBecomeReasoning() {
        let events = Self.pieces.map { OpenAIStreamTests.event("{\"content\":\"\($0)\"}") }
        let decoded = decode(
            events: [OpenAIStreamTests.role] + events + [OpenAIStreamTests.stop], Self.options)
        let schema = ChunkSchema(decoded.bytes, .init())
        #expect(schema.violations == [])
        #expect(schema.choices.first?.reasoning == "why not")
        #expect(schema.choices.first?.content == "answer it")
    }

    @Test func tagsOfAnOllamaStreamBecomeReasoning() {
        let records = Self.pieces.map {
            let text = $0.replacing("<", with: "\\u003c").replacing(">", with: "\\u003e")
            return OllamaStreamTests.record("\"content\":\"\(text)\"")
        }
        let decoded = decode(records: records + [OllamaStreamTests.last("stop")], Self.options)
        let schema = ChunkSchema(decoded.bytes, .init())
        #expect(schema.violations == [])
        #expect(schema.choices.first?.reasoning == "why not")
        #expect(schema.choices.first?.content == "answer it")
    }

    @Test func aTagCutOffByTheEndIsText() {
        let decoded = decode(
            events: [OpenAIStreamTests.event(#"{"content":"<thi"}"#), OpenAIStreamTests.stop],
            Self.options)
        let schema = ChunkSchema(decoded.bytes, .init())
        #expect(schema.violations == [])
        #expect(schema.choices.first?.content == "<thi")
    }

    @Test func whatWasHeldBackLeavesBeforeAFailure() {
        let broken = decode(
            events: [OpenAIStreamTests.event(#"{"content":"<thi"}"#), "{broken"], Self.options)
        let cut = decode(
            events: [OpenAIStreamTests.event(#"{"content":"<think>a</th"}"#)], done: false,
            Self.options)
        var expectation = ChunkSchema.Expectation()
        expectation.isComplete = false
        let schemas = [broken, cut].map { ChunkSchema($0.bytes, expectation) }
        #expect(schemas.flatMap(\.violations) == [])
        #expect(schemas[0].choices.first?.content == "<thi")
        #expect(schemas[1].choices.first?.reasoning == "a</th")
        #expect(broken.error == .malformedFrame(excerpt: "{broken"))
        #expect(cut.error == .endedEarly)
    }

    @Test func whiteSpaceIsNotHeldBackForEver() {
        let blank = OpenAIStreamTests.event(
            "{\"content\":\"\(String(repeating: " ", count: 300))\"}")
        let decoded = decode(events: [blank], done: false, Self.options)
        #expect(decoded.events.count == 2)
    }

    @Test func withoutTheOptionTagsAreText() {
        let decoded = decode(events: [
            OpenAIStreamTests.event(#"{"content":"<think>a</think>"}"#), OpenAIStreamTests.stop,
        ])
        let schema = ChunkSchema(decoded.bytes, .init())
        #expect(schema.choices.first?.content == "<think>a</think>")
    }
}
