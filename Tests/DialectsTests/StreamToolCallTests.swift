// Tool calls of every shape leave in the one normal form.

import Chat
import Dialects
import TestSupport
import Testing

/// Tool calls as OpenAI-compatible servers send them, and the one form in which they leave.
@Suite struct StreamToolCallTests {
    struct Row: CustomTestStringConvertible, Sendable {
        let what: String
        /// The `tool_calls` arrays of the events, less the brackets.
        let fragments: [String]
        let calls: [ChunkSchema.Call]
        var testDescription: String { what }

        init(_ what: String, _ fragments: [String], _ calls: [ChunkSchema.Call]) {
            (self.what, self.fragments, self.calls) = (what, fragments, calls)
        }
    }

    static func call(_ id: String, _ name: String, _ arguments: String) -> ChunkSchema.Call {
        .init(id: id, name: name, arguments: arguments)
    }

    static let rows = [
        Row(
            "llama-server's own form",
            [
                #"{"index":0,"id":"A","type":"function","function":{"name":"f","arguments":"{"}}"#,
                #"{"index":0,"function":{"arguments":"}"}}"#,
                #"{"index":1,"id":"B","type":"function","function":{"name":"g","arguments":"{}"}}"#,
            ], [call("A", "f", "{}"), call("B", "g", "{}")]),
        Row(
            "everything in one event",
            [
                #"{"index":0,"id":"A","function":{"name":"f","arguments":"{}"}},"#
                    + #"{"index":1,"id":"B","function":{"name":"f","arguments":"{\"a\":1}"}}"#
            ], [call("A", "f", "{}"), call("B", "f", #"{"a":1}"#)]),
        Row(
            "a gap in the numbers",
            [
                #"{"index":1,"id":"A","function":{"name":"f","arguments":"{}"}}"#,
                #"{"index":4,"id":"B","function":{"name":"g","arguments":"{"}}"#,
                #"{"index":4,"function":{"arguments":"}"}}"#,
            ], [call("A", "f", "{}"), call("B", "g", "{}")]),
        Row(
            "no ids",
            [
                #"{"index":0,"function":{"name":"f","arguments":"{"}}"#,
                #"{"index":0,"function":{"arguments":"}"}}"#,
                #"{"index":1,"function":{"name":"g","arguments":"{}"}}"#,
            ], [call("call_up_0", "f", "{}"), call("call_up_1", "g", "{}")]),
        Row(
            "an empty id", [#"{"index":0,"id":"","function":{"name":"f","arguments":"{}"}}"#],
            [call("call_up_0", "f", "{}")]),
        Row(
            "all numbered 0, told apart by id",
            [
                #"{"index":0,"id":"A","function":{"name":"f","arguments":"{}"}}"#,
                #"{"index":0,"id":"B","function":{"name":"f","arguments":"{}"}}"#,
                #"{"index":0,"function":{"arguments":" "}}"#,
            ], [call("A", "f", "{}"), call("B", "f", "{} ")]),
        Row(
            "all numbered 0, told apart by name",
            [
                #"{"index":0,"function":{"name":"f","arguments":"{}"}}"#,
                #"{"index":0,"function":{"name":"g","arguments":"{}"}}"#,
            ], [call("call_up_0", "f", "{}"), call("call_up_1", "g", "{}")]),
        Row(
            "all numbered 0, the same name, whole",
            [
                #"{"index":0,"function":{"name":"f","arguments":"{\"a\":\"}\"}"}},"#
                    + #"{"index":0,"function":{"name":"f","arguments":"{\"a\":2}"}}"#
            ], [call("call_up_0", "f", #"{"a":"}"}"#), call("call_up_1", "f", #"{"a":2}"#)]),
        Row(
            "no numbers at all",
            [
                #"{"id":"A","function":{"name":"f","arguments":"{"}}"#,
                #"{"function":{"arguments":"}"}}"#,
                #"{"id":"B","function":{"name":"g","arguments":"{"}}"#,
                #"{"id":"A","function":{"arguments":" "}}"#,
                #"{"id":"B","function":{"arguments":"}"}}"#,
            ], [call("A", "f", "{} "), call("B", "g", "{}")]),
        Row(
            "name and id with every fragment",
            [
                #"{"index":0,"id":"A","type":"function","function":{"name":"f","arguments":"{"}}"#,
                #"{"index":0,"id":"A","type":"function","function":{"name":"f","arguments":"}"}}"#,
            ], [call("A", "f", "{}")]),
        Row(
            "the name with every fragment, no id",
            [
                #"{"index":0,"function":{"name":"f","arguments":"{\"a\""}}"#,
                #"{"index":0,"function":{"name":"f","arguments":":1}"}}"#,
            ], [call("call_up_0", "f", #"{"a":1}"#)]),
        Row(
            "another id with every fragment",
            [
                #"{"index":0,"id":"A","function":{"name":"f","arguments":"{"}}"#,
                #"{"index":0,"id":"B","function":{"arguments":"}"}}"#,
            ], [call("A", "f", "{}")]),
        Row(
            "nulls in later fragments",
            [
                #"{"index":0,"id":"A","function":{"name":"f","arguments":null}}"#,
                #"{"index":0,"id":null,"function":{"name":null,"arguments":"{}"}}"#,
            ], [call("A", "f", "{}")]),
        Row(
            "the id before the name",
            [
                #"{"index":0,"id":"A"}"#, #"{"index":0,"function":{"arguments":"{"}}"#,
                #"{"index":0,"function":{"name":"f"}}"#,
                #"{"index":0,"function":{"arguments":"}"}}"#,
            ], [call("A", "f", "{}")]),
        Row(
            "no arguments", [#"{"index":0,"id":"A","function":{"name":"f","arguments":""}}"#],
            [call("A", "f", "{}")]),
        Row(
            "arguments missing", [#"{"index":0,"id":"A","function":{"name":"f"}}"#],
            [call("A", "f", "{}")]),
        Row(
            "arguments as an object",
            [#"{"index":0,"id":"A","function":{"name":"f","arguments":{"b":"\"","a":[1]}}}"#],
            [call("A", "f", #"{"b":"\"","a":[1]}"#)]),
        Row(
            "the same id twice",
            [
                #"{"index":0,"id":"A","function":{"name":"f","arguments":"{}"}}"#,
                #"{"index":1,"id":"A","function":{"name":"g","arguments":"{}"}}"#,
            ], [call("A", "f", "{}"), call("call_up_1", "g", "{}")]),
        Row(
            "the same name after a quoted bracket, no id",
            [
                #"{"index":0,"function":{"name":"f","arguments":"{\"a\":\"\\\"}"}}"#,
                #"{"index":0,"function":{"name":"f","arguments":"\"}"}}"#,
            ], [call("call_up_0", "f", #"{"a":"\"}"}"#)]),
        Row(
            "arguments that begin late",
            [
                #"{"index":0,"id":"A","type":"function","function":{"name":"f","arguments":""}}"#,
                #"{"index":0,"function":{"arguments":"{"}}"#,
                #"{"index":0,"function":{"arguments":"}"}}"#,
            ], [call("A", "f", "{}")]),
        Row(
            "a key twice",
            [
                #"{"index":0,"id":"A","function":{"name":"f","arguments":"{"}}"#,
                #"{"index":7,"index":0,"function":{"arguments":"}"}}"#,
                #"{"index":0,"function":{"arguments":"x","arguments":" "}}"#,
            ], [call("A", "f", "{} ")]),
        Row(
            "interleaved",
            [
                #"{"index":0,"id":"A","function":{"name":"f","arguments":"{"}}"#,
                #"{"index":1,"id":"B","function":{"name":"g","arguments":"{"}}"#,
                #"{"index":0,"function":{"arguments":"}"}}"#,
                #"{"index":1,"function":{"arguments":" }"}}"#,
            ], [call("A", "f", "{}"), call("B", "g", "{ }")]),
        Row(
            "never a name", [#"{"index":0,"id":"A","function":{"arguments":"{}"}}"#],
            [call("A", "", "{}")]),
    ]

    @Test(arguments: rows, [#""stop""#, #""tool_calls""#])
    func callsTakeTheNormalForm(_ row: Row, finish: String) {
        let events = row.fragments.map { OpenAIStreamTests.event(#"{"tool_calls":[\#($0)]}"#) }
        let decoded = decode(
            events: [OpenAIStreamTests.role] + events + [
                OpenAIStreamTests.event("{}", finish: finish)
            ])
        let schema = ChunkSchema(decoded.bytes, .init())
        #expect(schema.violations == [])
        #expect(schema.choices.first?.calls == row.calls)
        #expect(schema.choices.first?.finish == "tool_calls")
    }

    @Test func aNormalFormLeavesWithItsBytesUnchanged() throws {
        let row = try #require(Self.rows.first)
        let deltas = row.fragments.map { #"{"tool_calls":[\#($0)]}"# }
        let decoded = decode(
            events: [OpenAIStreamTests.role] + deltas.map { OpenAIStreamTests.event($0) }
                + [OpenAIStreamTests.stop])
        #expect(
            decoded.events.dropFirst().dropLast(2)
                == deltas.map { OpenAIStreamTests.chunk($0) }[...])
    }

    @Test func lengthStaysLengthAlsoWithACall() {
        let call = #"{"tool_calls":[{"index":0,"id":"A","function":{"name":"f","arguments":"{"}}]}"#
        let decoded = decode(events: [
            OpenAIStreamTests.event(call), OpenAIStreamTests.event("{}", finish: #""length""#),
        ])
        let schema = ChunkSchema(decoded.bytes, .init())
        #expect(schema.violations == [])
        #expect(schema.choices.first?.finish == "length")
        #expect(schema.choices.first?.calls.first?.arguments == "{")
    }

    @Test func madeIdsDifferBetweenChoices() {
        let call = #"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}"#
        let events = [0, 1].map { OpenAIStreamTests.event(call, index: $0) }
        let ends = [0, 1].map { OpenAIStreamTests.event("{}", finish: #""stop""#, index: $0) }
        let decoded = decode(events: events + ends, testOptions { $0.choiceCount = 2 })
        var expectation = ChunkSchema.Expectation()
        expectation.choiceCount = 2
        let schema = ChunkSchema(decoded.bytes, expectation)
        #expect(schema.violations == [])
        #expect(schema.choices.flatMap(\.calls).map(\.id).sorted() == ["call_up_0", "call_up_1_0"])
    }
}
