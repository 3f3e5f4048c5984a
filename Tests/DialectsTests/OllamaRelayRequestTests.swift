// Requests of Ollama's API for an Ollama.

import Chat
import Dialects
import JSON
import TestSupport
import Testing

@Suite struct OllamaRelayRequestTests {
    @Test func allButTheModelsNameStaysAsItWas() throws {
        let fields =
            #""messages":[{"role":"user","content":"a\u2028","images":["x"]}],"think":"low","#
            + #""format":{"b":1,"a":2},"options":{"num_predict":0,"num_ctx":9},"truncate":true,"#
            + #""keep_alive":"5m","_debug_render_only":true,"unknown":{"x":[]}"#
        var target = requestTarget(.ollama)
        target.upstreamModel = "up:latest"
        let body = #"{"model":"m","stream":false,\#(fields)}"#
        let (json, request) = try written(.chat, body, for: target)
        let expected = #"{"model":"up:latest","stream":true,\#(fields)}"#
        #expect(request.bytes(client: Array(body.utf8)) == Array(expected.utf8), "\(json)")
        #expect(request.path == "/api/chat" && request.ignored.isEmpty)
    }

    @Test(arguments: OllamaRequest.Endpoint.allCases)
    func eachGoesToItsOwnPath(_ endpoint: OllamaRequest.Endpoint) throws {
        let body = #"{"input":"a","prompt":"a"}"#
        let (json, request) = try written(endpoint, body, for: requestTarget(.ollama))
        #expect(request.path == endpoint.path)
        #expect(json["stream"] == (endpoint.hasStream ? .bool(true) : nil))
        #expect(json["model"]?.string == "m")
    }

    /// Go reads these names as if they were written right.
    @Test(arguments: ["Model", "MODEL", "ſtream", "optionſ", "\\u004dodel"])
    func aNameThatOllamaReadsForAnotherIsNotSentOn(_ name: String) throws {
        let body = #"{"model":"m","\#(name)":"other","messages":[]}"#
        let (json, request) = try written(.chat, body, for: requestTarget(.ollama))
        #expect(json.keys == ["model", "stream", "messages"])
        #expect(request.ignored.count == 1)
    }

    @Test func onlyTheLastOfSeveralCounts() throws {
        let body = #"{"model":"a","model":"b","think":true,"think":false,"messages":[]}"#
        let (json, _) = try written(.chat, body, for: requestTarget(.ollama))
        #expect(json.keys == ["model", "stream", "think", "messages"])
        #expect(json["think"] == .bool(false))
    }

    @Test func theRulesOfTheRouteHold() throws {
        var target = ableOllama
        target.rules.caps = [try ruleSetting("max_tokens", "8")]
        target.rules.defaults = [
            try ruleSetting("temperature", "0.5"), try ruleSetting("keep_alive", "60"),
            try ruleSetting("reasoning_effort", #""high""#),
        ]
        target.rules.sets = [
            try ruleSetting("options", #"{"num_ctx":4096}"#),
            try ruleSetting("tool_choice", #""required""#),
        ]
        target.rules.drops = ["top_k"]
        let body =
            #"{"messages":[{"role":"user"}],"options":{"num_predict":100,"top_k":3,"num_gpu":1}}"#
        let (json, request) = try written(.chat, body, for: target)
        let expected =
            #"{"model":"m","stream":true,"messages":[{"role":"user"}],"keep_alive":60,"think":"high","#
            + #""options":{"num_gpu":1,"temperature":0.5,"num_ctx":4096,"num_predict":8}}"#
        #expect(json == JSONValue(expected.utf8), "\(json)")
        #expect(request.ignored == ["tool_choice"])
    }

    @Test func aClientsOwnFieldsGoBeforeDefaults() throws {
        var target = ableOllama
        target.rules.defaults = [
            try ruleSetting("temperature", "0.5"), try ruleSetting("think", "true"),
            try ruleSetting("response_format", #"{"type":"json_object"}"#),
        ]
        let body =
            #"{"prompt":"a","raw":true,"think":false,"options":{"temperature":1,"stop":["x"]}}"#
        let (json, _) = try written(.generate, body, for: target)
        let expected =
            #"{"model":"m","stream":true,"prompt":"a","raw":true,"think":false,"format":"json","#
            + #""options":{"temperature":1,"stop":["x"]}}"#
        #expect(json == JSONValue(expected.utf8), "\(json)")
    }

    @Test func rulesOfChatsAreNoneOfEmbeddings() throws {
        var target = ableOllama
        target.rules.sets = [
            try ruleSetting("temperature", "0.5"), try ruleSetting("keep_alive", "60"),
        ]
        let (json, _) = try written(.embed, #"{"input":"a","truncate":false}"#, for: target)
        let expected = #"{"model":"m","input":"a","truncate":false,"keep_alive":60}"#
        #expect(json == JSONValue(expected.utf8), "\(json)")
    }
}
