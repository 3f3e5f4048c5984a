// Whole answers of Ollama's form, embeddings, lists, and times.

import Chat
import Dialects
import JSON
import TestSupport
import Testing

@Suite struct OllamaAssemblerTests {
    private func assembled(
        _ decoded: Decoded, _ endpoint: OllamaRequest.Endpoint = .chat, limit: Int = 1 << 20
    ) throws -> JSONValue? {
        var assembler = try ollamaAnswer(endpoint, #""prompt":"p""#).makeAssembler(
            limitBytes: limit)
        try assembler.take(lines: decoded.bytes.span)
        return JSONValue(assembler.completion())
    }

    private static let streams = Result { try Transcript.ollama(streamed: true) }

    /// Every whole answer that was recorded equals what its stream adds up to.
    @Test(arguments: try Transcript.ollama(streamed: false))
    func anAnswerInOnePieceSaysWhatItsStreamSays(_ whole: Transcript) throws {
        let streams = try Self.streams.get()
        guard let stream = streams.first(where: { $0.question == whole.question && $0.isComplete })
        else { return }
        let recorded = try #require(JSONValue(whole.body))
        let decoded = decode(
            .ollama, [stream.body], for: try ollamaAnswer(model: recorded["model"]?.string ?? ""))
        let ours = try #require(try assembled(decoded))
        #expect(ours.keys.sorted() == recorded.keys.sorted())
        for key in recorded.keys where !key.contains("duration") && key != "created_at" {
            #expect(withoutIDs(ours[key]) == withoutIDs(recorded[key]), "\(key)")
        }
    }

    /// Ids of calls are drawn for each answer, and the order of arguments as well.
    private func withoutIDs(_ value: JSONValue?) -> JSONValue? {
        switch value {
        case .object(let members):
            .object(
                members.filter { $0.key != "id" }.sorted { $0.key < $1.key }
                    .map { JSONMember($0.key, withoutIDs($0.value) ?? .null) })
        case .array(let elements): .array(elements.map { withoutIDs($0) ?? .null })
        default: value
        }
    }

    @Test func textsCallsAndLogprobsAreAddedUp() throws {
        let events = [
            deltaEvent(#"{"reasoning_content":"H"}"#), deltaEvent(#"{"reasoning_content":"m"}"#),
            #"{"choices":[{"index":0,"delta":{"content":"a\""},"logprobs":{"content":[{"token":"a"}]},"finish_reason":null}]}"#,
            #"{"choices":[{"index":0,"delta":{"content":"b"},"logprobs":{"content":[{"token":"b"}]},"finish_reason":null}]}"#,
            deltaEvent(
                #"{"tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":"{}"}},{"index":1,"id":"y","function":{"name":"g","arguments":"{\"a\":1}"}}]}"#
            ), deltaEvent("{}", finish: #""tool_calls""#),
        ]
        let decoded = decode(.openAI, [eventBody(events)], for: try ollamaAnswer())
        let expected =
            #"{"model":"asked","created_at":"2026-11-20T12:32:46.180792355Z","message":{"role":"assistant","#
            + #""content":"a\"b","thinking":"Hm","tool_calls":["#
            + #"{"id":"x","function":{"index":0,"name":"f","arguments":{}}},"#
            + #"{"id":"y","function":{"index":1,"name":"g","arguments":{"a":1}}}]},"#
            + #""done":true,"done_reason":"stop","logprobs":[{"token":"a"},{"token":"b"}]}"#
        #expect(try assembled(decoded) == JSONValue(expected.utf8))
    }

    @Test func aGenerationIsAddedUp() throws {
        let events = [
            deltaEvent(#"{"reasoning_content":"Hm"}"#), deltaEvent(#"{"content":"a"}"#),
            deltaEvent(#"{"content":"b"}"#), deltaEvent("{}", finish: #""stop""#),
        ]
        let answer = try ollamaAnswer(.generate, #""prompt":"p""#)
        let json = try assembled(decode(.openAI, [eventBody(events)], for: answer), .generate)
        #expect(
            json?.keys == ["model", "created_at", "response", "thinking", "done", "done_reason"])
        #expect(json?["response"]?.string == "ab" && json?["thinking"]?.string == "Hm")
    }

    @Test func anAnswerOverTheLimitIsRefused() throws {
        let events = Array(repeating: deltaEvent(#"{"content":"0123456789"}"#), count: 40)
        let decoded = decode(.openAI, [eventBody(events)], for: try ollamaAnswer())
        #expect(throws: CompletionError.tooLong(limitBytes: 400)) {
            try assembled(decoded, limit: 400)
        }
    }
}

@Suite struct FacadeEmbeddingTests {
    private static let openAI =
        #"{"object":"list","data":[{"embedding":[1,-0.5],"index":0},{"embedding":[0,2e-3],"index":1}],"#
        + #""usage":{"prompt_tokens":5}}"#

    @Test func vectorsOfAServerOfOpenAIsKindAreOllamasDocument() throws {
        let answer = try ollamaAnswer(.embed, #""input":["a","b"]"#)
        forEveryCut(of: Array(Self.openAI.utf8), singleCutLimit: 40) { pieces in
            let decoded = decode(.openAI, pieces, for: answer)
            #expect(
                decoded.text
                    == #"{"model":"asked","embeddings":[[1,-0.5],[0,2e-3]],"total_duration":0,"prompt_eval_count":5}"#
                    + "\n")
            #expect(decoded.promptTokens == 5 && decoded.dataEvents == 1)
        }
        let old = decode(
            .openAI, [Array(#"{"data":[{"embedding":[1,2]}]}"#.utf8)],
            for: try ollamaAnswer(.embeddings, #""prompt":"a""#))
        #expect(old.text == "{\"embedding\":[1,2]}\n")
    }

    @Test func anOllamasDocumentStaysAsItIs() throws {
        let document =
            #"{"model":"up:latest","embeddings":[[0,1]],"total_duration":9,"load_duration":3,"prompt_eval_count":2}"#
        let answer = try ollamaAnswer(.embed, #""input":"a""#)
        let decoded = decode(.ollama, [Array(document.utf8)], for: answer)
        #expect(decoded.text == document.replacing("up:latest", with: "asked") + "\n")
        #expect(decoded.promptTokens == 2)
        let same = decode(
            .ollama, [Array(document.utf8)],
            for: try ollamaAnswer(.embed, #""input":"a""#, model: "up:latest"))
        #expect(same.text == document + "\n")
    }

    static let broken: [(UpstreamDialect, String, DialectError?)] = [
        (.openAI, #"{"data":[{"embedding":[1]}"#, .endedEarly), (.ollama, "", .endedEarly),
        (.ollama, "no", nil), (.ollama, "{}", nil), (.openAI, "{}", nil),
        // One vector for two texts.
        (.openAI, #"{"data":[{"embedding":[1]}]}"#, nil),
        (.openAI, #"{"data":[{"embedding":"AAA="},{"embedding":[1]}]}"#, nil),
        (.ollama, #"{"error":"no"}"#, .reported(json: Array("\"no\"".utf8))),
    ]

    @Test(arguments: broken)
    func whatIsNoAnswerIsRefused(
        _ dialect: UpstreamDialect, _ document: String, _ error: DialectError?
    ) throws {
        let decoded = decode(
            dialect, [Array(document.utf8)], for: try ollamaAnswer(.embed, #""input":["a","b"]"#))
        #expect(decoded.error != nil && decoded.bytes.isEmpty)
        if let error { #expect(decoded.error == error) }
        let limited = decode(
            dialect, [Array(Self.openAI.utf8)], for: try ollamaAnswer(.embed, #""input":"a""#),
            limits: (9, 9))
        #expect(limited.error == .frameTooLong(limitBytes: 9))
    }
}

@Suite struct OllamaListingTests {
    private func json(_ write: (inout [UInt8]) -> Void) -> JSONValue? {
        var bytes: [UInt8] = []
        write(&bytes)
        return JSONValue(bytes)
    }

    @Test func anOllamasEntryKeepsAllButItsName() throws {
        let own = try JSONText(
            Array(#"{"name":"a:latest","size":3,"model":"a:latest","x":{}}"#.utf8))
        let entry = json { OllamaListing.append(entry: own, named: "alias", to: &$0) }
        #expect(entry == JSONValue(#"{"name":"alias","model":"alias","size":3,"x":{}}"#.utf8))
    }

    @Test func aModelOfLlamaServerHasWhatItTells() throws {
        let meta = try JSONText(
            Array(#"{"n_params":8030261312,"size":4113408,"ftype":"Q4_K","n_ctx":4096}"#.utf8))
        let listed = json {
            OllamaListing.append(
                named: "m", created: 1_795_177_966, meta: meta, isRunning: false, to: &$0)
        }
        #expect(listed?["modified_at"]?.string == "2026-11-20T12:32:46.000000000Z")
        #expect(listed?["size"]?.int == 4_113_408)
        #expect(listed?["details"]?["parameter_size"]?.string == "8.0B")
        #expect(listed?["details"]?["quantization_level"]?.string == "Q4_K")
        let running = json {
            OllamaListing.append(named: "m", created: nil, meta: meta, isRunning: true, to: &$0)
        }
        #expect(running?["context_length"]?.int == 4096 && running?["expires_at"] != nil)
        let unknown = json {
            OllamaListing.append(named: "m", created: nil, meta: nil, isRunning: false, to: &$0)
        }
        #expect(unknown?["size"]?.int == 0)
    }

    @Test func whatAModelCanDoIsReadFromItsProperties() throws {
        let answer = try fixture("llama-server/endpoints/props.response.http")
        let shown = try #require(
            JSONValue(OllamaListing.show(try JSONText(readAnswer(answer).body))))
        #expect(
            shown["capabilities"]?.elements.map(\.string) == ["completion", "tools", "thinking"])
        #expect(shown["model_info"]?["llama.context_length"]?.int == 4096)
        #expect(shown["template"]?.string?.contains("enable_thinking") == true)
        let bare = JSONValue(OllamaListing.show(nil))
        #expect(bare?["capabilities"]?.elements.map(\.string) == ["completion"])
    }

    /// Leap days, and the ends of years and centuries.
    @Test(arguments: [
        (0, "1970-01-01T00:00:00"), (951_782_399, "2000-02-28T23:59:59"),
        (951_782_400, "2000-02-29T00:00:00"), (951_868_800, "2000-03-01T00:00:00"),
        (1_735_689_599, "2024-12-31T23:59:59"), (1_735_689_600, "2025-01-01T00:00:00"),
        (4_107_542_400, "2100-03-01T00:00:00"), (1_709_164_800, "2024-02-29T00:00:00"),
    ])
    func timesAreThoseOfTheCalendar(_ second: Int, _ text: String) throws {
        let request = try OllamaRequest(reading: Array("{}".utf8), .chat)
        let answer = OllamaAnswer(request, model: "m") { second * 1_000_000_000 + 7 }
        let loaded = JSONValue(answer.loaded(unloads: false))
        #expect(loaded?["created_at"]?.string == text + ".000000007Z")
        #expect(loaded?["done_reason"]?.string == "load")
    }
}
