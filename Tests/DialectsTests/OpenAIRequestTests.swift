// What llama-server and its kind are sent: the client's bytes, but for a closed list of changes.

import Chat
import Dialects
import JSON
import Testing

@Suite struct OpenAIRequestTests {
    /// What every request gets at its end when the client asked for no stream.
    static let stream = #","stream":true,"stream_options":{"include_usage":true}"#

    @Test func aRequestThatNeedsNoChangeIsSentAsItLies() throws {
        let body = """
             { "messages" : [ {"role":"user","content":"caf\\u00e9 \u{2028}"} ],\t"model":"m",
            "stream_options": {"include_usage" :true,"x":1} , "stream":true, "cache_prompt":false,
            "grammar":"root ::= \\"a\\"", "top_k":4e1,"chat_template_kwargs":{"a":[1.50]}, "stop":null }\n
            """
        for kind in [UpstreamKind.llamaServer, .openAI] {
            let sent = try written(body, for: requestTarget(kind))
            #expect(sent.text == body)
            #expect(sent.request.path == "/v1/chat/completions")
            #expect(sent.request.ignored == [])
            #expect(sent.request.contentLength == body.utf8.count)
        }
    }

    /// Bodies, and what is sent of them, where nothing but the top level changes.
    static let changes: [(String, String)] = [
        // A stream with its usage is always asked for.
        (chatBody(""), chatBody("").opened + stream + "}"),
        (
            chatBody(#""stream" : false"#),
            chatBody(#""stream" : true,"stream_options":{"include_usage":true}"#)
        ),
        (
            chatBody(#""stream":true,"stream_options":{"include_usage":false, "x":1}"#),
            chatBody(#""stream":true,"stream_options":{"include_usage":true, "x":1}"#)
        ),
        (
            chatBody(#""stream":true,"stream_options":{ "x":1}"#),
            chatBody(#""stream":true,"stream_options":{"include_usage":true, "x":1}"#)
        ),
        (
            chatBody(#""stream":true,"stream_options":{}"#),
            chatBody(#""stream":true,"stream_options":{"include_usage":true}"#)
        ),
        (
            chatBody(#""stream":null,"stream_options":null"#),
            chatBody(#""stream":true,"stream_options":{"include_usage":true}"#)
        ),
        (
            chatBody(#""stream_options":{"include_usage":null},"stream":true"#),
            chatBody(#""stream_options":{"include_usage":true},"stream":true"#)
        ),
        // Of duplicate keys only the last one is sent.
        (
            #"{"model":"x","n":1, "model":"m","messages":[{"role":"user"}] ,"n":2}"#,
            #"{"model":"m","messages":[{"role":"user"}] ,"n":2"# + stream + "}"
        ),
        (
            #"{ "messages":[{"role":"user"}],"model":"m" ,"stream":false,"a":1,"a":2,"stream":true}"#,
            #"{ "messages":[{"role":"user"}],"model":"m","a":2,"stream":true,"#
                + #""stream_options":{"include_usage":true}}"#
        ),
        (
            #"{"mod\u0065l":"x","model":"m","messages":[{"role":"user"}]}"#,
            #"{"model":"m","messages":[{"role":"user"}]"# + stream + "}"
        ),
    ]

    @Test(arguments: changes)
    func onlyTheTopLevelChanges(_ body: String, _ expected: String) throws {
        #expect(try written(body, for: requestTarget(.llamaServer)).text == expected)
        #expect(try written(body, for: requestTarget(.openAI)).text == expected)
    }

    @Test func theModelIsRewrittenWhereTheRouteSaysSo() throws {
        var route = requestTarget(.llamaServer)
        route.upstreamModel = "org/big \"q\""
        #expect(
            try written(chatBody(""), for: route).text
                == #"{"model":"org/big \"q\"","messages":[{"role":"user","content":"hi"}]"#
                + Self.stream + "}")
        let nameless = #"{"messages":[{"role":"user"}]}"#
        #expect(
            try written(nameless, for: route).text
                == #"{"messages":[{"role":"user"}],"model":"org/big \"q\"""# + Self.stream + "}")
    }

    @Test func emptyArgumentsBecomeAnEmptyObjectForLlamaServer() throws {
        func messages(_ role: String, _ arguments: String) -> String {
            #"{"role":"\#(role)","content":"x"},{"role":"assistant","tool_calls":["#
                + #"{"id":"a","type":"function","function":{"arguments": \#(arguments) ,"name":"f"}},"#
                + #"{"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}]},"#
                + #"{"role":"\#(role)","content":"\"arguments\":\"\""}"#
        }
        let body = chatBody(messages: messages("developer", #""""#))
        let sent = try written(body, for: requestTarget(.llamaServer)).text
        #expect(sent.contains(messages("system", #""{}""#)))
        let other = try written(body, for: requestTarget(.openAI)).text
        #expect(other.contains(messages("system", #""""#)))
    }

    @Test func developersBecomeSystemUnlessKept() throws {
        let body = chatBody(
            messages:
                #"{"role":"developer","content":"developer"}, {"content":"x", "role" : "developer"},"#
                + #"{"role":"developer","role":"user","content":"\"role\":\"developer\""}"#)
        let sent = try written(body, for: requestTarget(.openAI))
        #expect(
            sent.text
                == chatBody(
                    messages:
                        #"{"role":"system","content":"developer"}, {"content":"x", "role" : "system"},"#
                        + #"{"role":"developer","role":"user","content":"\"role\":\"developer\""}"#
                )
                .opened + Self.stream + "}")
        var keeping = requestTarget(.openAI)
        keeping.keepsDeveloperRole = true
        #expect(try written(body, for: keeping).text == body.opened + Self.stream + "}")
    }

    @Test func longTextIsNeverCopied() throws {
        let text = String(repeating: "long ", count: 20_000)
        let body =
            #"{"model":"x","messages":[{"role":"developer","content":"\#(text)"},"#
            + #"{"role":"user","content":"\#(text)"}],"temperature":1}"#
        let sent = try written(body, for: requestTarget(.llamaServer))
        var own = 0
        for case .bytes(let bytes) in sent.request.body { own += bytes.count }
        #expect(own < 300)
        #expect(sent.json["messages"]?.elements.count == 2)
    }

    @Test func manySmallChangesMakeFewPieces() throws {
        let message = #"{"role":"developer","content":"x"}"#
        let messages = Array(repeating: message, count: 500).joined(separator: ",")
        let sent = try written(chatBody(messages: messages), for: requestTarget(.llamaServer))
        #expect(sent.request.body.count == 1)
        #expect(!sent.text.contains("developer"))
    }
}

/// Token limits and tools.
@Suite struct OpenAIRequestFieldTests {
    @Test(arguments: [
        (#""max_completion_tokens":5"#, #""max_completion_tokens":5"#, ",\"max_tokens\":5"),
        (#""max_tokens":5"#, #""max_tokens":5"#, ""),
        (#""max_tokens":-1"#, #""max_tokens":-1"#, ""),
        (
            #""max_tokens":9,"max_completion_tokens":5"#,
            #""max_tokens":5,"max_completion_tokens":5"#, ""
        ),
        (
            #""max_tokens":5,"max_completion_tokens":-1"#,
            #""max_tokens":5,"max_completion_tokens":-1"#, ""
        ),
        (
            #""max_tokens":null,"max_completion_tokens":7"#,
            #""max_tokens":7,"max_completion_tokens":7"#, ""
        ),
    ])
    func llamaServerHearsTheLimitInItsOwnWord(
        _ fields: String, _ sent: String, _ appended: String
    ) throws {
        let expected = chatBody(sent).opened + OpenAIRequestTests.stream + appended + "}"
        #expect(try written(chatBody(fields), for: requestTarget(.llamaServer)).text == expected)
    }

    @Test func otherServersHearNothingOfLlamaServersWords() throws {
        let both = chatBody(#""max_completion_tokens":5,"max_tokens":-1"#)
        #expect(
            try written(both, for: requestTarget(.openAI)).text
                == chatBody(#""max_completion_tokens":5"#).opened + OpenAIRequestTests.stream + "}")
        let named = chatBody(threeTools + #","tool_choice":{"function":{"name":"g"}}"#)
        #expect(
            try written(named, for: requestTarget(.openAI)).text
                == named.opened + OpenAIRequestTests.stream + "}")
    }

    @Test func aNamedToolBecomesTheOnlyOneAndRequired() throws {
        let named = chatBody(
            threeTools + #","tool_choice":{"type":"function","function":{"name":"g"}}"#)
        #expect(
            try written(named, for: requestTarget(.llamaServer)).text
                == chatBody(
                    #""tools":[{"type":"function","function":{"name":"g","parameters":{ }}}],"#
                        + #""tool_choice":"required""#
                ).opened + OpenAIRequestTests.stream + "}")
    }

    @Test func allowedToolsAreTheOnlyOnes() throws {
        let allowed =
            #","tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":"#
            + #"[{"type":"function","function":{"name":"h"}},{"type":"function","function":{"name":"f"}}]}}"#
        let sent = try written(chatBody(threeTools + allowed), for: requestTarget(.llamaServer))
        #expect(
            sent.json["tools"]?.elements.map { $0["function"]?["name"]?.string } == ["f", "h"])
        #expect(sent.json["tool_choice"]?.string == "auto")
    }

    @Test(arguments: ["\"auto\"", "\"none\"", "\"required\"", "null"])
    func wordsGoThroughUntouched(_ choice: String) throws {
        let body = chatBody(threeTools + ",\"tool_choice\":\(choice)")
        #expect(
            try written(body, for: requestTarget(.llamaServer)).text
                == body.opened + OpenAIRequestTests.stream + "}")
    }

    @Test(arguments: [
        (#""banana""#, "tool_choice"), (#"{"type":"function"}"#, "tool_choice.function.name"),
        (#"{"type":"function","function":{"name":"x"}}"#, "tool_choice"),
    ])
    func choicesThatCannotBeMetAreRefused(_ choice: String, _ param: String) {
        for kind in [UpstreamKind.llamaServer, .ollama] {
            let fault = writeRefusal(
                chatBody(threeTools + ",\"tool_choice\":\(choice)"), for: requestTarget(kind))
            #expect(fault?.status == 400)
            #expect(fault?.param == param)
        }
    }

    @Test func whatLlamaServerPassesOverIsReportedButStillSent() throws {
        let body = chatBody(
            #""user":"u","store":true,"metadata":{},"verbosity":"medium","top_k":3"#)
        let sent = try written(body, for: requestTarget(.llamaServer))
        #expect(sent.request.ignored == ["user", "store"])
        #expect(sent.json["user"]?.string == "u")
        #expect(try written(body, for: requestTarget(.openAI)).request.ignored == [])
    }
}
