// What Ollama is sent on its native API.

import Chat
import Dialects
import JSON
import Testing

@Suite struct OllamaRequestTests {
    /// `{"model":"m","stream":true,"messages":[…],MIDDLE"truncate":false,"shift":false END}`
    private func native(_ middle: String = "", _ end: String = "") -> String {
        #"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]"# + middle
            + #","truncate":false,"shift":false"# + end + "}"
    }

    @Test func aPlainRequestSaysNothingTheClientDidNotSay() throws {
        let sent = try written(chatBody(""), for: requestTarget(.ollama))
        #expect(sent.text == native())
        #expect(sent.request.path == "/api/chat")
        #expect(sent.request.ignored == [])
        #expect(try written(chatBody(#""stream":false"#), for: ableOllama).text == native())
    }

    @Test func theModelIsTheRoutes() throws {
        var route = requestTarget(.ollama)
        route.upstreamModel = "llama3:\"8b\""
        #expect(try written(chatBody(""), for: route).json["model"]?.string == "llama3:\"8b\"")
    }

    /// Fields, what stands for them in `options`, and what is reported.
    @Test(arguments: [
        (#""temperature":0.70,"top_p":1,"seed":-7"#, #""temperature":0.70,"top_p":1,"seed":-7"#),
        (
            #""presence_penalty":1e-1,"frequency_penalty":0"#,
            #""presence_penalty":1e-1,"frequency_penalty":0"#
        ),
        (
            #""top_k":40,"min_p":0.1,"repeat_penalty":1.1"#,
            #""top_k":40,"min_p":0.1,"repeat_penalty":1.1"#
        ),
        (#""num_ctx":8192"#, #""num_ctx":8192"#),
        (#""max_tokens":5"#, #""num_predict":5"#),
        (#""max_completion_tokens":5"#, #""num_predict":5"#),
        (#""max_tokens":9,"max_completion_tokens":5"#, #""num_predict":5"#),
        (#""max_tokens":2.0"#, #""num_predict":2"#),
        (#""stop":"a\"b""#, #""stop":["a\"b"]"#),
        (#""stop":["a", "b"]"#, #""stop":["a", "b"]"#),
        (
            #""options":{"temperature":0.5,"num_predict":7,"made_up":[1]}"#,
            #""temperature":0.5,"made_up":[1],"num_predict":7"#
        ),
        (#""options":{"seed":1,"top_k":2,"seed":3},"top_k":4"#, #""seed":3,"top_k":4"#),
        (
            #""options":{"num_predict":9,"stop":["x"]},"max_tokens":4"#,
            #""num_predict":4,"stop":["x"]"#
        ),
    ])
    func samplingGoesIntoOptions(_ fields: String, _ options: String) throws {
        let sent = try written(chatBody(fields), for: requestTarget(.ollama))
        #expect(sent.text == native("", #","options":{\#(options)}"#))
        #expect(sent.request.ignored == [])
    }

    @Test(arguments: [
        #""temperature":null,"max_tokens":null,"stop":null"#, #""max_tokens":-1"#,
        #""max_completion_tokens":-1"#, #""stop":[]"#, #""stop":"""#, #""options":{}"#,
        #""options":{"num_predict":-1,"seed":null}"#,
    ])
    func whatSaysNothingIsLeftOut(_ fields: String) throws {
        #expect(try written(chatBody(fields), for: requestTarget(.ollama)).text == native())
    }

    @Test(arguments: ["0", "-2", "1.5", "\"7\""])
    func aLimitThatRunsWithoutEndIsRefusedEverywhere(_ limit: String) {
        for (fields, param) in [
            (#""options":{"num_predict":\#(limit)}"#, "options.num_predict"),
            (#""num_predict":\#(limit)"#, "num_predict"), (#""n_predict":\#(limit)"#, "n_predict"),
            (#""max_tokens":\#(limit)"#, "max_tokens"),
        ] {
            let fault = writeRefusal(chatBody(fields), for: requestTarget(.ollama))
            #expect(fault?.code == .invalidValue, "\(fields)")
            #expect(fault?.param == param)
        }
    }

    @Test(arguments: [
        (#"{"type":"text"}"#, ""),
        (#"{"type":"json_object"}"#, #","format":"json""#),
        (#"{"type":"json_object","schema":{"type": "array"}}"#, #","format":{"type": "array"}"#),
        (
            #"{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"a": 1}}}"#,
            #","format":{"a": 1}"#
        ),
    ])
    func formatsAreTranslated(_ format: String, _ expected: String) throws {
        let sent = try written(
            chatBody(#""response_format":\#(format)"#), for: requestTarget(.ollama))
        #expect(sent.text == native(expected))
    }

    @Test(arguments: [
        (#"{"type":"yaml"}"#, "response_format.type"),
        (#"{"type":"json_schema"}"#, "response_format.json_schema.schema"),
        (#"{"type":"json_schema","json_schema":{}}"#, "response_format.json_schema.schema"),
        (
            #"{"type":"json_schema","json_schema":{"schema":1}}"#,
            "response_format.json_schema.schema"
        ),
    ])
    func formatsThatCannotBeAreRefused(_ format: String, _ param: String) {
        let fault = writeRefusal(
            chatBody(#""response_format":\#(format)"#), for: requestTarget(.ollama))
        #expect(fault?.status == 400)
        #expect(fault?.param == param)
    }

    @Test(arguments: [
        ("none", "false"), ("minimal", #""low""#), ("low", #""low""#), ("medium", #""medium""#),
        ("high", #""high""#), ("max", #""max""#), ("xhigh", #""max""#), ("ultra", #""max""#),
    ])
    func effortBecomesThinkingWhereTheModelCan(_ effort: String, _ think: String) throws {
        let body = chatBody(#""reasoning_effort":"\#(effort)""#)
        #expect(try written(body, for: ableOllama).text == native(#","think":\#(think)"#))

        var plain = ableOllama
        plain.ollama.thinking = false
        for target in [plain, requestTarget(.ollama)] {
            let sent = try written(body, for: target)
            // Switching thoughts off is always taken.
            #expect(sent.text == (effort == "none" ? native(#","think":false"#) : native()))
            #expect(sent.request.ignored == (effort == "none" ? [] : ["reasoning_effort"]))
        }
    }

    @Test(arguments: [("true", "true"), ("false", "false"), (#""high""#, #""high""#)])
    func thinkIsTakenAsItIs(_ value: String, _ sent: String) throws {
        let body = chatBody(#""think":\#(value),"reasoning_effort":"low""#)
        let request = try written(body, for: ableOllama)
        #expect(request.text == native(#","think":\#(sent)"#))
        #expect(request.request.ignored == ["reasoning_effort"])
        #expect(
            try written(chatBody(#""think":\#(value)"#), for: requestTarget(.ollama)).request
                .ignored
                == (value == "false" ? [] : ["think"]))
    }

    @Test func thoughtsThatCannotBeAreRefused() {
        for (field, value) in [
            ("think", "5"), ("think", #""extreme""#), ("reasoning_effort", #""extreme""#),
        ] {
            let fault = writeRefusal(chatBody(#""\#(field)":\#(value)"#), for: ableOllama)
            #expect(fault?.param == field)
            #expect(fault?.code == .invalidValue)
        }
    }

    @Test func extensionsStandAtTheTop() throws {
        let sent = try written(
            chatBody(#""keep_alive":"10m","truncate":true"#), for: requestTarget(.ollama))
        #expect(
            sent.text
                == #"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}],"#
                + #""keep_alive":"10m","truncate":true,"shift":false}"#)
        #expect(sent.request.ignored == [])
    }

    @Test func anOldServerIsNotToldWhatItDoesNotKnow() throws {
        var old = ableOllama
        old.ollama.supportsTruncate = false
        old.ollama.supportsLogprobs = false
        let sent = try written(chatBody(#""logprobs":true,"top_logprobs":2"#), for: old)
        #expect(
            sent.text == #"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#
        )
        #expect(sent.request.ignored == ["logprobs", "top_logprobs"])
    }

    @Test func logprobsAreAskedFor() throws {
        #expect(
            try written(chatBody(#""logprobs":true,"top_logprobs":20"#), for: ableOllama).text
                == native(#","logprobs":true,"top_logprobs":20"#))
        #expect(
            try written(chatBody(#""logprobs":false,"top_logprobs":0"#), for: ableOllama).text
                == native())
        for fields in [#""top_logprobs":2"#, #""logprobs":true,"top_logprobs":21"#] {
            let fault = writeRefusal(chatBody(fields), for: ableOllama)
            #expect(fault?.param == "top_logprobs")
        }
    }

    @Test func whatWouldChangeTheMeaningIsRefused() {
        for (fields, param) in [
            (#""n":2"#, "n"), (#""modalities":["text","audio"]"#, "modalities"),
        ] {
            let fault = writeRefusal(chatBody(fields), for: ableOllama)
            #expect(fault?.code == .unsupportedParameter)
            #expect(fault?.status == 400)
            #expect(fault?.param == param)
        }
        #expect(writeRefusal(chatBody(#""n":1,"modalities":["text"]"#), for: ableOllama) == nil)
    }

    @Test func whatCannotBeHonouredIsNamed() throws {
        let sent = try written(
            chatBody(
                #""logit_bias":{"1":2},"user":"u","store":false,"parallel_tool_calls":false,"#
                    + #""cache_prompt":true,"grammar":"x","metadata":{},"service_tier":"auto","#
                    + #""evil\r\nname: x":1,"":2,"options":{"keep_alive":1}"#), for: ableOllama)
        #expect(
            sent.request.ignored == [
                "logit_bias", "user", "parallel_tool_calls", "cache_prompt", "grammar", "other",
            ])
        // Ollama logs options it does not know; what the client put there goes there.
        #expect(sent.text == native("", #","options":{"keep_alive":1}"#))
    }

    @Test func theReportHasAnEnd() throws {
        let fields = (0..<100).map { #""f\#($0)":1"# }.joined(separator: ",")
        #expect(try written(chatBody(fields), for: ableOllama).request.ignored.count == 32)
    }
}

@Suite struct OllamaRequestToolTests {
    @Test func toolsGoAsTheyAre() throws {
        let sent = try written(chatBody(threeTools), for: ableOllama)
        #expect(sent.json["tools"]?.elements.count == 3)
        #expect(sent.text.contains(#"{"name":"g","parameters":{ }}"#))
        #expect(sent.request.ignored == [])
    }

    @Test func noneDropsThemAll() throws {
        let sent = try written(chatBody(threeTools + #","tool_choice":"none""#), for: ableOllama)
        #expect(sent.json["tools"] == nil)
        #expect(sent.request.ignored == [])
    }

    @Test(arguments: [
        (#""required""#, ["f", "g", "h"]), (#"{"type":"function","function":{"name":"g"}}"#, ["g"]),
    ])
    func aCallCannotBeForcedAndThatIsReported(_ choice: String, _ names: [String]) throws {
        let body = chatBody(threeTools + #","tool_choice":\#(choice)"#)
        let sent = try written(body, for: ableOllama)
        #expect(sent.json["tools"]?.elements.map { $0["function"]?["name"]?.string } == names)
        #expect(sent.request.ignored == ["tool_choice"])
    }

    @Test func aModelWithoutToolsRefusesThem() {
        var plain = ableOllama
        plain.ollama.tools = false
        #expect(writeRefusal(chatBody(threeTools), for: plain)?.param == "tools")
        #expect(writeRefusal(chatBody(threeTools + #","tool_choice":"none""#), for: plain) == nil)
        #expect(writeRefusal(chatBody(#""tools":[]"#), for: plain) == nil)
        // Unknown is not unable.
        #expect(writeRefusal(chatBody(threeTools), for: requestTarget(.ollama)) == nil)
    }

    @Test func otherKindsOfToolsAreRefused() {
        let fault = writeRefusal(chatBody(#""tools":[{"type":"web_search"}]"#), for: ableOllama)
        #expect(fault?.code == .unsupportedParameter)
        #expect(fault?.param == "tools")
    }

    @Test func logprobsYieldToToolsWhereTheEngineRefusesThePair() throws {
        let body = chatBody(threeTools + #","logprobs":true,"top_logprobs":1"#)
        #expect(try written(body, for: ableOllama).json["logprobs"]?.bool == true)
        var jinja = ableOllama
        jinja.ollama.takesLogprobsWithTools = false
        let sent = try written(body, for: jinja)
        #expect(sent.json["logprobs"] == nil)
        #expect(sent.json["tools"] != nil)
        #expect(sent.request.ignored == ["logprobs", "top_logprobs"])
        let without = try written(chatBody(#""logprobs":true"#), for: jinja)
        #expect(without.json["logprobs"]?.bool == true)
    }

    @Test func strictSchemasAreReported() throws {
        let tools = #""tools":[{"type":"function","function":{"name":"f","strict":true}}]"#
        #expect(try written(chatBody(tools), for: ableOllama).request.ignored == ["tools.strict"])
    }
}
