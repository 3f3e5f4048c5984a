// Requests that are refused before any upstream is asked, and which field the refusal names.

import Chat
import Testing

@Suite struct ChatRequestRefusalTests {
    @Test(arguments: [
        "", "{", "hello", #"{"messages":[{"role":"user"}]} x"#, #"{"messages":[{"role":"user"}],}"#,
        #"{'messages':[]}"#,
    ])
    func whatIsNotJSONIsRefused(_ body: String) {
        #expect(readRefusal(body)?.code == .invalidJSON)
        #expect(readRefusal(body)?.status == 400)
    }

    @Test func whatIsNotUTF8IsRefused() {
        var body = Array(#"{"messages":[{"role":"user","content":""#.utf8)
        body += [0x63, 0xC3] + Array(#""}]}"#.utf8)
        #expect(throws: APIError.self) { try ChatRequest(reading: body) }
    }

    @Test(arguments: ["[1,2]", "\"hi\"", "5", "null"])
    func whatIsNoObjectIsRefused(_ body: String) {
        #expect(readRefusal(body)?.code == .invalidValue)
    }

    /// Messages, and the field named.
    static let messages: [(String, ErrorCode, String)] = [
        ("{}", .missingField, "messages"),
        (#"{"messages":null}"#, .missingField, "messages"),
        (#"{"messages":"hi"}"#, .invalidValue, "messages"),
        (#"{"messages":[]}"#, .invalidValue, "messages"),
        (#"{"messages":[{"role":"user"},5]}"#, .invalidValue, "messages[1]"),
        (#"{"messages":[{"role":"user"},{"content":"x"}]}"#, .missingField, "messages[1].role"),
        (#"{"messages":[{"role":null}]}"#, .missingField, "messages[0].role"),
        (#"{"messages":[{"role":7}]}"#, .invalidValue, "messages[0].role"),
    ]

    @Test(arguments: messages)
    func wrongMessagesAreNamed(_ body: String, _ code: ErrorCode, _ param: String) {
        #expect(readRefusal(body)?.code == code)
        #expect(readRefusal(body)?.param == param)
    }

    /// What may stand behind the role of a message, wrongly, and where the fault is.
    static let fields: [(String, ErrorCode, String)] = [
        (#""content":5"#, .invalidValue, "content"),
        (#""content":{}"#, .invalidValue, "content"),
        (#""content":["x"]"#, .invalidValue, "content[0]"),
        (#""content":[{"type":"text","text":"a"},{"text":"x"}]"#, .missingField, "content[1].type"),
        (#""content":[{"type":5}]"#, .invalidValue, "content[0].type"),
        (#""content":[{"type":"text"}]"#, .missingField, "content[0].text"),
        (#""content":[{"type":"text","text":5}]"#, .invalidValue, "content[0].text"),
        (#""content":[{"type":"image_url"}]"#, .missingField, "content[0].image_url"),
        (#""content":[{"type":"image_url","image_url":5}]"#, .invalidValue, "content[0].image_url"),
        (
            #""content":[{"type":"image_url","image_url":{}}]"#, .missingField,
            "content[0].image_url.url"
        ),
        (
            #""content":[{"image_url":{"url":5},"type":"image_url"}]"#, .invalidValue,
            "content[0].image_url.url"
        ),
        (#""content":[{"type":"input_audio"}]"#, .missingField, "content[0].input_audio"),
        (#""name":5"#, .invalidValue, "name"),
        (#""tool_call_id":5"#, .invalidValue, "tool_call_id"),
        (#""refusal":[]"#, .invalidValue, "refusal"),
        (#""function_call":"x""#, .invalidValue, "function_call"),
        (#""tool_calls":{}"#, .invalidValue, "tool_calls"),
        (#""tool_calls":[5]"#, .invalidValue, "tool_calls[0]"),
        (#""tool_calls":[{}]"#, .missingField, "tool_calls[0].function"),
        (#""tool_calls":[{"function":5}]"#, .invalidValue, "tool_calls[0].function"),
        (#""tool_calls":[{"function":{}}]"#, .missingField, "tool_calls[0].function.name"),
        (
            #""tool_calls":[{"function":{"name":"f","arguments":5}}]"#, .invalidValue,
            "tool_calls[0].function.arguments"
        ),
        (#""tool_calls":[{"id":5,"function":{"name":"f"}}]"#, .invalidValue, "tool_calls[0].id"),
    ]

    @Test(arguments: fields)
    func wrongFieldsOfAMessageAreNamed(_ field: String, _ code: ErrorCode, _ param: String) {
        let fault = readRefusal(#"{"messages":[{"role":"user"},{"role":"user",\#(field)}]}"#)
        #expect(fault?.code == code)
        #expect(fault?.param == "messages[1].\(param)")
    }

    /// One value of a wrong type for every known field.
    static let wrongValues: [String: [String]] = [
        "audio": ["5"], "frequency_penalty": [#""x""#, "1e999"], "function_call": ["5"],
        "functions": ["{}"], "logit_bias": [#""x""#], "logprobs": [#""yes""#, "1"],
        "max_completion_tokens": [#""5""#, "0", "-2", "1.5", "1e30"],
        "max_tokens": [#""5""#, "0", "-2", "1.5", "[]"],
        "metadata": ["[]"], "modalities": [#""text""#], "model": ["5"], "moderation": ["true"],
        "n": ["0", "-1", "129", #""2""#, "1.5"], "parallel_tool_calls": ["0"],
        "prediction": [#""x""#], "presence_penalty": ["true"], "prompt_cache_key": ["5"],
        "prompt_cache_options": ["5"], "prompt_cache_retention": ["5"],
        "reasoning_effort": ["5"], "response_format": [#""json""#], "safety_identifier": ["5"],
        "seed": ["1.5", #""7""#], "service_tier": ["5"], "stop": ["5", "[5]", "{}"],
        "store": [#""no""#], "stream": [#""yes""#, "1"], "stream_options": ["true"],
        "temperature": [#""hot""#], "tool_choice": ["5", "[]"], "tools": [#""x""#, "{}"],
        "top_logprobs": [#""2""#, "0.5"], "top_p": ["[]"], "user": ["5"], "verbosity": ["5"],
        "web_search_options": ["5"],
    ]

    @Test func everyKnownFieldIsHeldToItsType() {
        for name in ChatRequest.knownFields where name != "messages" {
            #expect(Self.wrongValues[name] != nil, "\(name) has no example")
            for value in Self.wrongValues[name] ?? [] {
                let fault = refused(name, value)
                #expect(fault?.code == .invalidValue, "\(name): \(value)")
                #expect(fault?.param == name, "\(name): \(value)")
            }
        }
    }

    static let inside: [(String, String, ErrorCode, String)] = [
        ("stream_options", #"{"include_usage":1}"#, .invalidValue, "stream_options.include_usage"),
        ("response_format", "{}", .missingField, "response_format.type"),
        ("response_format", #"{"type":5}"#, .invalidValue, "response_format.type"),
        (
            "response_format", #"{"type":"json_schema","json_schema":5}"#, .invalidValue,
            "response_format.json_schema"
        ),
        ("tools", "[5]", .invalidValue, "tools[0]"),
        ("tools", "[{}]", .missingField, "tools[0].type"),
        ("tools", #"[{"type":5}]"#, .invalidValue, "tools[0].type"),
        ("tools", #"[{"type":"function"}]"#, .missingField, "tools[0].function"),
        ("tools", #"[{"type":"function","function":5}]"#, .invalidValue, "tools[0].function"),
        ("tools", #"[{"type":"function","function":{}}]"#, .missingField, "tools[0].function.name"),
    ]

    @Test(arguments: inside)
    func faultsInsideAFieldAreNamed(
        _ name: String, _ value: String, _ code: ErrorCode, _ param: String
    ) {
        #expect(refused(name, value)?.code == code)
        #expect(refused(name, value)?.param == param)
    }

    @Test(arguments: ["-1", "1", "2.0", "1e3"])
    func limitsThatMeanSomethingPass(_ value: String) {
        #expect(refused("max_tokens", value) == nil)
    }

    private func refused(_ name: String, _ value: String) -> APIError? {
        readRefusal(#"{"messages":[{"role":"user","content":"x"}],"\#(name)":\#(value)}"#)
    }
}
