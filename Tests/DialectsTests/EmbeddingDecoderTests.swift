// Answers with embeddings become OpenAI's list.

import Chat
import Dialects
import TestSupport
import Testing

@Suite struct EmbeddingDecoderTests {
    /// What came of an answer.
    private struct Result: Equatable {
        var json: JSONValue?
        var error: DialectError?
        var promptTokens: Int?
        var dataEvents = 0
    }

    private func decoded(
        _ dialect: UpstreamDialect, _ pieces: [[UInt8]], count: Int = 1, base64: Bool = false,
        limit: Int = 1 << 20
    ) -> Result {
        let options = EmbeddingOptions(model: "asked", count: count, base64: base64)
        var decoder = EmbeddingDecoder(dialect, options, limitBytes: limit)
        var sink = ChunkSink(framing: .lines, headroom: 0)
        var result = Result()
        do {
            for piece in pieces { try decoder.feed(piece.span, into: &sink) }
            #expect(sink.isEmpty && !decoder.isAnswerComplete, "nothing leaves before the end")
            try decoder.finish(into: &sink)
            #expect(decoder.isDone && decoder.isAnswerComplete)
            #expect(sink.bytes.last == 0x0A)
            result.json = JSONValue(sink.bytes.dropLast())
        } catch {
            result.error = error
            #expect(sink.isEmpty)
        }
        result.promptTokens = decoder.usage?.promptTokens
        result.dataEvents = decoder.dataEvents
        return result
    }

    private func decoded(
        _ dialect: UpstreamDialect, _ answer: String, count: Int = 1, base64: Bool = false
    ) -> Result {
        decoded(dialect, [Array(answer.utf8)], count: count, base64: base64)
    }

    static let openAI =
        #"{"model":"tiny","object":"list","usage":{"prompt_tokens":5,"total_tokens":5},"#
        + #""data":[{"embedding":[1.0,-2.5,0],"index":0,"object":"embedding"},"#
        + #"{"embedding":[0.10000000149011612,1e-3,3],"index":1,"object":"embedding"}]}"#
    /// Little-endian: 1.0, −2.5, 0 and 0.1, 0.001, 3.
    static let vectors = ["AACAPwAAIMAAAAAA", "zczMPW8SgzoAAEBA"]

    @Test func anAnswerOfOpenAIsKindGoesOnUnderTheNameAskedFor() {
        forEveryCut(of: Array(Self.openAI.utf8), singleCutLimit: 50) { pieces in
            let result = decoded(.openAI, pieces, count: 2)
            #expect(
                result.json
                    == JSONValue(Self.openAI.replacing(#""tiny""#, with: #""asked""#).utf8))
            #expect(result.promptTokens == 5 && result.dataEvents == 1)
        }
    }

    @Test func numbersBecomeBase64WhereTheServerDoesNotKnowIt() {
        let result = decoded(.openAI, Self.openAI, count: 2, base64: true)
        let entries = result.json?["data"]?.elements ?? []
        #expect(entries.map { $0["embedding"]?.string } == Self.vectors)
        #expect(entries.map { $0["index"]?.int } == [0, 1])
    }

    @Test func ollamasAnswerBecomesOpenAIs() {
        let answer =
            #"{"model":"e","embeddings":[[1.0,-2.5,0],[0.10000000149011612,1e-3,3]],"#
            + #""total_duration":1,"prompt_eval_count":7}"#
        let result = decoded(.ollama, answer, count: 2)
        #expect(
            result.json
                == JSONValue(
                    (#"{"object":"list","data":["#
                        + #"{"object":"embedding","index":0,"embedding":[1.0,-2.5,0]},"#
                        + #"{"object":"embedding","index":1,"embedding":[0.10000000149011612,1e-3,3]}],"#
                        + #""model":"asked","usage":{"prompt_tokens":7,"total_tokens":7}}"#).utf8))
        #expect(result.promptTokens == 7)
        let base64 = decoded(.ollama, answer, count: 2, base64: true)
        let entries = base64.json?["data"]?.elements ?? []
        #expect(entries.map { $0["embedding"]?.string } == Self.vectors)
    }

    /// Answers that are not what was asked for.
    @Test(arguments: [
        "{}", "[]", "5", #"{"data":[]}"#, #"{"data":[{}]}"#, #"{"data":[{"embedding":5}]}"#,
        #"{"data":{},"embeddings":{}}"#, #"{"embeddings":[]}"#, #"{"embeddings":[5]}"#,
        #"{"embeddings":[[1],[2]],"data":[{"embedding":[]},{"embedding":[]}]}"#,
    ])
    func whatIsNoAnswerIsMalformed(_ answer: String) {
        for dialect in UpstreamDialect.allCases {
            let result = decoded(dialect, answer)
            #expect(result.error == .malformedFrame(excerpt: answer), "\(dialect)")
        }
    }

    @Test(arguments: [#"["a"]"#, "[null]", "[[1]]", "[1e99]"])
    func whatIsNoNumberHasNoBase64(_ vector: String) {
        let answer = #"{"embeddings":[\#(vector)]}"#
        #expect(
            decoded(.ollama, answer, base64: true).error == .malformedFrame(excerpt: answer))
    }

    @Test func anErrorInAnAnswerIsReported() {
        #expect(
            decoded(.openAI, #"{"error":{"message":"x"}}"#).error
                == .reported(json: Array(#"{"message":"x"}"#.utf8)))
    }

    @Test func aCutAnswerEndedEarly() {
        let bytes = Array(Self.openAI.utf8)
        for length in 0..<bytes.count {
            #expect(decoded(.openAI, [Array(bytes[..<length])], count: 2).error == .endedEarly)
        }
        #expect(decoded(.openAI, "oops").error == .malformedFrame(excerpt: "oops"))
    }

    @Test func anAnswerOverTheLimitIsRefused() {
        let bytes = Array(Self.openAI.utf8)
        let limit = bytes.count
        #expect(decoded(.openAI, [bytes], count: 2, limit: limit).error == nil)
        #expect(
            decoded(.openAI, [bytes], count: 2, limit: limit - 1).error
                == .frameTooLong(limitBytes: limit - 1))
    }

    // MARK: - Recorded

    @Test func llamaServersAnswersAreTakenAsTheyAre() throws {
        let floats = readAnswer(try fixture("llama-server/embeddings/string.response.http")).body
        let result = decoded(.openAI, [floats])
        let recorded = try #require(JSONValue(floats))
        #expect(result.json?["data"] == recorded["data"])
        #expect(result.json?["usage"] == recorded["usage"])
        let path = "llama-server/embeddings/array-base64.response.http"
        let encoded = readAnswer(try fixture(path)).body
        let kept = decoded(.openAI, [encoded], count: 2, base64: true)
        #expect(kept.json?["data"] == JSONValue(encoded)?["data"])
    }

    @Test func ollamasNativeAnswerEqualsWhatItsOwnV1MakesOfIt() throws {
        let native = try recorded("native-misc", "embed-single")
        let ownV1 = try #require(JSONValue(try recorded("v1-misc", "embeddings")))
        let result = decoded(.ollama, [native])
        #expect(result.json?["data"] == ownV1["data"])
        #expect(result.json?["usage"] == ownV1["usage"])
        let batch = try recorded("native-misc", "embed-batch")
        let base64 = try #require(JSONValue(try recorded("v1-misc", "embeddings-base64")))
        let encoded = decoded(.ollama, [batch], count: 2, base64: true)
        #expect(encoded.json?["data"] == base64["data"])
    }

    @Test func base64SaysTheSameNumbers() throws {
        let floats = readAnswer(try fixture("llama-server/embeddings/string.response.http")).body
        let ours = decoded(.openAI, [floats], base64: true)
        let text = try #require(ours.json?["data"]?.elements[0]["embedding"]?.string)
        let vector = JSONValue(floats)?["data"]?.elements[0]["embedding"]?.elements ?? []
        #expect(vector.count == 768)
        #expect(numbers(text) == vector.map { $0.double.map { Float($0) } })
    }

    /// Reads base64 bit by bit, then the floats in it.
    private func numbers(_ text: String) -> [Float?] {
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        let bits = text.flatMap { character -> [UInt32] in
            guard let place = alphabet.firstIndex(of: character) else { return [] }
            let value = UInt32(alphabet.distance(from: alphabet.startIndex, to: place))
            return (0..<6).reversed().map { value >> $0 & 1 }
        }
        let bytes = stride(from: 0, to: bits.count / 8 * 8, by: 8).map { start in
            bits[start..<(start + 8)].reduce(0) { $0 << 1 | $1 }
        }
        return stride(from: 0, to: bytes.count, by: 4).map { start in
            Float(bitPattern: bytes[start..<(start + 4)].reversed().reduce(0) { $0 << 8 | $1 })
        }
    }

    private func recorded(_ cassette: String, _ name: String) throws -> [UInt8] {
        let lines = try fixture("ollama/cassettes/\(cassette).jsonl").split(separator: 0x0A)
        let exchange = lines.lazy.compactMap { JSONValue($0) }.first { $0["name"]?.string == name }
        let answer = try #require(exchange?["response"]?.string)
        return readAnswer(Array(answer.utf8)).body
    }
}
