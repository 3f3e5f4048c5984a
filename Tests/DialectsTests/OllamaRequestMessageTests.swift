// How OpenAI's messages become Ollama's.

import Chat
import Dialects
import JSON
import Testing

@Suite struct OllamaRequestMessageTests {
    /// Messages as OpenAI writes them, and as Ollama reads them.
    static let translations: [(String, String)] = [
        (
            #"{"role":"developer","content":"é\u00e9 \"x\""},{"role":"system","content":""}"#,
            #"{"role":"system","content":"é\u00e9 \"x\""},{"role":"system","content":""}"#
        ),
        (#"{"role":"user","content":null}"#, #"{"role":"user","content":""}"#),
        (#"{"role":"user"}"#, #"{"role":"user","content":""}"#),
        (
            #"{"content":"a","role":"x","role":"user","content":"b"}"#,
            #"{"role":"user","content":"b"}"#
        ),
        // Parts are joined as llama-server joins them.
        (
            #"{"role":"user","content":[{"type":"text","text":"a\n"},{"text":"\u0062","type":"text"}]}"#,
            #"{"role":"user","content":"a\n\n\u0062"}"#
        ),
        (#"{"role":"user","content":[]}"#, #"{"role":"user","content":""}"#),
        (
            #"{"role":"user","content":[{"type":"text","text":"x","cache_control":{"type":"y"}}]}"#,
            #"{"role":"user","content":"x"}"#
        ),
        // What an assistant said before.
        (
            #"{"role":"assistant","content":null,"refusal":"no","tool_calls":[]}"#,
            #"{"role":"assistant","content":"no"}"#
        ),
        (
            #"{"role":"assistant","content":"x","reasoning_content":"y"}"#,
            #"{"role":"assistant","content":"x","thinking":"y"}"#
        ),
        (
            #"{"role":"assistant","content":"x","reasoning":"y","refusal":null}"#,
            #"{"role":"assistant","content":"x","thinking":"y"}"#
        ),
        // Calls and their results.
        (
            #"{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","#
                + #""function":{"name":"f","arguments":"{ \"b\":1, \"a\":\"\\u00e9\"}"}},"#
                + #"{"id":"c2","type":"function","function":{"name":"g","arguments":""}}]},"#
                + #"{"role":"tool","tool_call_id":"c2","content":"r"},"#
                + #"{"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"s"}]}"#,
            #"{"role":"assistant","content":"","tool_calls":[{"id":"c1","#
                + #""function":{"name":"f","arguments":{ "b":1, "a":"\u00e9"}}},"#
                + #"{"id":"c2","function":{"name":"g","arguments":{}}}]},"#
                + #"{"role":"tool","content":"r","tool_call_id":"c2","tool_name":"g"},"#
                + #"{"role":"tool","content":"s","tool_call_id":"c1","tool_name":"f"}"#
        ),
        (
            #"{"role":"tool","tool_call_id":"c9","name":"own","content":"r"}"#,
            #"{"role":"tool","content":"r","tool_call_id":"c9","tool_name":"own"}"#
        ),
        (
            #"{"role":"tool","tool_call_id":"lost","content":"r"}"#,
            #"{"role":"tool","content":"r","tool_call_id":"lost"}"#
        ),
        (
            #"{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{"a": 1}}}]}"#,
            #"{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"a": 1}}}]}"#
        ),
        (
            #"{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":null}},{"function":{"name":"g","arguments":" \n"}}]}"#,
            #"{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{}}},{"function":{"name":"g","arguments":{}}}]}"#
        ),
        // As it was before tools.
        (
            #"{"role":"assistant","function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"r"}"#,
            #"{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]},{"role":"tool","content":"r","tool_name":"f"}"#
        ),
        // Images stand beside the text.
        (
            #"{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA+/"}},"#
                + #"{"type":"text","text":"look"},"#
                + #"{"type":"image_url","image_url":"data:image\/jpeg;base64,BB\/B"}]}"#,
            #"{"role":"user","content":"look","images":["AA+/","BB\/B"]}"#
        ),
        (
            #"{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"CCCC","format":"wav"}}]}"#,
            #"{"role":"user","content":"","images":["CCCC"]}"#
        ),
    ]

    @Test(arguments: translations)
    func messagesAreTranslated(_ openAI: String, _ ollama: String) throws {
        let sent = try written(chatBody(messages: openAI), for: ableOllama)
        #expect(
            sent.text
                == #"{"model":"m","stream":true,"messages":[\#(ollama)],"truncate":false,"shift":false}"#
        )
        #expect(sent.request.ignored == [])
    }

    static let refusals: [(String, ErrorCode, String)] = [
        (#"{"role":"narrator"}"#, .invalidValue, "messages[0].role"),
        (
            #"{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}"#,
            .unsupportedParameter, "messages[0].content[0].image_url.url"
        ),
        (
            #"{"role":"user","content":[{"type":"image_url","image_url":"data:image/png,xyz"}]}"#,
            .unsupportedParameter, "messages[0].content[0].image_url"
        ),
        (
            #"{"role":"user","content":[{"type":"text","text":""},{"type":"file","file":{}}]}"#,
            .unsupportedParameter, "messages[0].content[1].type"
        ),
        (
            #"{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"[1]"}}]}"#,
            .invalidValue, "messages[0].tool_calls[0].function.arguments"
        ),
        (
            #"{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{\"a\""}}]}"#,
            .invalidValue, "messages[0].tool_calls[0].function.arguments"
        ),
        (
            #"{"role":"assistant","tool_calls":[{"type":"custom","custom":{"name":"x"}}]}"#,
            .unsupportedParameter, "messages[0].tool_calls[0]"
        ),
        (
            #"{"role":"assistant","function_call":{}}"#, .missingField,
            "messages[0].function_call.name"
        ),
    ]

    @Test(arguments: refusals)
    func whatCannotBeTranslatedIsRefused(
        _ message: String, _ code: ErrorCode, _ param: String
    ) {
        let fault = writeRefusal(chatBody(messages: message), for: ableOllama)
        #expect(fault?.status == 400)
        #expect(fault?.code == code)
        #expect(fault?.param == param)
    }

    @Test func aModelWithoutEyesRefusesImages() {
        let image =
            #"{"role":"user","content":[{"type":"image_url","image_url":"data:;base64,AA"}]}"#
        let sound = #"{"role":"user","content":[{"type":"input_audio","input_audio":{"data":""}}]}"#
        var plain = ableOllama
        plain.ollama.vision = false
        plain.ollama.audio = false
        for message in [image, sound] {
            let body = chatBody(messages: message)
            #expect(writeRefusal(body, for: plain)?.code == .unsupportedParameter)
            #expect(writeRefusal(body, for: requestTarget(.ollama)) == nil)
        }
    }

    @Test func developersMayKeepTheirRole() throws {
        var keeping = ableOllama
        keeping.keepsDeveloperRole = true
        let sent = try written(chatBody(messages: #"{"role":"developer"}"#), for: keeping)
        #expect(sent.json["messages"]?.elements.first?["role"]?.string == "developer")
    }

    @Test func whatIsLostOfAMessageIsNamed() throws {
        let sent = try written(
            chatBody(
                messages: #"{"role":"user","name":"bob","weight":1,"annotations":[],"content":"#
                    + #"[{"type":"image_url","image_url":{"url":"data:;base64,A","detail":"high"}}]},"#
                    + #"{"role":"user","name":"eve"}"#), for: ableOllama)
        #expect(
            sent.request.ignored == ["image_url.detail", "messages.name", "messages.weight"])
    }

    @Test func imagesAndLongTextAreNeverCopied() throws {
        let image = String(repeating: "QUJD", count: 50_000)
        let text = String(repeating: "long ", count: 10_000)
        let body = chatBody(
            messages: #"{"role":"user","content":[{"type":"text","text":"\#(text)"},"#
                + #"{"type":"image_url","image_url":{"url":"data:image/png;base64,\#(image)"}}]}"#)
        let sent = try written(body, for: ableOllama)
        var own = 0
        for case .bytes(let bytes) in sent.request.body { own += bytes.count }
        #expect(own < 300)
        let message = try #require(sent.json["messages"]?.elements.first)
        #expect(message["images"]?.elements.first?.string == image)
        #expect(message["content"]?.string == text)
    }
}
