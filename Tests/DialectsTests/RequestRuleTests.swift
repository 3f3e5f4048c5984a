// What a route's rules change, and the table of fields against what the writers do.

import Chat
import Dialects
import JSON
import Testing

@Suite struct RequestRuleTests {
    /// What is sent of `fields` under rules, without what every request gets.
    private func sent(
        _ fields: String, to kind: UpstreamKind = .llamaServer,
        _ change: (inout ParameterRules) throws -> Void
    ) throws -> JSONText {
        var route = requestTarget(kind)
        try change(&route.rules)
        return try written(chatBody(fields), for: route).json
    }

    @Test func defaultsGoToThoseWhoSaidNothing() throws {
        func temperature(_ fields: String) throws -> String? {
            try sent(fields) { $0.defaults = [try ruleSetting("temperature", "0.7")] }[
                "temperature"]?
                .description
        }
        #expect(try temperature("") == "0.7")
        #expect(try temperature(#""temperature":null"#) == "0.7")
        #expect(try temperature(#""temperature":0"#) == "0")
    }

    @Test func setsGoToEveryone() throws {
        let json = try sent(#""temperature": 1 ,"x":[ 1 ]"#) {
            $0.sets = [try ruleSetting("temperature", "0.7"), try ruleSetting("grammar", #""g""#)]
        }
        #expect(
            json.description
                == chatBody(#""temperature": 0.7 ,"x":[ 1 ],"grammar":"g""#).opened
                + OpenAIRequestTests.stream + "}")
    }

    @Test func capsBoundNumbersAndNothingElse() throws {
        func topP(_ value: String) throws -> String? {
            try sent(#""top_p":\#(value)"#) { $0.caps = [try ruleSetting("top_p", "0.5")] }[
                "top_p"]?
                .description
        }
        #expect(try topP("0.9") == "0.5")
        #expect(try topP("0.50") == "0.50")
        #expect(try topP("-1") == "-1")
        let absent = try sent("") { $0.caps = [try ruleSetting("top_p", "0.5")] }
        #expect(absent["top_p"] == nil)
    }

    @Test(arguments: [
        ("", 100), (#""max_tokens":-1"#, 100), (#""max_tokens":101"#, 100), (#""max_tokens":9"#, 9),
        (#""max_completion_tokens":500"#, 100), (#""max_completion_tokens":-1"#, 100),
        (#""max_tokens":500,"max_completion_tokens":50"#, 50), (#""n_predict":-1"#, 100),
        (#""max_tokens":null"#, 100),
    ])
    func aCapOnTokensHoldsHoweverTheLimitIsWritten(_ fields: String, _ limit: Int) throws {
        for kind in UpstreamKind.allCases {
            let json = try sent(fields, to: kind) {
                $0.caps = [try ruleSetting("max_tokens", "100")]
            }
            let names = ["max_tokens", "max_completion_tokens", "n_predict"]
            let limits =
                names.compactMap { json[$0]?.int }
                + [json["options"]?["num_predict"]?.int].compactMap(\.self)
            #expect(!limits.isEmpty, "\(kind)")
            #expect(limits.min() == limit, "\(kind)")
            #expect(limits.allSatisfy { (1...100).contains($0) }, "\(kind)")
        }
    }

    @Test func capsReachInsideOptions() throws {
        let json = try sent(#""options":{"num_predict":-1,"temperature":9}"#, to: .ollama) {
            $0.caps = [try ruleSetting("max_tokens", "100"), try ruleSetting("temperature", "1")]
        }
        #expect(json["options"]?["num_predict"]?.int == 100)
        #expect(json["options"]?["temperature"]?.int == 1)
    }

    @Test func rulesForTheSameThingUnderAnotherNameHold() throws {
        let limited = try sent(#""max_completion_tokens":7"#) {
            $0.defaults = [try ruleSetting("max_tokens", "100")]
        }
        #expect(limited["max_tokens"]?.int == 7)
        let set = try sent(#""max_completion_tokens":7"#) {
            $0.sets = [try ruleSetting("max_tokens", "100")]
        }
        #expect(set["max_tokens"]?.int == 100)
        #expect(set["max_completion_tokens"] == nil)
        var route = ableOllama
        route.rules.defaults = [try ruleSetting("think", "false")]
        let asked = try written(chatBody(#""reasoning_effort":"high""#), for: route)
        #expect(asked.json["think"]?.string == "high")
        #expect(asked.request.ignored == [])
        #expect(try written(chatBody(""), for: route).json["think"]?.bool == false)
    }

    @Test func dropsTakeFieldsOut() throws {
        let json = try sent(#""logit_bias":{"1":2}, "top_k":3,"max_completion_tokens":5"#) {
            $0.drops = ["logit_bias", "max_tokens"]
        }
        #expect(
            json.description
                == chatBody(#""top_k":3"#).opened + OpenAIRequestTests.stream + "}")
    }

    @Test func ollamasOptionsMayBeRules() throws {
        let json = try sent(#""temperature":1"#, to: .ollama) {
            $0.defaults = [
                try ruleSetting("num_ctx", "8192"), try ruleSetting("keep_alive", #""1h""#),
                try ruleSetting("options", #"{"made_up":1,"temperature":0}"#),
            ]
        }
        #expect(json["options"]?.description == #"{"temperature":1,"num_ctx":8192,"made_up":1}"#)
        #expect(json["keep_alive"]?.string == "1h")
    }

    @Test func theProxysOwnFieldsCannotBeRuled() throws {
        for kind in UpstreamKind.allCases {
            let plain = try sent("", to: kind) { _ in }
            let ruled = try sent("", to: kind) { rules in
                for name in ["model", "messages", "stream", "stream_options"] {
                    rules.sets.append(try ruleSetting(name, "5"))
                    rules.drops.append(name)
                }
            }
            #expect(ruled.description == plain.description)
        }
    }
}

@Suite struct RequestFieldTableTests {
    /// A value for each field that a backend without it would have to ignore or refuse.
    static let samples: [String: String] = [
        "audio": #"{"voice":"x"}"#, "frequency_penalty": "1", "function_call": #""auto""#,
        "functions": "[{}]", "logit_bias": #"{"1":2}"#, "logprobs": "true",
        "max_completion_tokens": "5", "max_tokens": "5", "metadata": #"{"a":"b"}"#,
        "modalities": #"["audio"]"#, "moderation": #"{"a":1}"#, "n": "2",
        "parallel_tool_calls": "false", "prediction": #"{"type":"content"}"#,
        "presence_penalty": "1", "prompt_cache_key": #""k""#, "prompt_cache_options": #"{"a":1}"#,
        "prompt_cache_retention": #""24h""#, "reasoning_effort": #""low""#,
        "response_format": #"{"type":"json_object"}"#, "safety_identifier": #""s""#, "seed": "7",
        "service_tier": #""flex""#, "stop": #""s""#, "store": "true", "stream": "true",
        "stream_options": #"{"include_usage":true}"#, "temperature": "1",
        "tool_choice": #""auto""#, "tools": #"[{"type":"function","function":{"name":"f"}}]"#,
        "top_logprobs": "2", "top_p": "1", "user": #""u""#, "verbosity": #""low""#,
        "web_search_options": #"{"a":1}"#, "messages": #"[{"role":"user"}]"#, "model": #""m""#,
    ]

    @Test func theTableHasEveryKnownFieldOnce() {
        #expect(FieldRule.table.map(\.name) == ChatRequest.knownFields)
    }

    @Test(arguments: UpstreamKind.allCases)
    func theTableSaysWhatTheWritersDo(_ kind: UpstreamKind) throws {
        var route = ableOllama
        route.kind = kind
        for rule in FieldRule.table {
            let value = try #require(Self.samples[rule.name])
            let more = rule.name == "top_logprobs" ? #","logprobs":true"# : ""
            let body = chatBody(#""\#(rule.name)":\#(value)\#(more)"#)
            let handling = rule.handling(for: kind)
            guard handling != .refused else {
                #expect(writeRefusal(body, for: route)?.param == rule.name)
                continue
            }
            let sent = try written(body, for: route)
            #expect(
                sent.request.ignored == (handling == .ignored ? [rule.name] : []), "\(rule.name)")
            if handling == .honoured || kind != .ollama {
                #expect(sent.json[rule.name]?.isNull == false, "\(rule.name)")
            }
            if handling == .ignored, kind == .ollama {
                #expect(sent.json[rule.name] == nil, "\(rule.name)")
            }
        }
    }
}
