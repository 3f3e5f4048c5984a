// Text arrives whole: no character cut, no line separator raw, no event too long.

import Chat
import Dialects
import TestSupport
import Testing

/// Characters cut by the upstream, and events too long for a client, in both dialects.
@Suite struct StreamTextTests {
    static let before = Array("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"".utf8)
    static let after = Array("\"},\"finish_reason\":null}]}\n\n".utf8)
    static let end = Array(
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n".utf8)

    private func answer(_ pieces: [[UInt8]]) -> (text: String?, Decoded, [String]) {
        let body = pieces.flatMap { Self.before + $0 + Self.after } + Self.end
        let decoded = decode(.openAI, [body])
        let schema = ChunkSchema(decoded.bytes, .init())
        return (schema.choices.first?.content, decoded, schema.violations)
    }

    @Test(arguments: ["é", "水", "🦙", "a🦙b", "🦙🦙", "x\u{2028}y", "\u{85}"])
    func aCharacterCutBetweenEventsIsJoined(_ text: String) {
        forEveryCut(of: Array(text.utf8)) { pieces in
            let (joined, decoded, violations) = answer(pieces)
            #expect(decoded.error == nil)
            #expect(violations == [])
            #expect(joined == text)
        }
    }

    @Test func aCutSurrogatePairIsJoined() {
        let (text, decoded, violations) = answer(
            [#"a\ud83e"#, #"\udd99b"#, #"\\ud83e"#].map { Array($0.utf8) })
        #expect(text == "a🦙b\\ud83e")
        #expect(violations == [])
        #expect(!decoded.text.contains(#"a\ud83e""#))
    }

    /// The quick way of token events must see the cut as well.
    @Test func aCutSurrogatePairBehindOtherTokensIsJoined() {
        let texts = ["w", "w", #"a\ud83e"#, #"\udd99b"#, "w"]
        let events = texts.map { OpenAIStreamTests.event("{\"content\":\"\($0)\"}") }
        let records = texts.map { OllamaStreamTests.record("\"content\":\"\($0)\"") }
        for decoded in [
            decode(events: [OpenAIStreamTests.role] + events + [OpenAIStreamTests.stop]),
            decode(records: records + [OllamaStreamTests.last("stop")]),
        ] {
            #expect(decoded.text.contains(#""content":"\ud83e\udd99b""#))
            #expect(decoded.text.contains(#""content":"a""#))
        }
    }

    @Test func aSurrogatePairCutInsideArgumentsIsJoined() {
        let first =
            #"{"index":0,"id":"A","type":"function","function":{"name":"f","arguments":""}}"#
        let later = ["{", #"\"a\ud83e"#, #"\udd99\""#, "}"].map {
            #"{"index":0,"function":{"arguments":"\#($0)"}}"#
        }
        let events = ([first] + later).map {
            OpenAIStreamTests.event(#"{"tool_calls":[\#($0)]}"#)
        }
        let decoded = decode(
            events: [OpenAIStreamTests.role] + events + [OpenAIStreamTests.stop])
        let schema = ChunkSchema(decoded.bytes, .init())
        #expect(schema.violations == [])
        #expect(schema.choices.first?.calls.first?.arguments == #"{"a🦙"}"#)
        #expect(!decoded.text.contains(#"\ud83e""#))
    }

    @Test(arguments: [
        (["a\u{F0}\u{9F}"], "a\u{FFFD}"),
        (["a\u{F0}\u{9F}", "b"], "a\u{FFFD}b"),
        (["\u{E6}", "\u{B0}"], "\u{FFFD}"),
    ])
    func aCharacterNeverCompletedIsReplaced(_ latin: [String], _ expected: String) {
        // Each scalar of the table stands for one byte.
        let pieces = latin.map { $0.unicodeScalars.map { UInt8($0.value) } }
        let (text, decoded, violations) = answer(pieces)
        #expect(decoded.error == nil)
        #expect(violations == [])
        #expect(text == expected)
    }

    @Test func aLoneSurrogateAtTheEndIsReplaced() {
        #expect(answer([Array(#"a\ud83e"#.utf8)]).text == "a\u{FFFD}")
        #expect(answer([Array(#"a\ud83e"#.utf8), Array("b".utf8)]).text == "a\u{FFFD}b")
    }

    @Test(arguments: [
        [0x61, 0xFF, 0x62], [0xC0, 0x80], [0x61, 0xE6, 0xB0, 0x62], [0xED, 0xA0, 0x80],
    ])
    func bytesOfNoCharacterAreMalformed(_ bytes: [UInt8]) {
        let (_, decoded, _) = answer([Array("ok".utf8), bytes])
        guard case .malformedFrame = decoded.error else {
            Issue.record("\(String(describing: decoded.error))")
            return
        }
        #expect(decoded.text.contains(#""content":"ok""#))
    }

    @Test func aCutCharacterOutsideTheTextsIsMalformed() {
        let key: [UInt8] =
            Array("data: {\"x".utf8) + [0xE6] + Array("\":1,\"choices\":[]}\n\n".utf8)
        guard case .malformedFrame = decode(.openAI, [key]).error else {
            Issue.record("passed")
            return
        }
    }

    @Test func aCutCharacterOfOllamaIsJoined() {
        let record = OllamaStreamTests.record(#""content":"@""#)
        let pieces: [[UInt8]] = [[0x61, 0xF0], [0x9F, 0xA6], [0x99]]
        var body: [UInt8] = []
        for piece in pieces {
            for byte in record.utf8 { if byte == 0x40 { body += piece } else { body.append(byte) } }
            body.append(0x0A)
        }
        body += Array((OllamaStreamTests.last("stop") + "\n").utf8)
        let schema = ChunkSchema(decode(.ollama, [body]).bytes, .init())
        #expect(schema.violations == [])
        #expect(schema.choices.first?.content == "a🦙")
    }

    // MARK: - Long events

    /// Escaped text of all kinds of characters, over 40 KiB.
    static let long = String(
        repeating: #"plain \"q\" \\ \n é 水 🦙 \u00e9 \ud83e\udd99 \#u{2028} "#, count: 700)

    static let splitOptions = testOptions { $0.eventSplit = 4096 }

    static func expectation() -> ChunkSchema.Expectation {
        var expectation = ChunkSchema.Expectation()
        expectation.eventLimit = 4096 + 6
        return expectation
    }

    private func meaning(_ escaped: String) -> String? {
        JSONValue(Array("\"\(escaped)\"".utf8))?.string
    }

    @Test(arguments: ["content", "reasoning_content"])
    func aLongTextIsCutIntoSeveralDeltas(_ key: String) {
        let event = OpenAIStreamTests.event(
            "{\"\(key)\":\"\(Self.long)\"}", more: #","timings":{"predicted_n":1}"#)
        let decoded = decode(
            events: [OpenAIStreamTests.role, event, OpenAIStreamTests.stop], Self.splitOptions)
        let schema = ChunkSchema(decoded.bytes, Self.expectation())
        #expect(schema.violations == [])
        let choice = schema.choices.first
        let text = key == "content" ? choice?.content : choice?.reasoning
        #expect(text == meaning(Self.long))
        #expect(schema.chunks.count > 10)
        #expect(schema.chunks.filter { $0["timings"] != nil }.count == 1)
    }

    @Test func longArgumentsAreCut() {
        let call =
            #"{"tool_calls":[{"index":0,"id":"i","type":"function","function":{"name":"f","#
            + #""arguments":"\#(Self.long)"}}]}"#
        let event = OpenAIStreamTests.event(call)
        let decoded = decode(
            events: [OpenAIStreamTests.role, event, OpenAIStreamTests.stop], Self.splitOptions)
        let schema = ChunkSchema(decoded.bytes, Self.expectation())
        #expect(schema.violations == [])
        #expect(schema.choices.first?.calls.first?.arguments == meaning(Self.long))
    }

    @Test func longRecordsOfOllamaAreCut() {
        let call =
            #""content":"\#(Self.long)","thinking":"\#(Self.long)","tool_calls":"#
            + #"[{"function":{"name":"f","arguments":{"x":"\#(Self.long)"}}}]"#
        let decoded = decode(
            records: [OllamaStreamTests.record(call), OllamaStreamTests.last("stop")],
            Self.splitOptions)
        let schema = ChunkSchema(decoded.bytes, Self.expectation())
        #expect(schema.violations == [])
        let choice = schema.choices.first
        #expect(choice?.content == meaning(Self.long))
        #expect(choice?.reasoning == meaning(Self.long))
        let arguments = JSONValue(Array((choice?.calls.first?.arguments ?? "").utf8))
        #expect(arguments?["x"]?.string == meaning(Self.long))
    }
}
