// Every recorded stream, whole and cut, gives one valid client stream.

import Chat
import Dialects
import TestSupport
import Testing

/// Everything recorded from real servers, through the decoder.
@Suite struct TranscriptTests {
    static let llamaServer: [Transcript] = (try? Transcript.llamaServer(streamed: true)) ?? []
    static let ollama: [Transcript] = (try? Transcript.ollama(streamed: true)) ?? []

    @Test func thereAreTranscripts() {
        #expect(Self.llamaServer.count > 40)
        #expect(Self.ollama.count > 50)
    }

    @Test(arguments: llamaServer, [false, true])
    func aLlamaServerTranscriptKeepsTheNormalForm(_ transcript: Transcript, usage: Bool) {
        check(transcript, .openAI, usage: usage)
    }

    @Test(arguments: ollama, [false, true])
    func anOllamaTranscriptKeepsTheNormalForm(_ transcript: Transcript, usage: Bool) {
        check(transcript, .ollama, usage: usage)
    }

    private func check(_ transcript: Transcript, _ dialect: UpstreamDialect, usage: Bool) {
        let n = transcript.request["n"]?.int ?? 1
        let options = testOptions {
            $0.includeUsage = usage
            $0.choiceCount = n
            $0.isLlamaServer = dialect == .openAI
        }
        let decoded = decode(dialect, [transcript.body], options)
        var expectation = ChunkSchema.Expectation()
        expectation.includeUsage = usage
        expectation.choiceCount = n
        expectation.isComplete = transcript.isComplete
        let schema = ChunkSchema(decoded.bytes, expectation)
        #expect(schema.violations == [])
        #expect((decoded.error == nil) == transcript.isComplete)
        // Tokens per second must be there to read, from either upstream. A load generates nothing.
        let isLoad = decoded.completionTokens ?? 0 == 0
        if transcript.isComplete, !isLoad { #expect(schema.timings?["predicted_n"]?.int != nil) }
    }

    /// Small transcripts of every kind, cut everywhere; the others are cut at random.
    @Test(arguments: llamaServer)
    func cutsDoNotChangeALlamaServerStream(_ transcript: Transcript) {
        checkCuts(transcript, .openAI)
    }

    @Test(arguments: ollama)
    func cutsDoNotChangeAnOllamaStream(_ transcript: Transcript) {
        checkCuts(transcript, .ollama)
    }

    private func checkCuts(_ transcript: Transcript, _ dialect: UpstreamDialect) {
        let options = testOptions { $0.isLlamaServer = dialect == .openAI }
        // The beginning and the end are where the kinds of events differ.
        let isLong = transcript.body.count > 6000
        let body = isLong ? transcript.body.suffix(4000) + [] : transcript.body
        let whole = decode(dialect, [body], options)
        forEveryCut(of: body, singleCutLimit: 8) { pieces in
            #expect(decode(dialect, pieces, options) == whole)
        }
    }

    @Test func anEventThatNeedsNoChangeLeavesWithItsBytesUnchanged() throws {
        for transcript in Self.llamaServer where transcript.isComplete {
            guard transcript.request["n"] == nil else { continue }
            let upstream = String(decoding: transcript.body, as: UTF8.self)
            let events = upstream.split(separator: "\n\n").map(String.init)
                .filter { $0.hasPrefix("data: {") }
            guard let first = JSONValue(Array((events.first ?? "").utf8).dropFirst(6)),
                let model = first["model"]?.string, let created = first["created"]?.int,
                events.allSatisfy({ $0.contains("\"created\":\(created),") }),
                !transcript.name.contains("return-progress")
            else { continue }
            let usage = transcript.request["stream_options"]?["include_usage"] == .bool(true)
            guard !usage else { continue }
            let options = testOptions {
                $0.model = model
                $0.isLlamaServer = true
            }
            let decoded = decode(.openAI, [transcript.body], options)
            // What section 2 of the promises asks for: the role's content is "", indexes of calls
            // leave no gaps.
            let expected = events.map {
                $0.replacing(
                    #""delta":{"role":"assistant","content":null}"#,
                    with: #""delta":{"role":"assistant","content":""}"#)
            }
            #expect(decoded.text == expected.joined(separator: "\n\n") + "\n\ndata: [DONE]\n\n")
        }
    }
}
