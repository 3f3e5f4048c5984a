// Assembled completions against the servers' own whole answers, as recorded.

import Chat
import Dialects
import TestSupport
import Testing

/// Completions put together from recorded streams, against what the same server answered when it
/// was asked the same question without a stream.
///
/// They differ in what the normal form changes (`model`; usage of several choices; ids of calls,
/// `""` for a text that Ollama leaves out) and in what no two runs share (ids, times, cached
/// tokens).
@Suite struct CompletionTranscriptTests {
    struct Twins: Sendable, CustomTestStringConvertible {
        let stream: Transcript
        let whole: Transcript
        var testDescription: String { "\(stream.name) and \(whole.name)" }
    }

    // Without a seed llama-server answers differently each time; the recorded Ollama never does.
    static let llamaServer = twins(
        ((try? Transcript.llamaServer(streamed: true)) ?? []).filter { $0.request["seed"] != nil },
        (try? Transcript.llamaServer(streamed: false)) ?? [])
    static let ollama = twins(
        (try? Transcript.ollama(streamed: true)) ?? [],
        (try? Transcript.ollama(streamed: false)) ?? [])

    /// Streams and whole answers in the same folder to the same question, the seed included.
    static func twins(_ streams: [Transcript], _ wholes: [Transcript]) -> [Twins] {
        streams.filter(\.isComplete).flatMap { stream in
            wholes.filter { whole in
                let folder = stream.name.prefix { $0 != "/" }
                return whole.question == stream.question && whole.name.hasPrefix(folder)
                    && stream.name.split(separator: "/").dropLast()
                        == whole.name.split(separator: "/").dropLast()
            }.prefix(1).map { Twins(stream: stream, whole: $0) }
        }
    }

    private func assemble(
        _ transcript: Transcript, _ dialect: UpstreamDialect
    ) throws -> JSONValue? {
        let options = testOptions {
            $0.includeUsage = true
            $0.choiceCount = transcript.request["n"]?.int ?? 1
            $0.isLlamaServer = dialect == .openAI
        }
        let decoded = decode(dialect, [transcript.body], options, framing: .lines)
        #expect(decoded.error == nil)
        var assembler = CompletionAssembler(limitBytes: 1 << 20)
        try assembler.take(lines: decoded.bytes.span)
        return JSONValue(assembler.completion())
    }

    @Test func thereAreTwins() {
        #expect(Self.llamaServer.count >= 10)
        #expect(Self.ollama.count >= 15)
    }

    @Test(arguments: llamaServer)
    func aLlamaServerStreamAddsUpToItsWholeAnswer(_ twins: Twins) throws {
        let assembled = try #require(try assemble(twins.stream, .openAI))
        let whole = try #require(JSONValue(twins.whole.body))
        #expect(Set(assembled.keys) == Set(whole.keys))
        #expect(assembled["object"] == whole["object"])
        #expect(assembled["choices"].map(withoutIDs) == whole["choices"].map(withoutIDs))
        #expect(assembled["usage"]?["prompt_tokens"] == whole["usage"]?["prompt_tokens"])
        let n = twins.whole.request["n"]?.int ?? 1
        let tokens = whole["usage"]?["completion_tokens"]?.int ?? 0
        #expect(assembled["usage"]?["completion_tokens"]?.int == tokens * n)
        #expect(assembled["timings"]?.keys.sorted() == whole["timings"]?.keys.sorted())
    }

    @Test(arguments: ollama)
    func anOllamaStreamAddsUpToItsWholeAnswer(_ twins: Twins) throws {
        let assembled = try #require(try assemble(twins.stream, .ollama))
        let whole = try #require(JSONValue(twins.whole.body))
        let choice = try #require(assembled["choices"]?.elements.first)
        let message = try #require(choice["message"])
        #expect(message["role"] == .string("assistant"))
        #expect(message["content"]?.string == whole["message"]?["content"]?.string ?? "")
        #expect(message["reasoning_content"] == whole["message"]?["thinking"])
        let calls = message["tool_calls"]?.elements ?? []
        let wholeCalls = whole["message"]?["tool_calls"]?.elements ?? []
        #expect(calls.map { $0["function"]?["name"] } == wholeCalls.map { $0["function"]?["name"] })
        let arguments = calls.map {
            JSONValue(Array(($0["function"]?["arguments"]?.string ?? "").utf8))
        }
        #expect(arguments == wholeCalls.map { $0["function"]?["arguments"] })
        let reason = whole["done_reason"]?.string
        let expected = reason == "stop" && !calls.isEmpty ? "tool_calls" : reason
        #expect(choice["finish_reason"]?.string == expected)
        #expect(assembled["usage"]?["prompt_tokens"]?.int == whole["prompt_eval_count"]?.int)
        #expect(assembled["usage"]?["completion_tokens"]?.int == whole["eval_count"]?.int)
        let tokens = choice["logprobs"]?["content"]?.elements.map { $0["token"] }
        #expect(tokens == whole["logprobs"]?.elements.map { $0["token"] })
    }

    private func withoutIDs(_ value: JSONValue) -> JSONValue {
        switch value {
        case .array(let elements): return .array(elements.map(withoutIDs))
        case .object(let members):
            let kept = members.filter { $0.key != "id" || $0.value.string == nil }
            return .object(kept.map { JSONMember($0.key, withoutIDs($0.value)) })
        case .null, .bool, .number, .string: return value
        }
    }
}
