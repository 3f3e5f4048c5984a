// Numbers that no sensible server or client would send: whatever is counted or added up must hold.

import Chat
import Dialects
import JSON
import TestSupport
import Testing

@Suite struct OddNumberTests {
    /// What sums of counts can come to.
    private let counts = 0..<(1 << 50)

    private func check(_ decoded: Decoded, _ what: String) {
        for count in [decoded.promptTokens, decoded.completionTokens] {
            #expect(count.map(counts.contains) ?? true, "\(what)")
        }
    }

    @Test(arguments: [
        (Door.messages, "messages/stream-thinking"), (.messages, "messages/stream-tool"),
        (.messages, "messages/stream-stop-sequence"), (.responses, "responses/stream"),
        (.responses, "responses/stream-tools"), (.responses, "responses/stream-reasoning"),
        (.countTokens, "endpoints/count-tokens"), (.rerank, "rerank/ok"),
        (.tokenize, "endpoints/tokenize"),
    ])
    func theDoorsBearEveryNumber(_ door: Door, _ name: String) throws {
        let bodies = withOddNumbers(try recordedAnswer(name))
        #expect(!bodies.isEmpty)
        for (what, body) in bodies {
            for isStream in door.hasEvents ? [true, false] : [false] {
                let decoded = try decodeDoor(door, [body], isStream: isStream, tokenLimit: 9)
                check(decoded, what)
                guard decoded.error == nil else { continue }
                if isStream {
                    #expect(decoded.namedEvents.count > 2, "\(what)")
                } else {
                    #expect(JSONValue(decoded.bytes.dropLast()) != nil, "\(what)")
                }
            }
        }
    }

    /// The parts of the sum are told, but not all at once by a real server.
    @Test func theTokensOfAPromptAreAddedUpWhateverTheyAre() throws {
        let usage =
            #"{"input_tokens":3,"cache_read_input_tokens":4,"cache_creation_input_tokens":5,"output_tokens":1}"#
        let event = #"{"type":"message_start","message":{"id":"m","usage":\#(usage)}}"#
        let end = #"{"type":"message_stop"}"#
        for (what, body) in withOddNumbers(Array("data: \(event)\n\ndata: \(end)\n\n".utf8)) {
            let decoded = try decodeDoor(.messages, [body])
            check(decoded, what)
            #expect(decoded.error == nil)
        }
        let most = event.replacing("\":3", with: "\":\(Int.max)").replacing("\":4", with: "\":1")
        let decoded = try decodeDoor(.messages, events: [most, end])
        #expect(decoded.error == nil && decoded.promptTokens == 0)
    }

    @Test(arguments: oddNumbers)
    func anItemBehindOneWithAnOddIndexHasTheNext(_ odd: String) throws {
        let item = #"{"type":"function_call","id":"a","call_id":"a","name":"f","arguments":""}"#
        let decoded = try decodeDoor(
            .responses,
            events: [
                #"{"type":"response.created","response":{"id":"r"}}"#,
                #"{"type":"response.output_item.added","output_index":\#(odd),"item":\#(item)}"#,
                #"{"type":"response.output_item.added","item":\#(item.replacing("\"a\"", with: "\"b\""))}"#,
                #"{"type":"response.completed","response":{"id":"r","output":[]}}"#,
            ])
        #expect(decoded.error == nil)
        let added = decoded.namedEvents.filter { $0.name == "response.output_item.added" }
        #expect(added.map { $0.data["output_index"]?.int } == [0, 1])
    }

    static let facades: [(OllamaRequest.Endpoint, UpstreamDialect, String)] = [
        (.chat, .openAI, "llama-server/chat/stream-usage"),
        (.chat, .openAI, "llama-server/chat/stream-logprobs"),
        (.chat, .openAI, "llama-server/tools/parallel-stream"),
        (.embed, .openAI, "llama-server/embeddings/string"),
    ]

    @Test(arguments: facades)
    func theFacadeBearsEveryNumber(
        _ endpoint: OllamaRequest.Endpoint, _ dialect: UpstreamDialect, _ name: String
    ) throws {
        let answer = readAnswer(try fixture(name + ".response.http")).body
        let bodies = withOddNumbers(answer)
        #expect(!bodies.isEmpty)
        for (what, body) in bodies {
            let decoded = decode(dialect, [body], for: try ollamaAnswer(endpoint, #""input":"a""#))
            check(decoded, what)
            #expect(decoded.records.count == decoded.text.split(separator: "\n").count, "\(what)")
        }
    }

    @Test(arguments: [OllamaRequest.Endpoint.chat, .generate, .embed])
    func recordsOfOllamaBearEveryNumber(_ endpoint: OllamaRequest.Endpoint) throws {
        let figures =
            #""done":true,"total_duration":9,"load_duration":1,"prompt_eval_count":3,"eval_count":2"#
        let text: String
        switch endpoint {
        case .chat: text = #""message":{"role":"assistant","content":"a"},"#
        case .generate: text = #""response":"a","#
        case .embed, .embeddings: text = #""embeddings":[[1,2]],"#
        }
        for (what, body) in withOddNumbers(Array("{\"model\":\"m\",\(text)\(figures)}\n".utf8)) {
            let decoded = decode(.ollama, [body], for: try ollamaAnswer(endpoint, #""input":"a""#))
            check(decoded, what)
            #expect(decoded.error == nil && decoded.records.count == 1, "\(what)")
        }
    }

    @Test func theListsOfOllamasApiBearEveryNumber() throws {
        let meta = #"{"n_params":8030261312,"size":4113408,"ftype":"Q4_K","n_ctx":4096}"#
        for (what, body) in withOddNumbers(Array(meta.utf8)) {
            for isRunning in [true, false] {
                var json: [UInt8] = []
                OllamaListing.append(
                    named: "m", created: 1, meta: try JSONText(body), isRunning: isRunning,
                    to: &json)
                #expect(JSONValue(json) != nil, "\(what)")
            }
        }
        let properties = try recordedAnswer("endpoints/props")
        for (what, body) in withOddNumbers(properties) {
            #expect(JSONValue(OllamaListing.show(try JSONText(body))) != nil, "\(what)")
        }
    }

    @Test(arguments: [
        (Int.max, "9999-12-31T23:59:59"), (Int.min, "1970-01-01T00:00:00"),
        (1_000_000_000_000_000_000, "9999-12-31T23:59:59"), (-1, "1970-01-01T00:00:00"),
        (1_795_177_966_000, "9999-12-31T23:59:59"), (253_402_300_799, "9999-12-31T23:59:59"),
        (253_402_214_400, "9999-12-31T00:00:00"),
    ])
    func aMomentBeyondTheCalendarIsAtItsEnd(_ second: Int, _ text: String) {
        var json: [UInt8] = []
        OllamaListing.append(named: "m", created: second, meta: nil, isRunning: false, to: &json)
        #expect(JSONValue(json)?["modified_at"]?.string == text + ".000000000Z")
    }

    /// Every number a client may send, refused or written, to every kind of backend.
    @Test(arguments: UpstreamKind.allCases) func requestsBearEveryNumber(_ kind: UpstreamKind)
        throws
    {
        var target = requestTarget(kind)
        target.ollama = ableOllama.ollama
        target.rules.caps = [try ruleSetting("max_tokens", "8")]
        let options = FacadeFields.options.map { #""\#($0.name)":1"# }.joined(separator: ",")
        let ollama =
            #"{"messages":[{"role":"user","content":"a"}],"prompt":"a","input":"a","keep_alive":1,"#
            + #""dimensions":1,"logprobs":true,"top_logprobs":1,"options":{\#(options)}}"#
        for (what, body) in withOddNumbers(Array(ollama.utf8)) {
            for endpoint in OllamaRequest.Endpoint.allCases {
                let text = String(decoding: body, as: UTF8.self)
                let error = refusal(endpoint, text, for: target)
                #expect(error.map { (400..<500).contains($0.status) } ?? true, "\(what)")
            }
        }
        let door =
            #"{"input":"a","messages":[{"role":"user","content":"a"}],"max_output_tokens":1,"#
            + #""max_tokens":1,"temperature":1,"top_p":1,"top_k":1,"top_logprobs":1,"max_tool_calls":1}"#
        for (what, body) in withOddNumbers(Array(door.utf8)) {
            for door in [Door.responses, .messages] {
                do {
                    let request = try DoorRequest(reading: body, at: door)
                    let upstream = try makeUpstreamRequest(request, for: target)
                    #expect(JSONValue(upstream.bytes(client: body)) != nil, "\(what)")
                } catch {
                    #expect((400..<500).contains(error.status), "\(what)")
                }
            }
        }
    }
}
