// What backends send in the tests of the response tables: one answer of each kind that says
// everything, and every habit of tool calls.

import Dialects
import TestSupport

/// The upstream's side of the response tables.
enum ResponseTableInputs {
    // MARK: - Everything

    private static let common =
        #""id":"chatcmpl-up","object":"theirs","created":5,"model":"theirs","#
        + #""system_fingerprint":"fp","service_tier":"default""#
    private static let token =
        #"{"token":"Hi","logprob":-0.5,"bytes":[72,105],"top_logprobs":[{"token":"Ho","logprob":-1,"#
        + #""bytes":[72,111]}]}"#

    private static func event(_ delta: String, _ choice: String = "", _ more: String = "") -> String
    {
        #"{\#(common),"choices":[{"index":0,"delta":\#(delta)\#(choice)}]\#(more)}"#
    }

    private static let openAI = [
        event(#"{"role":"bot","content":null}"#, "", #","prompt_progress":{"total":1}"#),
        event(#"{"reasoning_content":"Hm"}"#),
        event(#"{"content":"Hi"}"#, #","logprobs":{"content":[\#(token)]}"#),
        event(#"{"refusal":"No"}"#), event(#"{"new_field":{"x":[1]}}"#),
        event(#"{"function_call":{"name":"g","arguments":"{"}}"#),
        event(#"{"function_call":{"arguments":"}"}}"#),
        event(
            #"{"tool_calls":[{"index":3,"id":"x","type":"tool","function":{"name":"f","#
                + #""arguments":"{\"b\":1,\"a\":2}"}}]}"#),
        event("{}", #","finish_reason":"stop","new_field":2"#, #","new_field":1"#),
        #"{\#(common),"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,"#
            + #""prompt_tokens_details":{"cached_tokens":3},"#
            + #""completion_tokens_details":{"reasoning_tokens":1}},"timings":{"predicted_n":2}}"#,
    ]

    private static let ollama = [
        OllamaStreamTests.record(#""content":"","thinking":"Hm""#),
        OllamaStreamTests.record(
            #""content":"Hi""#, more: #","done":false,"logprobs":[\#(token)],"new_field":1"#),
        OllamaStreamTests.record(
            #""content":"","tool_calls":[{"id":"x","function":{"index":3,"name":"f","#
                + #""arguments":{"b":1,"a":2}}}]"#),
        OllamaStreamTests.last("stop").dropLast() + #","prompt_eval_cached_count":6}"#,
    ]

    /// What the backend says, event by event.
    static func events(_ dialect: UpstreamDialect) -> [JSONValue] {
        said(dialect).compactMap { JSONValue($0.utf8) }
    }

    /// The same as its body.
    static func body(_ dialect: UpstreamDialect) -> String {
        dialect == .openAI
            ? said(dialect).map { "data: \($0)\n\n" }.joined() + "data: [DONE]\n\n"
            : said(dialect).joined(separator: "\n") + "\n"
    }

    /// Roles that are not ours to say, so that those that leave are seen to be made.
    private static func said(_ dialect: UpstreamDialect) -> [String] {
        (dialect == .openAI ? openAI : ollama).map {
            $0.replacing(#""role":"assistant""#, with: #""role":"bot""#)
        }
    }

    /// Where the backend says what leaves at `path`.
    static func sourcePath(of path: String, _ dialect: UpstreamDialect) -> String {
        guard dialect == .ollama else { return path }
        let named = [
            "choices[].finish_reason": "done_reason", "usage.prompt_tokens": "prompt_eval_count",
            "usage.completion_tokens": "eval_count", "timings.predicted_n": "eval_duration",
            "usage.prompt_tokens_details.cached_tokens": "prompt_eval_cached_count",
            "choices[].delta.reasoning_content": "message.thinking",
        ]
        if let source = named[path] { return source }
        return path.replacing("choices[].delta.", with: "message.")
            .replacing("choices[].logprobs.content[]", with: "logprobs[]")
    }

    // MARK: - Ends

    private static let call =
        #"{"tool_calls":[{"index":0,"id":"x","type":"function","function":{"name":"f","#
        + #""arguments":"{}"}}]}"#

    /// A text or a call, then `word`.
    static func openAIEnd(_ word: String, _ hasCall: Bool) -> String {
        let first = event(hasCall ? call : #"{"content":"a"}"#)
        let last = event("{}", #","finish_reason":"\#(word)""#)
        return "data: \(first)\n\ndata: \(last)\n\ndata: [DONE]\n\n"
    }

    /// The same as Ollama says it.
    static func ollamaEnd(_ word: String, _ hasCall: Bool) -> String {
        let message = hasCall ? #","tool_calls":[{"function":{"name":"f","arguments":{}}}]"# : ""
        let first = OllamaStreamTests.record(#""content":"a"\#(message)"#)
        return first + "\n" + OllamaStreamTests.last(word) + "\n"
    }

    // MARK: - Habits

    /// A way of backends to send calls, and the calls that leave.
    struct Habit {
        let what: String
        let body: String
        let calls: [ChunkSchema.Call]

        init(_ what: String, _ fragments: [String], _ calls: [(String, String, String)]) {
            self.what = what
            self.calls = calls.map { ChunkSchema.Call(id: $0, name: $1, arguments: $2) }
            let events = fragments.map { event(#"{"tool_calls":[\#($0)]}"#) }
            let end = event(
                "{}", #","finish_reason":"\#(what.contains("length") ? "length" : "stop")""#)
            body = (events + [end]).map { "data: \($0)\n\n" }.joined() + "data: [DONE]\n\n"
        }
    }

    private static func fragment(_ head: String, _ function: String) -> String {
        #"{\#(head)"function":{\#(function)}}"#
    }
    private static let whole = #""name":"f","arguments":"{}""#

    static let habits = [
        Habit(
            "numbers all calls 0",
            [
                fragment(#""index":0,"id":"x","#, whole),
                fragment(#""index":0,"id":"y","#, #""name":"g","arguments":"{}""#),
            ], [("x", "f", "{}"), ("y", "g", "{}")]),
        Habit(
            "leaves numbers out",
            [
                fragment(#""id":"x","#, #""name":"f","arguments":"{""#),
                fragment("", #""arguments":"}""#), fragment(#""id":"y","#, whole),
            ], [("x", "f", "{}"), ("y", "f", "{}")]),
        Habit(
            "leaves gaps in its numbers",
            [fragment(#""index":2,"id":"x","#, whole), fragment(#""index":5,"id":"y","#, whole)],
            [("x", "f", "{}"), ("y", "f", "{}")]),
        Habit(
            "gives no id",
            [fragment(#""index":0,"#, whole), fragment(#""index":1,"id":"","#, whole)],
            [("call_up_0", "f", "{}"), ("call_up_1", "f", "{}")]),
        Habit(
            "gives one id to two calls",
            [fragment(#""index":0,"id":"x","#, whole), fragment(#""index":1,"id":"x","#, whole)],
            [("x", "f", "{}"), ("call_up_1", "f", "{}")]),
        Habit(
            "gives an id to every fragment",
            [
                fragment(#""index":0,"id":"x","#, #""name":"f","arguments":"{""#),
                fragment(#""index":0,"id":"y","#, #""arguments":"}""#),
            ], [("x", "f", "{}")]),
        Habit(
            "repeats the name in every fragment",
            [
                fragment(#""index":0,"id":"x","#, #""name":"f","arguments":"{""#),
                fragment(#""index":0,"#, #""name":"f","arguments":"}""#),
            ], [("x", "f", "{}")]),
        Habit(
            "sends arguments as an object",
            [fragment(#""index":0,"id":"x","#, #""name":"f","arguments":{"b":1,"a":2}"#)],
            [("x", "f", #"{"b":1,"a":2}"#)]),
        Habit(
            "sends no arguments", [fragment(#""index":0,"id":"x","#, #""name":"f""#)],
            [("x", "f", "{}")]),
        Habit(
            "is cut off by the length",
            [fragment(#""index":0,"id":"x","#, #""name":"f","arguments":"{\"a\":""#)],
            [("x", "f", #"{"a":"#)]),
    ]
}
