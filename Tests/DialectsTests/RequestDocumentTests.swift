// docs/PROTOCOLS.md against the code: the table of fields and the table of codes.

import Chat
import Dialects
import TestSupport
import Testing

@Suite struct ProtocolDocumentTests {
    @Test func everyFieldHasItsRow() throws {
        let rows = try rows(under: "| field | llama-server | openai | ollama |")
        let expected = FieldRule.table.map {
            ["`\($0.name)`", $0.llamaServer.rawValue, $0.openAI.rawValue, $0.ollama.rawValue]
        }
        #expect(rows == expected)
    }

    /// Messages for the rows of the table of their parts.
    private static let messages: [(String, String)] = [
        (#"`role: "developer"`"#, #"{"role":"developer","content":"x"}"#),
        (#"`role: "function"`"#, #"{"role":"function","name":"f","content":"x"}"#),
        (
            "`content` of text parts",
            #"{"role":"user","content":[{"type":"text","text":"a","cache_control":{}},{"type":"text","text":"b"}]}"#
        ),
        ("`content` left out by an assistant", #"{"role":"assistant"}"#),
        (
            "`content[].image_url` with an object",
            #"{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:;base64,aa"}}]}"#
        ),
        (
            "`content[].image_url` with a string",
            #"{"role":"user","content":[{"type":"image_url","image_url":"data:;base64,aa"}]}"#
        ),
        (
            "`content[].input_audio`",
            #"{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"aa","format":"wav"}}]}"#
        ),
        (
            "`content[].refusal`",
            #"{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]}"#
        ),
        ("`refusal` instead of content", #"{"role":"assistant","content":null,"refusal":"no"}"#),
        ("`name` of a user", #"{"role":"user","content":"x","name":"n"}"#),
        ("`name` of null", #"{"role":"user","content":"x","name":null}"#),
        ("`tool_call_id` of a result", #"{"role":"tool","content":"x","tool_call_id":"c"}"#),
        ("`tool_call_id` of null", #"{"role":"tool","content":"x","tool_call_id":null}"#),
        ("`reasoning_content`", #"{"role":"assistant","content":"x","reasoning_content":"t"}"#),
        (
            "`reasoning_content` of null",
            #"{"role":"assistant","content":"x","reasoning_content":null}"#
        ),
        ("`tool_calls[]`", call(#""id":"c","type":"function","#, #","arguments":"{}""#)),
        (
            "`tool_calls[].id` of null",
            call(#""id":null,"type":"function","#, #","arguments":"{}""#)
        ),
        ("`tool_calls[].type` left out", call(#""id":"c","#, #","arguments":"{}""#)),
        (
            "`tool_calls[].function.arguments` left out or blank",
            call(#""id":"c","type":"function","#, "")
        ),
        (
            "`tool_calls[].custom`",
            #"{"role":"assistant","tool_calls":[{"id":"c","type":"custom","custom":{"name":"f","input":""}}]}"#
        ),
        (
            "`function_call`",
            #"{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}}"#
        ),
    ]

    private static func call(_ members: String, _ arguments: String) -> String {
        #"{"role":"assistant","content":null,"tool_calls":[{\#(members)"function":{"name":"f"\#(arguments)}}]}"#
    }

    @Test func everyPartOfAMessageIsHandledAsItsRowSays() throws {
        let targets = [requestTarget(.llamaServer), requestTarget(.openAI), ableOllama]
        let rows = try rows(under: "| part of a message | llama-server | openai | ollama |")
        let found = try Self.messages.map { name, message in
            [name] + (try targets.map { try handling(of: message, by: $0).rawValue })
        }
        let said = try names(under: "| part of a message | llama-server | openai | ollama |")
        #expect(zip(said, rows).map { [$0] + $1.dropFirst() } == found)
    }

    /// What becomes of a message.
    private func handling(of message: String, by target: RequestTarget) throws -> FieldHandling {
        let body = chatBody(messages: message)
        if let refusal = writeRefusal(body, for: target) {
            #expect(refusal.param?.hasPrefix("messages[0]") == true)
            return .refused
        }
        let sent = try written(body, for: target)
        if sent.request.ignored.contains(where: { $0.hasPrefix("messages.") }) { return .ignored }
        return sent.text.contains(message) ? .honoured : .mapped
    }

    @Test(arguments: [
        ("completions", TextCompletionFields.table), ("embeddings", EmbeddingFields.table),
        ("responses", DoorFields.responses), ("messages", DoorFields.messages),
    ])
    func everyFieldOfTheOtherEndpointsHasItsRow(_ endpoint: String, _ table: [FieldRule]) throws {
        let rows = try rows(under: "| field of \(endpoint) | llama-server | openai | ollama |")
        let expected = table.map {
            ["`\($0.name)`", $0.llamaServer.rawValue, $0.openAI.rawValue, $0.ollama.rawValue]
        }
        #expect(rows == expected)
    }

    @Test func theTablesNameTheFieldsThatAreChecked() {
        let completions = TextCompletionFields.table.map(\.name)
        #expect(completions == TextCompletionRequest.knownFields.sorted())
        #expect(EmbeddingFields.table.map(\.name) == EmbeddingRequest.knownFields.sorted())
        for (door, table) in [
            (Door.responses, DoorFields.responses), (.messages, DoorFields.messages),
        ] {
            let names = table.map(\.name)
            #expect(names == names.sorted())
            #expect(Set(names).isSuperset(of: DoorRequest.knownFields(of: door)))
        }
    }

    @Test func everyCodeHasItsRow() throws {
        let rows = try rows(under: "| code | status | type |")
        let expected = ErrorCode.allCases.map {
            ["`\($0.rawValue)`", "\($0.status)", "`\($0.type.rawValue)`"]
        }
        #expect(rows == expected)
    }

    /// The first words of the cells of the table with this head.
    private func rows(under head: String) throws -> [[String]] {
        try lines(under: head).map { line in
            line.split(separator: "|").map { String($0.drop { $0 == " " }.prefix { $0 != " " }) }
        }
    }

    /// The whole first cells of the table with this head.
    private func names(under head: String) throws -> [String] {
        try lines(under: head).compactMap { line in
            line.split(separator: "|").first.map { String($0.dropFirst().dropLast()) }
        }
    }

    private func lines(under head: String) throws -> [Substring] {
        let text = String(decoding: try fixture("../../docs/PROTOCOLS.md"), as: UTF8.self)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let start = try #require(lines.firstIndex { $0 == head })
        return Array(lines[(start + 2)...].prefix { $0.hasPrefix("|") })
    }
}
