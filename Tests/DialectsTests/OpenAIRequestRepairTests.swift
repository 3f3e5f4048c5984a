// Messages as clients replay them, and what a llama-server is sent, which could not read them so.

import Chat
import Dialects
import JSON
import TestSupport
import Testing

@Suite struct OpenAIRequestRepairTests {
    /// A member of an assistant's turn with one call.
    private static func call(_ members: String, content: String = #""content":null,"#) -> String {
        #"{"role":"assistant",\#(content)"tool_calls":[{\#(members)}]}"#
    }

    /// Messages, and what llama-server is sent.
    static let repaired: [(String, String)] = [
        // Null means absent.
        (
            #"{"role":"user","content":"x", "name" : null }"#,
            #"{"role":"user","content":"x", "name" : "" }"#
        ),
        (
            #"{"role":"tool","content":"x","tool_call_id":null}"#,
            #"{"role":"tool","content":"x","tool_call_id":""}"#
        ),
        (
            #"{"role":"assistant","content":"x","reasoning_content":null}"#,
            #"{"role":"assistant","content":"x","reasoning_content":""}"#
        ),
        // A turn without words.
        (#"{"role":"assistant"}"#, #"{"content":null,"role":"assistant"}"#),
        (
            #"{"role":"assistant","tool_calls":null}"#,
            #"{"content":null,"role":"assistant","tool_calls":null}"#
        ),
        // The words of a refusal.
        (
            #"{"role":"assistant","content":[{"type":"refusal","refusal":"a \"b\""},{"type":"text","text":"c"}]}"#,
            #"{"role":"assistant","content":[{"type":"text","text":"a \"b\""},{"type":"text","text":"c"}]}"#
        ),
        (
            #"{"role":"assistant","content":[ { "refusal" : "" , "type" : "refusal" } ]}"#,
            #"{"role":"assistant","content":[ {"type":"text","text":""} ]}"#
        ),
        (
            #"{"role":"assistant","content":[{"type":"refusal","refusal":"a","refusal":"b","x":[]}]}"#,
            #"{"role":"assistant","content":[{"type":"text","text":"b"}]}"#
        ),
        (
            #"{"role":"assistant","content":null,"refusal":"no"}"#,
            #"{"role":"assistant","content":"no","refusal":"no"}"#
        ),
        (
            #"{"role":"assistant","refusal":"no"}"#,
            #"{"content":"no","role":"assistant","refusal":"no"}"#
        ),
        // Calls without what llama-server wants of them.
        (
            call(#""id":null,"type":null,"function":{"name":"f","arguments":null}"#),
            call(#""id":"","type":"function","function":{"name":"f","arguments":"{}"}"#)
        ),
        (
            call(#" "function":{ "name":"f"}"#),
            call(#""type":"function", "function":{"arguments":"{}", "name":"f"}"#)
        ),
        (
            call(#""type":"function","function":{"name":"f","arguments":" \n\t\r"}"#),
            call(#""type":"function","function":{"name":"f","arguments":"{}"}"#)
        ),
        // The words of the time before tools.
        (
            #"{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{\"a\":1}"}}"#,
            #"{"tool_calls":[{"type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}],"#
                + #""role":"assistant","content":null,"function_call":{"name":"f","arguments":"{\"a\":1}"}}"#
        ),
        (
            #"{"role":"assistant","tool_calls":null,"function_call":{"name":"f"}}"#,
            #"{"content":null,"role":"assistant","#
                + #""tool_calls":[{"type":"function","function":{"name":"f","arguments":"{}"}}],"#
                + #""function_call":{"name":"f"}}"#
        ),
        (
            #"{"role":"function","name":"f","content":"1"}"#,
            #"{"role":"tool","name":"f","content":"1"}"#
        ),
        // An image's address without an object around it.
        (
            #"{"role":"user","content":[{"type":"image_url", "image_url":"data:,"}]}"#,
            #"{"role":"user","content":[{"type":"image_url", "image_url":{"url":"data:,"}}]}"#
        ),
    ]

    @Test(arguments: repaired)
    func whatLlamaServerCannotReadIsSaidSoThatItCan(_ message: String, _ expected: String) throws {
        let other = #"{"role":"developer","content":"x"}"#
        let body = chatBody(messages: "\(other), \(message),\(message)")
        let sent = try written(body, for: requestTarget(.llamaServer)).text
        #expect(
            sent.hasPrefix(
                chatBody(messages: #"{"role":"system","content":"x"}, \#(expected),\#(expected)"#)
                    .opened))
        let openAI = try written(body, for: requestTarget(.openAI)).text
        #expect(openAI.contains("\(message),\(message)"), "others are sent the client's bytes")
    }

    @Test(arguments: [
        #"{"role":"user","content":"x","name":"n","tool_call_id":"i"}"#,
        #"{"role":"user"}"#,
        #"{"role":"assistant","content":null}"#,
        #"{"role":"assistant","content":null,"refusal":null,"audio":null,"function_call":null}"#,
        #"{"role":"assistant","content":"x","refusal":"no"}"#,
        #"{"role":"assistant","content":null,"refusal":""}"#,
        #"{"role":"assistant","content":[{"type":"text","text":"\"type\":\"refusal\""}]}"#,
        #"{"role":"assistant","content":[{"type":"image_url","image_url":{"url":"data:,"}}]}"#,
        call(#""id":"a","type":"function","function":{"name":"f","arguments":"{}"}"#),
        call(#""id":"a","type":"function","function":{"name":"f","arguments":{}}"#, content: ""),
        call(#""id":"a","type":"function","function":{"name":"f","arguments":"x\n"}"#),
        call(#""id":"a","type":"custom","custom":{"name":"f","input":""}"#),
    ])
    func whatItCanReadIsLeftAlone(_ message: String) throws {
        let sent = try written(chatBody(messages: message), for: requestTarget(.llamaServer)).text
        #expect(sent.hasPrefix(chatBody(messages: message).opened))
    }

    /// Of duplicates the last one counts, in whatever form the earlier ones are.
    @Test func earlierDuplicatesDoNotMatter() throws {
        let message =
            #"{"role":"assistant","content":[{"type":"refusal","refusal":"a"}],"content":"b","#
            + #""name":null,"name":"n"}"#
        let sent = try written(chatBody(messages: message), for: requestTarget(.llamaServer)).json
        let last = sent["messages"]?.elements[0]
        #expect(last?["content"]?.string == "b" && last?["name"]?.string == "n")
        let bodies =
            #"{"messages":[{"role":"tool","name":null}],"#
            + #""messages":[{"role":"user","content":"x"}]}"#
        let kept = try written(bodies, for: requestTarget(.llamaServer)).json
        #expect(kept["messages"]?.elements[0]["content"]?.string == "x")
    }

    @Test func aToolWithoutADescriptionIsOneWithoutWords() throws {
        func tools(_ description: String) -> String {
            #""tools":[{"type":"function","function":{"name":"f","description":\#(description),"#
                + #""parameters":null}},{"type":"function","function":{"name":"g"}}]"#
        }
        let body = chatBody(tools("null"))
        let sent = try written(body, for: requestTarget(.llamaServer)).text
        #expect(sent.hasPrefix(chatBody(tools(#""""#)).opened))
        #expect(try written(body, for: requestTarget(.openAI)).text.hasPrefix(body.opened))
        let chosen = try written(
            chatBody(
                tools("null") + #","tool_choice":{"type":"function","function":{"name":"f"}}"#),
            for: requestTarget(.llamaServer)
        ).json
        let functions = chosen["tools"]?.elements.compactMap { $0["function"] } ?? []
        #expect(functions.map { $0["description"]?.string } == [""])
    }
}
