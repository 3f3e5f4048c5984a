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

    /// The cells of the table with this head.
    private func rows(under head: String) throws -> [[String]] {
        let text = String(decoding: try fixture("../../docs/PROTOCOLS.md"), as: UTF8.self)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let start = try #require(lines.firstIndex { $0 == head })
        return lines[(start + 2)...].prefix { $0.hasPrefix("|") }.map { line in
            line.split(separator: "|").map { String($0.drop { $0 == " " }.prefix { $0 != " " }) }
        }
    }
}
