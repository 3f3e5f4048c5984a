// Requests of Ollama's API for servers of OpenAI's kind.

import Chat
import Dialects
import JSON
import TestSupport
import Testing

@Suite struct FacadeRequestTests {
    /// The fields that every translated chat has.
    private static let common =
        #""model":"m","stream":true,"stream_options":{"include_usage":true}"#
    private static let hi = #""messages":[{"role":"user","content":"hi"}]"#

    static let chats: [(asked: String, sent: String)] = [
        (hi, hi),
        (#"\#(hi),"stream":false,"format":"","think":null"#, hi),
        (
            #""messages":[{"role":"System","content":"s"},{"role":"user"}]"#,
            #""messages":[{"role":"system","content":"s"},{"role":"user","content":""}]"#
        ),
        (
            #""messages":[{"role":"user","content":"a\nü","images":["iVBORw0KGgo=","\/9j/AA==","UklGRmFiY2RXQVZF"]}]"#,
            #""messages":[{"role":"user","content":[{"type":"text","text":"a\nü"},"#
                + #"{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}},"#
                + #"{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,/9j/AA=="}},"#
                + #"{"type":"input_audio","input_audio":{"data":"UklGRmFiY2RXQVZF","format":"wav"}}]}]"#
        ),
        (
            #""messages":[{"role":"user","images":["UklGRmFiY2RXRUJQ","data:image/gif;base64,R0lGOD"]}]"#,
            #""messages":[{"role":"user","content":["#
                + #"{"type":"image_url","image_url":{"url":"data:image/webp;base64,UklGRmFiY2RXRUJQ"}},"#
                + #"{"type":"image_url","image_url":{"url":"data:image/gif;base64,R0lGOD"}}]}]"#
        ),
        (
            #"\#(hi),"tools":[{"function":{"name":"f"}},{"type":"function","function":{"name":"g"}}]"#,
            #"\#(hi),"tools":[{"type":"function","function":{"name":"f"}},"#
                + #"{"type":"function","function":{"name":"g"}}]"#
        ),
        (#"\#(hi),"format":"json""#, #"\#(hi),"response_format":{"type":"json_object"}"#),
        (
            #"\#(hi),"format":{"type":"object"}"#,
            #"\#(hi),"response_format":{"type":"json_schema","#
                + #""json_schema":{"name":"answer","schema":{"type":"object"}}}"#
        ),
        (
            #"\#(hi),"think":true"#,
            #"\#(hi),"chat_template_kwargs":{"enable_thinking":true}"#
        ),
        (
            #"\#(hi),"think":false"#,
            #"\#(hi),"chat_template_kwargs":{"enable_thinking":false}"#
        ),
        (
            #"\#(hi),"think":"max""#,
            #"\#(hi),"chat_template_kwargs":{"enable_thinking":true},"reasoning_effort":"high""#
        ),
        (
            #"\#(hi),"logprobs":true,"top_logprobs":2"#,
            #"\#(hi),"logprobs":true,"top_logprobs":2"#
        ),
        (#"\#(hi),"logprobs":false"#, hi),
        (
            #"\#(hi),"options":{"num_predict":9.5,"seed":7.0,"stop":["a"],"top_k":3,"min_p":0.1,"num_keep":4}"#,
            #"\#(hi),"max_tokens":9,"seed":7,"stop":["a"],"top_k":3,"min_p":0.1,"n_keep":4"#
        ),
        // No limit, in Ollama's words.
        (#"\#(hi),"options":{"num_predict":-1,"stop":[],"temperature":null}"#, hi),
        (#"\#(hi),"options":{"num_predict":0}"#, hi),
    ]

    @Test(arguments: chats)
    func aChatIsSaidInOpenAIsWords(_ asked: String, _ sent: String) throws {
        let (json, request) = try written(
            .chat, "{\"model\":\"m\",\(asked)}", for: requestTarget(.llamaServer))
        #expect(json == JSONValue("{\(Self.common),\(sent)}".utf8), "\(json)")
        #expect(request.path == "/v1/chat/completions" && request.ignored.isEmpty)
    }

    @Test func callsGetIdsThatTheirResultsName() throws {
        let turn =
            #"{"role":"assistant","content":"","thinking":"hm","tool_calls":["#
            + #"{"function":{"name":"f","arguments":{"a":"\"\n"}}},"#
            + #"{"id":"x","function":{"index":1,"name":"g","arguments":{}}},"#
            + #"{"function":{"name":"h"}}]}"#
        let results = [
            (#""tool_name":"h""#, "call_1_2", "h"), (#""tool_call_id":"x""#, "x", nil),
            (#""content":"c""#, "call_1_0", nil), (#""content":"d""#, "call_0", nil),
        ]
        let asked = results.map { #"{"role":"tool",\#($0.0)}"# }.joined(separator: ",")
        let body = #"{"messages":[{"role":"user","content":"hi"},\#(turn),\#(asked)]}"#
        let (json, _) = try written(.chat, body, for: requestTarget(.llamaServer))
        let messages = json["messages"]?.elements ?? []
        let calls = messages[1]["tool_calls"]?.elements ?? []
        #expect(calls.map { $0["id"]?.string } == ["call_1_0", "x", "call_1_2"])
        #expect(calls.allSatisfy { $0["type"]?.string == "function" })
        #expect(
            calls.map { $0["function"]?["arguments"]?.string } == [#"{"a":"\"\n"}"#, "{}", "{}"])
        #expect(messages[1]["reasoning_content"]?.string == "hm")
        #expect(messages[2...].map { $0["tool_call_id"]?.string } == results.map(\.1))
        #expect(messages[2...].map { $0["name"]?.string } == results.map(\.2))
    }

    /// Calls of one turn, results, and the ids that these name.
    static let turns: [(calls: [(id: String?, name: String)], results: [String], ids: [String])] = [
        // In turn, whatever has been taken before.
        (
            [(nil, "f"), ("x", "g"), (nil, "f")],
            [#""tool_call_id":"x""#, "", #""name":"none""#, ""],
            ["x", "call_0_0", "call_0_2", "call_0"]
        ),
        // By name the first that is left, then any.
        (
            [(nil, "f"), (nil, "g"), (nil, "f"), (nil, "g")],
            [
                #""tool_name":"g""#, "", #""tool_name":"f""#, #""tool_name":"f""#,
                #""tool_name":"f""#,
            ],
            ["call_0_1", "call_0_0", "call_0_2", "call_0_3", "call_0"]
        ),
        // An id that stands there twice is answered once, an unknown one answers nothing.
        (
            [("x", "f"), ("x", "f"), (nil, "f")],
            [#""tool_call_id":"y""#, #""tool_call_id":"x""#, #""tool_name":"f""#, ""],
            ["y", "x", "call_0_2", "call_0"]
        ),
        // What was taken by name or in turn is not there for its id.
        (
            [("x", "f"), ("y", "f")],
            [#""tool_name":"f""#, #""tool_call_id":"x""#, "", #""tool_name":"f""#],
            ["x", "x", "y", "call_0"]
        ),
    ]

    @Test(arguments: turns)
    func resultsFindTheirCalls(
        _ calls: [(id: String?, name: String)], _ results: [String], _ ids: [String]
    ) throws {
        let body = Self.conversation(calls, results)
        let (json, _) = try written(.chat, body, for: requestTarget(.llamaServer))
        #expect(json["messages"]?.elements.dropFirst().map { $0["tool_call_id"]?.string } == ids)
    }

    /// A walk over all open calls for each result took a second for some thousand.
    @Test func manyCallsAndResultsTakeTheirOwnTimeOnly() throws {
        let count = 20_000
        let calls = (0..<count).map { number in
            number < count / 2 ? (nil, "f\(number % 2)") : (id: "x\(number)", name: "h")
        }
        // By id from the last, by name, and in turn: each has to pass over what others took.
        let results = (0..<count).map { number in
            switch number % 4 {
            case 0, 2: #""tool_call_id":"x\#(count - 1 - number / 2)""#
            case 1: #""tool_name":"f1""#
            default: #""tool_name":"unknown""#
            }
        }
        let body = Array(Self.conversation(calls, results).utf8)
        var translation = FacadeTranslation(try OllamaRequest(reading: body, .chat))
        let clock = ContinuousClock()
        var request: UpstreamRequest?
        let time = try clock.measure {
            request = try translation.makeUpstreamRequest(for: requestTarget(.llamaServer))
        }
        #expect(time < .seconds(10), "\(time)")
        let json = JSONValue(try #require(request).bytes(client: body))
        let ids = json?["messages"]?.elements.dropFirst().map { $0["tool_call_id"]?.string } ?? []
        #expect(ids.count == count && Set(ids).count == count, "each call has its result")
    }

    private static func conversation(
        _ calls: [(id: String?, name: String)], _ results: [String]
    ) -> String {
        let calls = calls.map { call in
            let id = call.id.map { "\"id\":\"\($0)\"," } ?? ""
            return "{\(id)\"function\":{\"name\":\"\(call.name)\"}}"
        }
        let turn = #"{"role":"assistant","tool_calls":[\#(calls.joined(separator: ","))]}"#
        let answers = results.map { #"{"role":"tool"\#($0.isEmpty ? "" : ",")\#($0)}"# }
        return #"{"messages":[\#(([turn] + answers).joined(separator: ","))]}"#
    }

    @Test func aPromptIsAUsersMessage() throws {
        let body = #"{"prompt":"hi","system":"s","images":["iVBORw"],"options":{"top_p":1}}"#
        let (json, request) = try written(.generate, body, for: requestTarget(.openAI))
        let expected =
            #"{"stream":true,"stream_options":{"include_usage":true},"model":"m","top_p":1,"#
            + #""messages":[{"role":"system","content":"s"},"#
            + #"{"role":"user","content":[{"type":"text","text":"hi"},"#
            + #"{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw"}}]}]}"#
        #expect(json == JSONValue(expected.utf8), "\(json)")
        #expect(request.path == "/v1/chat/completions")
    }

    @Test func aRawPromptIsATextCompletion() throws {
        let body =
            #"{"model":"m","prompt":"a","raw":true,"format":{"type":"object"},"#
            + #""options":{"num_predict":3},"think":true,"system":"s"}"#
        let (json, request) = try written(.generate, body, for: requestTarget(.llamaServer))
        let expected =
            #"{"model":"m","stream":true,"stream_options":{"include_usage":true},"prompt":"a","#
            + #""json_schema":{"type":"object"},"max_tokens":3}"#
        #expect(json == JSONValue(expected.utf8), "\(json)")
        #expect(request.path == "/v1/completions" && request.ignored == ["system", "think"])
        let filled = #"{"model":"m","prompt":"a","suffix":"b"}"#
        let openAI = try written(.generate, filled, for: requestTarget(.openAI))
        #expect(openAI.json["suffix"]?.string == "b")
        #expect(refusal(.generate, filled, for: requestTarget(.llamaServer))?.param == "suffix")
    }

    @Test func textsToEmbedAreOpenAIs() throws {
        let several = try written(
            .embed, #"{"model":"m","input":["a","b"],"truncate":true}"#,
            for: requestTarget(.llamaServer))
        #expect(several.json == JSONValue(#"{"model":"m","input":["a","b"]}"#.utf8))
        #expect(several.request.path == "/v1/embeddings")
        #expect(several.request.ignored == ["truncate"])
        let old = try written(
            .embeddings, #"{"model":"m","prompt":"a"}"#, for: requestTarget(.llamaServer))
        #expect(old.json == JSONValue(#"{"model":"m","input":"a"}"#.utf8))
    }

    @Test func theRulesOfTheRouteHold() throws {
        var target = requestTarget(.llamaServer)
        target.rules.caps = [try ruleSetting("num_predict", "8")]
        target.rules.sets = [try ruleSetting("tool_choice", #""required""#)]
        target.rules.drops = ["top_k"]
        let body = "{\(Self.hi),\"options\":{\"num_predict\":100,\"top_k\":3}}"
        let (json, _) = try written(.chat, body, for: target)
        #expect(json["max_tokens"]?.int == 8 && json["top_k"] == nil)
        #expect(json["tool_choice"]?.string == "required")
    }

    static let refusals: [(OllamaRequest.Endpoint, String, String)] = [
        (.chat, #"{"messages":1}"#, "messages"),
        (.chat, #"{"messages":[1]}"#, "messages[0]"),
        (.chat, #"{"messages":[{"content":"a"}]}"#, "messages[0].role"),
        (.chat, #"{"messages":[{"role":"user","content":[]}]}"#, "messages[0].content"),
        (.chat, #"{"messages":[{"role":"user","images":[1]}]}"#, "messages[0].images"),
        (
            .chat,
            #"{"messages":[{"role":"user","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]}"#,
            "messages[0].tool_calls[0].function.arguments"
        ),
        (.chat, #"{"tools":[{"function":{}}]}"#, "tools[0].function.name"),
        (.chat, #"{\#(hi),"think":"much"}"#, "think"),
        (.chat, #"{\#(hi),"format":"xml"}"#, "format"),
        (.chat, #"{\#(hi),"keep_alive":[]}"#, "keep_alive"),
        (.chat, #"{\#(hi),"stream":1}"#, "stream"),
        (.chat, #"{\#(hi),"top_logprobs":21}"#, "top_logprobs"),
        (.chat, #"{\#(hi),"options":{"temperature":"hot"}}"#, "options.temperature"),
        (.chat, #"{\#(hi),"options":{"stop":[1]}}"#, "options.stop"),
        (.chat, #"{\#(hi),"options":[]}"#, "options"),
        (.generate, #"{"prompt":"a","template":"{{.Prompt}}"}"#, "template"),
        (.generate, #"{"prompt":"a","raw":true,"images":["a"]}"#, "images"),
        (.embed, #"{"input":[1]}"#, "input"),
        (.embed, #"{"input":"a","dimensions":4}"#, "dimensions"),
    ]

    @Test(arguments: refusals)
    func whatIsWrongIsNamed(_ endpoint: OllamaRequest.Endpoint, _ body: String, _ param: String) {
        let error = refusal(endpoint, body, for: requestTarget(.llamaServer))
        #expect(error?.status == 400 && error?.param == param, "\(String(describing: error))")
    }

    @Test func onlyAnOllamaLoadsAModel() {
        for (endpoint, body) in [
            (OllamaRequest.Endpoint.chat, "{}"), (.chat, #"{"messages":[]}"#), (.generate, "{}"),
            (.generate, #"{"prompt":""}"#), (.embed, #"{"input":[]}"#), (.embeddings, "{}"),
        ] {
            #expect(refusal(endpoint, body, for: requestTarget(.openAI))?.param == "model")
            #expect(refusal(endpoint, body, for: requestTarget(.ollama)) == nil)
        }
    }
}
