// Thoughts between tags are found wherever the text is cut.

@testable import Chat
import TestSupport
import Testing

/// `<think>…</think>` before the answer, wherever it is cut.
@Suite struct StreamThinkTagTests {
    struct Row: CustomTestStringConvertible, Sendable {
        let text: String
        let reasoning: String
        let content: String
        var testDescription: String { text }

        init(_ text: String, _ reasoning: String, _ content: String) {
            (self.text, self.reasoning, self.content) = (text, reasoning, content)
        }
    }

    static let rows = [
        Row("<think>a</think>b", "a", "b"),
        Row("\n <think>\na b\n</think>\n\nc d", "a b\n", "c d"),
        Row("<think></think>b", "", "b"),
        Row("<think>a", "a", ""),
        Row("<think>a</thin", "a</thin", ""),
        Row("<think>a</b></think>c", "a</b>", "c"),
        Row("<think>水🦙</think>é", "水🦙", "é"),
        Row("plain", "", "plain"),
        Row(" plain", "", " plain"),
        Row("", "", ""),
        Row("<thin", "", "<thin"),
        Row("<thinker>", "", "<thinker>"),
        Row("about <think>tags</think>", "", "about <think>tags</think>"),
        Row("<think>a</think>b <think>c</think>", "a", "b <think>c</think>"),
    ]

    @Test(arguments: rows)
    func thoughtsAreToldFromTheAnswer(_ row: Row) {
        // Cut between characters: inside them the upstream's text never arrives.
        for cut in 0...row.text.count {
            var splitter = ThinkTagSplitter()
            var runs = splitter.take(Array(row.text.prefix(cut).escaped.utf8))
            runs += splitter.take(Array(row.text.dropFirst(cut).escaped.utf8))
            expect(runs + splitter.finish(), row)
        }
        var splitter = ThinkTagSplitter()
        var runs: [ThinkTagSplitter.Run] = []
        for character in row.text {
            runs += splitter.take(Array(String(character).escaped.utf8))
        }
        expect(runs + splitter.finish(), row)
    }

    @Test func escapesOfTheUpstreamAreUnderstood() {
        var splitter = ThinkTagSplitter()
        let runs = splitter.take(Array(#"\u003cthink\u003ea\"b\u003c/think\u003e\nc"#.utf8))
        #expect(runs == [.reasoning(Array(#"a\"b"#.utf8)), .content(Array("c".utf8))])
    }

    private func expect(_ runs: [ThinkTagSplitter.Run], _ row: Row) {
        var reasoning: [UInt8] = []
        var content: [UInt8] = []
        for run in runs {
            switch run {
            case .reasoning(let text): reasoning += text
            case .content(let text): content += text
            }
        }
        #expect(JSONValue([0x22] + reasoning + [0x22])?.string == row.reasoning)
        #expect(JSONValue([0x22] + content + [0x22])?.string == row.content)
    }
}

extension StringProtocol {
    fileprivate var escaped: String { String(self).replacing("\n", with: "\\n") }
}
