// What requests at the doors become for each kind of backend.

import Chat
import Dialects
import JSON
import TestSupport
import Testing

@Suite struct DoorRequestTests {
    private func written(
        _ door: Door, _ body: String, for kind: UpstreamKind = .llamaServer,
        _ change: (inout RequestTarget) -> Void = { _ in }
    ) throws -> (json: JSONValue, ignored: [String], upstream: UpstreamRequest) {
        let request = try doorRequest(door, body)
        var target = RequestTarget(kind: kind, upstreamModel: "theirs", clientModel: "asked")
        change(&target)
        let upstream = try makeUpstreamRequest(request, for: target)
        let bytes = upstream.bytes(client: Array(body.utf8))
        #expect(bytes.count == upstream.contentLength)
        return (try #require(JSONValue(bytes)), upstream.ignored, upstream)
    }

    /// One member of what is written.
    private func value(
        _ name: String, _ door: Door, _ body: String, for kind: UpstreamKind = .llamaServer
    ) throws -> JSONValue? {
        try written(door, body, for: kind).json[name]
    }

    private func refusal(
        _ door: Door, _ body: String, for kind: UpstreamKind = .llamaServer
    ) -> APIError? {
        do {
            _ = try written(door, body, for: kind)
            return nil
        } catch {
            return error as? APIError
        }
    }

    private func json(_ text: String) -> JSONValue? { JSONValue(text.utf8) }

    @Test(arguments: UpstreamKind.allCases, [Door.responses, .messages])
    func theUpstreamIsAskedForAStreamUnderItsOwnName(_ kind: UpstreamKind, _ door: Door) throws {
        for stream in ["", #","stream":false"#, #","stream":null"#, #","stream":true"#] {
            let body =
                #"{"model":"asked","input":"hi","messages":[{"role":"user","content":"hi"}]\#(stream)}"#
            let written = try written(door, body, for: kind)
            #expect(written.json["stream"] == .bool(true))
            #expect(written.json["model"]?.string == "theirs")
            #expect(written.upstream.path == door.path && written.ignored == [])
        }
    }

    @Test(arguments: [Door.countTokens, .rerank, .tokenize, .detokenize])
    func documentsAreAskedForAsTheyAre(_ door: Door) throws {
        let body =
            #"{"query":"a","documents":["b"],"content":"c","tokens":[1],"messages":[{"role":"user","content":"x"}]}"#
        let written = try written(door, body)
        #expect(written.json["stream"] == nil && written.json["content"]?.string == "c")
        #expect(written.json["model"]?.string == "theirs")
    }

    @Test func ollamaHasTwoOfTheDoorsFromCertainVersionsOn() throws {
        for door in Door.allCases {
            let body =
                #"{"input":"a","query":"a","documents":["b"],"messages":[{"role":"user","content":"x"}]}"#
            let hasIt = door == .responses || door == .messages
            let error = refusal(door, body, for: .ollama)
            #expect((error == nil) == hasIt)
            if let error {
                #expect(error.code == .unsupportedParameter && error.message.contains("Ollama"))
                #expect(error.message.contains(door.path))
            }
        }
        let show = try JSONText(Array(#"{"capabilities":["completion"]}"#.utf8))
        let versions = [("0.13.2", false, false), ("0.13.3", true, false), ("0.14.0", true, true)]
        for (version, responses, messages) in versions {
            let found = OllamaCapabilities(show: show, version: version)
            #expect(found.supportsResponses == responses && found.supportsMessages == messages)
            for (door, hasIt) in [(Door.responses, responses), (.messages, messages)] {
                let request = try smallRequest(door, isStream: true)
                var target = RequestTarget(kind: .ollama, upstreamModel: "m", clientModel: "m")
                target.ollama = found
                let upstream = try? makeUpstreamRequest(request, for: target)
                #expect((upstream != nil) == hasIt)
            }
        }
    }

    @Test func nullsAreLeftOut() throws {
        let written = try written(
            .responses, #"{"input":"a","tools":null,"instructions":null,"x":null,"seed":1}"#)
        #expect(written.json == json(#"{"input":"a","seed":1,"model":"theirs","stream":true}"#))
    }

    // MARK: - Tools of Responses

    private let tools =
        #""tools":[{"type":"web_search"},{"type":"function","name":"f"},{"type":"mcp","server_label":"l"},{"type":"function","name":"g"}]"#

    @Test func toolsThatOnlyOpenAIRunsAreDroppedAndReported() throws {
        let mine = try written(.responses, #"{"input":"a",\#(tools)}"#)
        #expect(mine.json["tools"]?.elements.map { $0["name"]?.string } == ["f", "g"])
        #expect(mine.ignored == ["tools.web_search", "tools.mcp"])
        let others = try written(.responses, #"{"input":"a",\#(tools)}"#, for: .openAI)
        #expect(others.json["tools"]?.elements.count == 4 && others.ignored == [])
        let none = try written(
            .responses, #"{"input":"a","tools":[{"type":"web_search"}],"tool_choice":"required"}"#)
        #expect(none.json["tools"] == nil && none.json["tool_choice"] == nil)
    }

    @Test(arguments: [
        (#"{"type":"function","name":"g"}"#, ["g"], "required", false),
        (
            #"{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"}]}"#,
            ["f"], "auto", false
        ),
        (
            #"{"type":"allowed_tools","mode":"required","tools":[{"name":"f"},{"name":"g"}]}"#,
            ["f", "g"], "required", false
        ),
        (#""none""#, ["f", "g"], "none", false), (#"{"type":"mcp"}"#, ["f", "g"], nil, true),
    ])
    func aChoiceOfToolsLeavesOnlyThem(
        _ choice: String, _ names: [String], _ word: String?, _ isIgnored: Bool
    ) throws {
        let mine = try written(.responses, #"{"input":"a",\#(tools),"tool_choice":\#(choice)}"#)
        #expect(mine.json["tools"]?.elements.map { $0["name"]?.string } == names)
        #expect(mine.json["tool_choice"]?.string == word)
        #expect(mine.ignored.contains("tool_choice") == isIgnored)
    }

    @Test func aChoiceOfAToolThatIsNotThereIsRefused() {
        let choice = #"{"type":"function","name":"h"}"#
        let error = refusal(.responses, #"{"input":"a",\#(tools),"tool_choice":\#(choice)}"#)
        #expect(error?.param == "tool_choice" && error?.code == .invalidValue)
    }

    // MARK: - The rest of Responses

    @Test func historiesThatLlamaServerWouldRefuseAreMended() throws {
        let input =
            #"[{"role":"user","content":"a"}, {"role":"assistant","content":"b"},"#
            + #"{"type":"reasoning","summary":[]},{"type":"web_search_call"},"#
            + #"{"type":"reasoning","summary":[],"content":[{"text":"t"}]},{"role":"user","content":"c"}]"#
        let mine = try written(.responses, #"{"input":\#(input)}"#)
        let mended =
            #"[{"role":"user","content":"a"},{"type":"message","role":"assistant","content":"b"},"#
            + #"{"type":"reasoning","summary":[],"content":[{"text":"t"}]},{"role":"user","content":"c"}]"#
        #expect(mine.json["input"] == json(mended))
        #expect(mine.ignored == ["input.reasoning", "input.web_search_call"])
        let other = try value("input", .responses, #"{"input":\#(input)}"#, for: .openAI)
        #expect(other == json(input))
    }

    @Test func aSchemaForTheTextIsToldInLlamaServersWords() throws {
        let schema = #"{"type":"json_schema","name":"n","schema":{"type":"object"},"strict":true}"#
        let mine = try written(
            .responses, #"{"input":"a","text":{"format":\#(schema),"verbosity":"low"}}"#)
        let format = try #require(mine.json["response_format"])
        #expect(format["type"]?.string == "json_schema")
        #expect(format["json_schema"]?["schema"] == json(#"{"type":"object"}"#))
        #expect(mine.ignored == ["text.verbosity"])
        let object = try value(
            "response_format", .responses,
            #"{"input":"a","text":{"format":{"type":"json_object"}}}"#)
        #expect(object == json(#"{"type":"json_object"}"#))
        let plain = try value(
            "response_format", .responses, #"{"input":"a","text":{"format":{"type":"text"}}}"#)
        #expect(plain == nil)
    }

    @Test(arguments: [
        #""previous_response_id":"r""#, #""conversation":"c""#, #""background":true"#,
        #""prompt":{"id":"p"}"#,
    ])
    func whatNeedsAMemoryIsRefused(_ member: String) throws {
        let name = member.split(separator: "\"")[0]
        for kind in [UpstreamKind.llamaServer, .ollama] {
            let error = refusal(.responses, #"{"input":"a",\#(member)}"#, for: kind)
            #expect(error?.param == String(name) && error?.code == .unsupportedParameter)
        }
        #expect(refusal(.responses, #"{"input":"a",\#(member)}"#, for: .openAI) == nil)
    }

    @Test func fieldsWithoutEffectAreReported() throws {
        let body =
            #"{"input":"a","store":true,"metadata":{"a":"b"},"include":[],"user":"u","truncation":"disabled","top_logprobs":2}"#
        let mine = try written(.responses, body)
        #expect(mine.ignored == ["store", "metadata", "user", "top_logprobs"])
        // llama-server refuses this one.
        #expect(mine.json["top_logprobs"] == nil)
    }

    // MARK: - Limits

    private func capped(_ door: Door, _ member: String, by cap: String) throws -> (Int?, Int?) {
        let messages = #""messages":[{"role":"user","content":"x"}]"#
        let cap = try JSONText(Array(cap.utf8))
        let written = try written(door, #"{"input":"a",\#(messages)\#(member)}"#) {
            $0.rules.caps = [.init("max_tokens", cap)]
        }
        let name = door == .responses ? "max_output_tokens" : "max_tokens"
        return (written.json[name]?.int, written.upstream.tokenLimit)
    }

    @Test func aBoundOfTokensHoldsAtEveryDoor() throws {
        let cases = [("", 8), ("9", 8), ("8", 8), ("7", 7), ("-1", 8)]
        for (sent, limit) in cases {
            let responses = sent.isEmpty ? "" : #","max_output_tokens":\#(sent)"#
            #expect(try capped(.responses, responses, by: "8") == (limit, limit))
            let messages = sent.isEmpty ? "" : #","max_tokens":\#(sent)"#
            #expect(try capped(.messages, messages, by: "8") == (limit, limit))
        }
        // A limit by chat's name is none here, and no way around the bound.
        #expect(try capped(.responses, #","max_tokens":99"#, by: "8").0 == 8)
        #expect(try capped(.countTokens, "", by: "8").0 == nil)
    }

    @Test func otherRulesHoldInTheWordsOfTheDoor() throws {
        let stop = try JSONText(Array(#"["x"]"#.utf8))
        let half = try JSONText(Array("0.5".utf8))
        let written = try written(
            .messages, #"{"messages":[{"role":"user","content":"a"}],"top_p":1,"max_tokens":3}"#
        ) {
            $0.rules.defaults = [.init("stop", stop), .init("temperature", half)]
            $0.rules.drops = ["top_p", "max_completion_tokens"]
        }
        #expect(written.json["stop_sequences"] == json(#"["x"]"#))
        #expect(written.json["temperature"] == json("0.5") && written.json["top_p"] == nil)
        #expect(written.json["max_tokens"] == nil)
    }

    // MARK: - Messages

    private let message = #""messages":[{"role":"user","content":"a"}]"#
    private let clientTools =
        #""tools":[{"type":"web_search_20250305","name":"web_search"},{"name":"f","input_schema":{}},{"type":"custom","name":"g","input_schema":{}}]"#

    @Test(arguments: [
        ("", ["f", "g"], nil), (#","tool_choice":{"type":"tool","name":"g"}"#, ["g"], "tool"),
        (#","tool_choice":{"type":"any","disable_parallel_tool_use":true}"#, ["f", "g"], "any"),
        (#","tool_choice":{"type":"none"}"#, [], nil),
    ])
    func toolsOfMessagesAreThoseThatLlamaServerCanOffer(
        _ choice: String, _ names: [String], _ type: String?
    ) throws {
        let mine = try written(.messages, #"{\#(message),\#(clientTools)\#(choice)}"#)
        #expect((mine.json["tools"]?.elements ?? []).map { $0["name"]?.string } == names)
        #expect(mine.json["tool_choice"]?["type"]?.string == type)
        #expect(mine.ignored.first == "tools.web_search_20250305")
        #expect(
            mine.ignored.contains("tool_choice.disable_parallel_tool_use")
                == choice.contains("parallel"))
    }

    @Test(arguments: ["document", "search_result", "container_upload"])
    func aBlockThatWouldBeLeftOutIsRefused(_ type: String) {
        let body =
            #"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"\#(type)"}]}]}"#
        for door in [Door.messages, .countTokens] {
            let error = refusal(door, body)
            #expect(error?.param == "messages[0].content[1]")
            #expect(refusal(.messages, body, for: .openAI) == nil)
        }
    }

    @Test func thoughtsThatAreNotWantedAreTurnedOff() throws {
        let off = #"{\#(message),"thinking":{"type":"disabled"}}"#
        #expect(
            try value("chat_template_kwargs", .messages, off)
                == json(#"{"enable_thinking":false}"#))
        #expect(try value("chat_template_kwargs", .messages, off, for: .openAI) == nil)
        let own = #"{\#(message),"thinking":{"type":"disabled"},"chat_template_kwargs":{"a":1}}"#
        #expect(try value("chat_template_kwargs", .messages, own) == json(#"{"a":1}"#))
        let on = #"{\#(message),"thinking":{"type":"enabled","budget_tokens":1024}}"#
        #expect(try value("chat_template_kwargs", .messages, on) == nil)
    }

    // MARK: - Refusals

    @Test(arguments: [
        (Door.responses, "{}", "input", ErrorCode.missingField),
        (.responses, #"{"input":5}"#, "input", .invalidValue),
        (.responses, #"{"input":"a","stream":1}"#, "stream", .invalidValue),
        (.responses, #"{"input":"a","tools":{}}"#, "tools", .invalidValue),
        (.responses, #"{"input":"a","tools":[{}]}"#, "tools[0].type", .missingField),
        (.responses, #"{"input":"a","max_output_tokens":0}"#, "max_output_tokens", .invalidValue),
        (.responses, #"{"input":"a","model":1}"#, "model", .invalidValue),
        (.messages, "{}", "messages", .missingField),
        (.messages, #"{"messages":[]}"#, "messages", .invalidValue),
        (.messages, #"{"messages":[5]}"#, "messages[0]", .invalidValue),
        (.messages, #"{"messages":[{}]}"#, "messages[0].role", .missingField),
        (.messages, #"{"messages":[{"role":1}]}"#, "messages[0].role", .invalidValue),
        (.countTokens, "{}", "messages", .missingField), (.rerank, "{}", "query", .missingField),
        (.rerank, #"{"query":"a"}"#, "documents", .missingField),
        (.rerank, #"{"query":"a","documents":[]}"#, "documents", .invalidValue),
        (.rerank, #"{"query":1,"documents":["a"]}"#, "query", .invalidValue),
        (.detokenize, #"{"tokens":"a"}"#, "tokens", .invalidValue),
        (.tokenize, #"{"model":[]}"#, "model", .invalidValue),
    ])
    func whatIsWrongIsNamed(
        _ door: Door, _ body: String, _ param: String, _ code: ErrorCode
    ) throws {
        let error = try #require(refusal(door, body))
        #expect(error.param == param && error.code == code && error.status == 400)
    }

    @Test func aBodyThatIsNoObjectIsRefusedAtEveryDoor() {
        for door in Door.allCases {
            for body in ["", "[]", "{", "{} x", #"{"a":"\u00"}"#] {
                #expect(refusal(door, body)?.status == 400)
            }
        }
    }
}
