// Streams of an Ollama for a client of Ollama's: unchanged, unless they are broken.

import Chat
import Dialects
import JSON
import TestSupport
import Testing

@Suite struct OllamaRelayTests {
    private static let token =
        #"{"model":"up:latest","created_at":"t","message":{"role":"assistant","content":"Hel"},"done":false}"#
    private static let last =
        #"{"model":"up:latest","created_at":"t","message":{"role":"assistant","content":""},"done":true,"#
        + #""done_reason":"stop","total_duration":9,"prompt_eval_count":8,"eval_count":3}"#

    private func body(_ records: String...) -> [UInt8] {
        Array((records.joined(separator: "\n") + "\n").utf8)
    }

    @Test(arguments: try Transcript.ollama(streamed: true))
    func everyRecordedStreamPassesByteForByte(_ transcript: Transcript) throws {
        let model = JSONValue(transcript.body.prefix { $0 != 0x0A })?["model"]?.string ?? ""
        let answer = try ollamaAnswer(model: model)
        // What follows an error record is no part of the answer.
        let records = transcript.body.split(separator: 0x0A)
            .prefix { !$0.starts(with: Array(#"{"error""#.utf8)) }
        let expected = records.flatMap { $0 + [0x0A] }
        forEveryCut(of: transcript.body, singleCutLimit: 40) { pieces in
            let decoded = decode(.ollama, pieces, for: answer)
            #expect(decoded.bytes == expected)
            #expect((decoded.error == nil) == transcript.isComplete)
        }
        let saysDone = decode(.ollama, [transcript.body], for: answer).saysDone
        #expect(saysDone == transcript.isComplete)
    }

    @Test func theModelHasTheNameThatWasAskedFor() throws {
        let asked = try ollamaAnswer(model: "an \"alias\"")
        let renamed = String(decoding: body(Self.token, Self.last), as: UTF8.self)
            .replacing(#""up:latest""#, with: #""an \"alias\"""#)
        forEveryCut(of: body(Self.token, Self.last), singleCutLimit: 100) { pieces in
            let decoded = decode(.ollama, pieces, for: asked)
            #expect(decoded.text == renamed)
            #expect(decoded.promptTokens == 8 && decoded.completionTokens == 3)
            #expect(decoded.dataEvents == 2)
        }
    }

    /// Ollama's own Python client cuts lines there.
    @Test func lineSeparatorsLeaveEscaped() throws {
        let record = Self.token.replacing("Hel", with: "a\u{85}b\u{2028}ü")
        let decoded = decode(
            .ollama, [body(record, Self.last)], for: try ollamaAnswer(model: "up:latest"))
        #expect(decoded.text.hasPrefix(Self.token.replacing("Hel", with: "a\\u0085b\\u2028ü")))
    }

    /// An answer to a mere load is one document without a line end.
    @Test func theLastRecordNeedsNoLineEnd() throws {
        let decoded = decode(
            .ollama, [Array(Self.last.utf8)], for: try ollamaAnswer(model: "up:latest"))
        #expect(decoded.text == Self.last + "\n" && decoded.error == nil)
    }

    @Test func whatFollowsTheEndIsIgnored() throws {
        for rest in ["junk", "{", Self.token, #"{"error":"x"}"#] {
            let decoded = decode(
                .ollama, [body(Self.last, rest)], for: try ollamaAnswer(model: "up:latest"))
            #expect(decoded.text == Self.last + "\n" && decoded.error == nil)
        }
    }

    @Test func blankLinesAreNoRecords() throws {
        let decoded = decode(
            .ollama, [body("", Self.token, "", "", Self.last)],
            for: try ollamaAnswer(model: "up:latest"))
        #expect(decoded.bytes == body(Self.token, Self.last) && decoded.dataEvents == 2)
    }

    static let broken: [(String, DialectError)] = [
        ("", .endedEarly), (token.opened, .endedEarly), ("pl", .strayText(excerpt: "pl")),
        ("plain text\n", .strayText(excerpt: "plain text")),
        ("{\"done\":\n", .malformedFrame(excerpt: "{\"done\":")),
        ("{}\n", .malformedFrame(excerpt: "{}")),
        ("{\"done\":false}\n", .malformedFrame(excerpt: "{\"done\":false}")),
        ("{\"error\":\"no\"}\n", .reported(json: Array("\"no\"".utf8))),
        ("{\"error\":{\"a\":1}}", .reported(json: Array("{\"a\":1}".utf8))),
        ("[]\n", .strayText(excerpt: "[]")),
    ]

    @Test(arguments: broken)
    func aBrokenStreamIsNeverSaidToBeWhole(_ rest: String, _ error: DialectError) throws {
        let answer = try ollamaAnswer(model: "up:latest")
        forEveryCut(of: Array((Self.token + "\n" + rest).utf8), singleCutLimit: 60) { pieces in
            let decoded = decode(.ollama, pieces, for: answer)
            #expect(decoded.error == error, "\(rest)")
            #expect(decoded.text == Self.token + "\n")
        }
    }

    @Test func aRecordOverTheLimitIsRefused() throws {
        let answer = try ollamaAnswer(model: "up:latest")
        let fits = decode(
            .ollama, [body(Self.last)], for: answer, limits: (Self.last.utf8.count, 0))
        #expect(fits.error == nil)
        let over = decode(
            .ollama, [body(Self.last)], for: answer, limits: (Self.last.utf8.count - 1, 0))
        #expect(over.error == .frameTooLong(limitBytes: Self.last.utf8.count - 1))
    }
}
