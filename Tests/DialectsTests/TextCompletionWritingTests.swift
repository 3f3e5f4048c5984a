// What each kind of backend is sent for a completion request.

import Chat
import Dialects
import JSON
import TestSupport
import Testing

private func sent(
    _ fields: String, prompt: String = #""hi""#, for target: RequestTarget
) throws -> (text: String, json: JSONText, request: UpstreamRequest) {
    let more = fields.isEmpty ? "" : "," + fields
    let body = Array(#"{"model":"m","prompt":\#(prompt)\#(more)}"#.utf8)
    let request = try makeUpstreamRequest(TextCompletionRequest(reading: body), for: target)
    let bytes = request.bytes(client: body)
    return (String(decoding: bytes, as: UTF8.self), try JSONText(bytes), request)
}

private func fault(
    _ fields: String, prompt: String = #""hi""#, for target: RequestTarget
) -> APIError? {
    do {
        _ = try sent(fields, prompt: prompt, for: target)
        return nil
    } catch { return error as? APIError }
}

@Suite struct OpenAICompletionRequestTests {
    @Test(arguments: [UpstreamKind.llamaServer, .openAI])
    func theClientsBytesGoOnButForTheDelivery(_ kind: UpstreamKind) throws {
        let result = try sent(
            #""max_tokens" : 5, "grammar":"x","cache_prompt":false"#, for: requestTarget(kind))
        #expect(result.request.path == "/v1/completions")
        #expect(
            result.text
                == #"{"model":"m","prompt":"hi","max_tokens" : 5, "grammar":"x","cache_prompt":false,"#
                + #""stream":true,"stream_options":{"include_usage":true}}"#)
        #expect(result.request.ignored == [])
    }

    @Test(arguments: [#"["a", "b"]"#, "[1,2]", "[[1],[2, 3]]"])
    func promptsOfEveryKindGoAsTheyAre(_ prompt: String) throws {
        let result = try sent("", prompt: prompt, for: requestTarget(.llamaServer))
        #expect(result.json["prompt"]?.description == prompt)
    }

    @Test func theModelIsTheRoutesAndDuplicatesGoOnce() throws {
        var target = requestTarget(.llamaServer)
        target.upstreamModel = "a/b"
        let result = try sent(
            #""stream":false,"stream":true,"stream_options":{"include_usage":false},"model":"x""#,
            for: target)
        #expect(
            result.text
                == #"{"prompt":"hi","stream":true,"stream_options":{"include_usage":true},"model":"a/b"}"#
        )
    }

    @Test func rulesOfTheRouteApply() throws {
        var target = requestTarget(.llamaServer)
        target.rules.defaults = [try ruleSetting("temperature", "0.5")]
        target.rules.sets = [try ruleSetting("prompt", #""other""#)]
        target.rules.caps = [try ruleSetting("max_tokens", "8")]
        target.rules.drops = ["user", "prompt"]
        let result = try sent(#""user":"u","max_tokens":9"#, for: target)
        #expect(result.json["prompt"]?.string == "hi", "no rule reaches the prompt")
        #expect(result.json["max_tokens"]?.int == 8)
        #expect(result.json["temperature"]?.double == 0.5)
        #expect(result.json["user"] == nil)
        let unlimited = try sent("", for: target)
        #expect(unlimited.json["max_tokens"]?.int == 8)
    }

    @Test func logprobsOfNoAlternativesAreAskedForSoThatLlamaServerGivesThem() throws {
        let result = try sent(#""logprobs":0"#, for: requestTarget(.llamaServer))
        #expect(result.json["logprobs"]?.int == 1)
        #expect(
            try sent(#""logprobs":0"#, for: requestTarget(.openAI)).json["logprobs"]?.int == 0)
        #expect(
            try sent(#""logprobs":3"#, for: requestTarget(.llamaServer)).json["logprobs"]?.int
                == 3)
    }

    @Test func noLimitIsAWordOfLlamaServers() throws {
        let body = #""max_tokens":-1"#
        let llama = try sent(body, for: requestTarget(.llamaServer))
        #expect(llama.json["max_tokens"]?.int == -1)
        #expect(try sent(body, for: requestTarget(.openAI)).json["max_tokens"] == nil)
    }

    @Test(arguments: [("echo", "true"), ("suffix", #"" end""#)])
    func whatLlamaServerPassesOverIsRefusedWhereItMatters(_ field: String, _ value: String) throws {
        let fields = #""\#(field)":\#(value)"#
        let error = fault(fields, for: requestTarget(.llamaServer))
        #expect(error?.code == .unsupportedParameter)
        #expect(error?.param == field)
        #expect(fault(fields, for: requestTarget(.openAI)) == nil)
        #expect(
            fault(#""echo":false,"suffix":"","n":2"#, for: requestTarget(.llamaServer)) == nil)
    }

    @Test func llamaServersOwnFormsOfAPromptAreForItAlone() throws {
        for prompt in [#"["a", 1]"#, #"["a",[1]]"#, #"{"prompt_string":"a"}"#] {
            #expect(
                try sent("", prompt: prompt, for: requestTarget(.llamaServer)).text
                    .contains(#""prompt":\#(prompt)"#))
            let error = fault("", prompt: prompt, for: requestTarget(.openAI))
            #expect(error?.code == .unsupportedParameter && error?.param == "prompt")
        }
    }

    @Test func whatIsPassedOverIsNamed() throws {
        let result = try sent(#""best_of":3,"user":"u","n":1"#, for: requestTarget(.llamaServer))
        #expect(result.request.ignored == ["best_of", "user"])
        #expect(result.json["best_of"]?.int == 3, "a newer build may know it")
        for harmless in [#""best_of":1"#, #""best_of":3,"n":3"#, #""user":"""#] {
            let result = try sent(harmless, for: requestTarget(.llamaServer))
            #expect(result.request.ignored == [])
        }
        #expect(try sent(#""best_of":3"#, for: requestTarget(.openAI)).request.ignored == [])
    }
}

@Suite struct OllamaCompletionRequestTests {
    private func native(
        _ prompt: String = #""hi""#, suffix: String = #","raw":true"#, _ end: String = ""
    ) -> String {
        #"{"model":"m","stream":true,"prompt":\#(prompt)\#(suffix),"think":false"#
            + #","truncate":false,"shift":false\#(end)}"#
    }

    @Test func aPromptGoesRaw() throws {
        let result = try sent("", for: requestTarget(.ollama))
        #expect(result.request.path == "/api/generate")
        #expect(result.text == native())
        #expect(result.request.ignored == [])
        #expect(
            try sent("", prompt: #"["a\"b"]"#, for: requestTarget(.ollama)).text
                == native(#""a\"b""#))
    }

    @Test func aSuffixNeedsTheModelsTemplate() throws {
        let result = try sent(#""suffix":" end""#, for: requestTarget(.ollama))
        #expect(result.text == native(suffix: #","suffix":" end","raw":false"#))
        var plain = ableOllama
        #expect(fault(#""suffix":" end""#, for: plain)?.param == "suffix")
        plain.ollama.insert = true
        #expect(fault(#""suffix":" end""#, for: plain) == nil)
        #expect(fault(#""suffix":"x","raw":true"#, for: plain)?.param == "suffix")
    }

    @Test func theTemplateCanBeAskedFor() throws {
        let result = try sent(#""raw":false"#, for: requestTarget(.ollama))
        #expect(result.text == native(suffix: #","raw":false"#))
        var target = requestTarget(.ollama)
        target.rules.sets = [try ruleSetting("raw", "false")]
        #expect(try sent("", for: target).text == native(suffix: #","raw":false"#))
        #expect(fault(#""raw":1"#, for: target) == nil, "the route's rule stands")
        #expect(fault(#""raw":1"#, for: requestTarget(.ollama))?.param == "raw")
    }

    @Test(arguments: [
        (#""temperature":0.5,"seed":1"#, #""temperature":0.5,"seed":1"#),
        (#""max_tokens":5"#, #""num_predict":5"#), (#""stop":"x""#, #""stop":["x"]"#),
        (#""options":{"top_k":3}"#, #""top_k":3"#),
    ])
    func samplingGoesIntoOptions(_ fields: String, _ options: String) throws {
        let result = try sent(fields, for: requestTarget(.ollama))
        #expect(result.text == native(suffix: #","raw":true"#, #","options":{\#(options)}"#))
        #expect(result.request.ignored == [])
    }

    @Test func logprobsAreAFlagAndANumber() throws {
        let result = try sent(#""logprobs":2"#, for: requestTarget(.ollama))
        #expect(result.json["logprobs"]?.bool == true)
        #expect(result.json["top_logprobs"]?.int == 2)
        let none = try sent(#""logprobs":0"#, for: requestTarget(.ollama))
        #expect(none.json["logprobs"]?.bool == true && none.json["top_logprobs"] == nil)
        #expect(fault(#""logprobs":21"#, for: requestTarget(.ollama))?.param == "logprobs")
        var old = requestTarget(.ollama)
        old.ollama.supportsLogprobs = false
        #expect(try sent(#""logprobs":2"#, for: old).request.ignored == ["logprobs"])
    }

    @Test func whatCannotBeHonouredIsRefusedWhereItMatters() {
        for (fields, prompt, param) in [
            (#""n":2"#, #""hi""#, "n"), (#""echo":true"#, #""hi""#, "echo"),
            ("", #"["a","b"]"#, "prompt"), ("", "[1,2]", "prompt"), ("", "[[1]]", "prompt"),
            ("", #"["a",1]"#, "prompt"), ("", #"{"prompt_string":"a"}"#, "prompt"),
        ] {
            let error = fault(fields, prompt: prompt, for: requestTarget(.ollama))
            #expect(error?.code == .unsupportedParameter, "\(fields) \(prompt)")
            #expect(error?.param == param)
        }
        let empty = fault("", prompt: #""""#, for: requestTarget(.ollama))
        #expect(empty?.code == .invalidValue && empty?.param == "prompt")
    }

    @Test func whatIsPassedOverIsNamed() throws {
        let result = try sent(
            #""best_of":2,"user":"u","logit_bias":{"1":1},"echo":false,"n":1,"think":true,"x":1"#,
            for: requestTarget(.ollama))
        #expect(result.request.ignored == ["best_of", "user", "logit_bias", "think", "x"])
        #expect(
            try sent(#""think":false,"keep_alive":"5m""#, for: requestTarget(.ollama)).request
                .ignored == [])
    }

    @Test func limitsThatRunWithoutEndAreRefused() {
        let error = fault(#""options":{"num_predict":0}"#, for: requestTarget(.ollama))
        #expect(error?.param == "options.num_predict")
    }
}
