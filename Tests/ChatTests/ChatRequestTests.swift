// What a chat request must be, what it may be, and what is read out of it.

import Chat
import JSON
import Testing

@Suite struct ChatRequestTests {
    @Test func whatTheSessionNeedsIsRead() throws {
        let request = try readChat(
            #"""
            {"model":"m","messages":[{"role":"developer","content":"x"},{"role":"user","content":"y"}],
             "stream":true,"stream_options":{"include_usage":true},"n":3,"logprobs":true,
             "max_tokens":9,"max_completion_tokens":7,"service_tier":"flex",
             "tools":[{"type":"function","function":{"name":"f"}}]}
            """#)
        #expect(request.model == "m")
        #expect(request.isStream)
        #expect(request.includesUsage)
        #expect(request.choiceCount == 3)
        #expect(request.wantsLogprobs)
        #expect(request.hasTools)
        #expect(request.tokenLimit == 7)
        #expect(request.serviceTier == "flex")
        #expect(request.messageRanges.count == 2)
        #expect(request.developerRoles.map { text(request, $0) } == [#""developer""#])
        #expect(request.messageRanges.map { text(request, $0) }.last?.hasSuffix(#""y"}"#) == true)
    }

    @Test func whatIsLeftOutHasOpenAIsDefaults() throws {
        let request = try readChat(#"{"messages":[{"role":"user","content":"hi"}]}"#)
        #expect(request.model == nil)
        #expect(!request.isStream)
        #expect(!request.includesUsage)
        #expect(request.choiceCount == 1)
        #expect(!request.wantsLogprobs)
        #expect(!request.hasTools)
        #expect(request.tokenLimit == nil)
        #expect(!request.hasImages)
    }

    @Test func nullMeansAbsentForEveryKnownField() throws {
        for name in ChatRequest.knownFields where name != "messages" {
            let request = try readChat(with: name, "null")
            #expect(request[name] == nil, "\(name)")
        }
    }

    /// What real clients send and must not be refused for.
    @Test(arguments: [
        #"{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#,
        #"{"role":"assistant","content":null,"refusal":null,"audio":null,"function_call":null,"tool_calls":null,"name":null}"#,
        #"{"role":"tool","tool_call_id":"a","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}"#,
        #"{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}"#,
        #"{"role":"user","content":[{"type":"image_url","image_url":"data:image/png;base64,AA=="}]}"#,
        #"{"role":"user","content":[{"type":"something_new","x":1}]}"#,
        #"{"role":"user","content":[]}"#,
        #"{"role":"narrator","content":"x","whatever":[{}]}"#,
        #"{"role":"assistant","tool_calls":[{"type":"custom","custom":{"name":"x","input":"y"}}]}"#,
        #"{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]}"#,
        #"{"r\u006fle":"user","content":"x"}"#,
    ])
    func messagesOfRealClientsPass(_ message: String) throws {
        let request = try readChat(#"{"messages":["# + message + "]}")
        #expect(request.messageRanges.count == 1)
    }

    @Test func unknownFieldsAreNoError() throws {
        let request = try readChat(with: "frobnicate", #"{"a":[1,2]}"#)
        #expect(request["frobnicate"]?.kind == .object)
    }

    @Test func partsAreNoticed() throws {
        let image = #"{"type":"image_url","image_url":{"url":"x"}}"#
        let sound = #"{"type":"input_audio","input_audio":{"data":"","format":"wav"}}"#
        func request(_ part: String) throws -> ChatRequest {
            try readChat(#"{"messages":[{"role":"user","content":[\#(part)]}]}"#)
        }
        #expect(try request(image).hasImages)
        #expect(try !request(image).hasAudio)
        #expect(try request(sound).hasAudio)
    }

    @Test func ofDuplicateKeysTheLastOneCounts() throws {
        let request = try readChat(
            #"{"model":"a","messages":[],"n":"x","messages":[{"role":5,"role":"user"}],"model":"b","n":2}"#
        )
        #expect(request.model == "b")
        #expect(request.choiceCount == 2)
        #expect(request.messageRanges.count == 1)
        #expect(
            request.names.indices.map(request.isLast) == [false, false, false, true, true, true])
        #expect(readRefusal(#"{"messages":[{"role":"user"}],"messages":[]}"#)?.param == "messages")
        #expect(
            readRefusal(#"{"messages":[{"role":"user"}],"messages":null}"#)?.code == .missingField)
    }

    @Test func toolChoiceNoneMeansNoTools() throws {
        let tools = #""tools":[{"type":"function","function":{"name":"f"}}]"#
        let message = #""messages":[{"role":"user","content":"x"}]"#
        #expect(try !readChat("{\(message),\(tools),\"tool_choice\":\"none\"}").hasTools)
        #expect(try !readChat("{\(message),\"tools\":[]}").hasTools)
    }

    @Test func aBodyOfCountlessFieldsIsRefused() throws {
        func body(_ count: Int) -> String {
            let fields = (1..<count).map { "\"a\($0)\":0" }.joined(separator: ",")
            return #"{"messages":[{"role":"user","content":"x"}],"# + fields + "}"
        }
        #expect(try readChat(body(ChatRequest.fieldLimit)).names.count == ChatRequest.fieldLimit)
        #expect(readRefusal(body(ChatRequest.fieldLimit + 1))?.code == .invalidValue)
    }

    @Test func depthIsLimited() throws {
        func body(_ levels: Int) -> String {
            let value =
                String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
            return #"{"messages":[{"role":"user"}],"x":"# + value + "}"
        }
        _ = try readChat(body(127))
        #expect(readRefusal(body(128))?.code == .invalidJSON)
    }
}

func readChat(_ body: String) throws(APIError) -> ChatRequest {
    try ChatRequest(reading: Array(body.utf8))
}

func readChat(with name: String, _ value: String) throws(APIError) -> ChatRequest {
    try readChat(#"{"messages":[{"role":"user","content":"x"}],"\#(name)":\#(value)}"#)
}

func readRefusal(_ body: String) -> APIError? {
    do {
        _ = try readChat(body)
        return nil
    } catch {
        return error
    }
}

private func text(_ request: ChatRequest, _ range: Range<Int>) -> String {
    String(decoding: request.json.source[range], as: UTF8.self)
}
