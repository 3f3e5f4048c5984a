// docs/PROTOCOLS.md's tables of answers against the decoders: a row that is untrue fails.

import Chat
import Dialects
import TestSupport
import Testing

/// Walks the tables; what the backends send stands in `ResponseTableInputs`.
@Suite struct ResponseTableTests {
    /// What came of one stream: its chunks, and the completion they add up to.
    private struct Answer {
        let chunks: [JSONValue]
        let completion: JSONValue

        init(
            _ dialect: UpstreamDialect, _ body: String, _ change: (inout StreamOptions) -> Void
        ) throws {
            let options = testOptions {
                $0.includeUsage = true
                change(&$0)
            }
            let bytes = Array(body.utf8)
            let decoded = decode(dialect, [bytes], options)
            #expect(decoded.error == nil)
            chunks = decoded.events.dropLast().compactMap { JSONValue($0.utf8) }
            var assembler = CompletionAssembler(limitBytes: 1 << 20)
            try assembler.take(
                lines: decode(dialect, [bytes], options, framing: .lines).bytes.span)
            completion = try #require(JSONValue(assembler.completion()))
        }
    }

    private func answer(
        _ dialect: UpstreamDialect, _ change: (inout StreamOptions) -> Void = { _ in }
    ) throws -> Answer {
        try Answer(dialect, ResponseTableInputs.body(dialect), change)
    }

    // MARK: - Fields

    @Test(arguments: UpstreamDialect.allCases)
    func everyFieldIsWhatItsRowSays(_ dialect: UpstreamDialect) throws {
        let rows = try documentRows(under: "| chunk | completion | llama-server, openai | ollama |")
        let answer = try answer(dialect)
        let upstream = ResponseTableInputs.events(dialect)
        #expect(rows.count > 30)
        for row in rows {
            let path = try #require(row[0].quoted.first)
            let source = ResponseTableInputs.sourcePath(of: path, dialect)
            let said = first(at: source, in: upstream)
            let leaves = first(at: path, in: answer.chunks)
            let handling = row[dialect == .openAI ? 2 : 3].prefix { $0 != " " }
            let isTrue =
                switch handling {
                case "passed": leaves != nil && leaves == said
                case "mapped": leaves != nil && said != nil && (leaves != said || source != path)
                case "made": leaves != nil && leaves != said
                case "dropped": leaves == nil && said != nil
                case "—": leaves == nil && said == nil
                default: false
                }
            #expect(isTrue, "\(path) is not \(handling): \(String(describing: leaves))")
            guard let place = row[1].quoted.first else { continue }
            let whole = first(at: place, in: [answer.completion])
            #expect((whole != nil) == (leaves != nil), "\(place) in a completion")
            // Texts are added up, and the object is another; all else is the same.
            if whole?.string == nil { #expect(whole == leaves, "\(place) in a completion") }
        }
    }

    /// Every member that leaves has a row.
    @Test(arguments: UpstreamDialect.allCases)
    func everyMemberHasItsRow(_ dialect: UpstreamDialect) throws {
        let rows = try documentRows(under: "| chunk | completion | llama-server, openai | ollama |")
        let answer = try answer(dialect)
        func check(_ values: [JSONValue], _ column: Int) {
            let known = rows.compactMap { $0[column].quoted.first }
            for path in Set(values.flatMap { paths(in: $0, "") }) {
                let isKnown = known.contains { path == $0 || path.hasPrefix($0 + ".") }
                let isInside = ["timings", "prompt_progress", "choices[].logprobs.content[]."]
                    .contains(where: path.hasPrefix)
                #expect(isKnown || isInside, "\(path) has no row")
            }
        }
        check(answer.chunks, 0)
        check([answer.completion], 1)
    }

    // MARK: - Why it ended

    @Test func everyEndIsWhatItsRowSays() throws {
        let rows = try documentRows(under: "| backend | says | after text | after a call |")
        #expect(rows.count == 7)
        for row in rows {
            for word in row[1].quoted {
                for (column, hasCall) in [(2, false), (3, true)] {
                    let body =
                        row[0] == "ollama"
                        ? ResponseTableInputs.ollamaEnd(word, hasCall)
                        : ResponseTableInputs.openAIEnd(word, hasCall)
                    let decoded = decode(
                        row[0] == "ollama" ? .ollama : .openAI, [Array(body.utf8)])
                    guard let finish = row[column].quoted.first else {
                        #expect(decoded.error != nil && !decoded.text.contains("[DONE]"))
                        continue
                    }
                    let chunks = decoded.events.compactMap { JSONValue($0.utf8) }
                    #expect(first(at: "choices[].finish_reason", in: chunks)?.string == finish)
                }
            }
        }
    }

    // MARK: - Tool calls, thoughts, timings

    @Test func everyHabitOfCallsIsWhatItsRowSays() throws {
        let rows = try documentRows(under: "| the backend | what leaves |")
        let habits = ResponseTableInputs.habits
        #expect(rows.map { $0[0] } == habits.map(\.what))
        for habit in habits {
            let decoded = decode(.openAI, [Array(habit.body.utf8)])
            let schema = ChunkSchema(decoded.bytes, .init())
            #expect(schema.violations == [], "\(habit.what)")
            #expect(schema.choices.first?.calls == habit.calls, "\(habit.what)")
        }
    }

    @Test(arguments: UpstreamDialect.allCases)
    func everySettingOfThoughtsIsWhatItsRowSays(_ dialect: UpstreamDialect) throws {
        let rows = try documentRows(under: "| setting | members |")
        #expect(rows.compactMap { $0[0].quoted.first } == ReasoningField.allCases.map(\.rawValue))
        for (row, field) in zip(rows, ReasoningField.allCases) {
            let answer = try answer(dialect) { $0.reasoning = field }
            for name in ["reasoning_content", "reasoning"] {
                let isNamed = row[1].quoted.contains(name)
                let streamed = first(at: "choices[].delta.\(name)", in: answer.chunks)
                let whole = first(at: "choices[].message.\(name)", in: [answer.completion])
                #expect((streamed?.string == "Hm") == isNamed, "\(field) \(name)")
                #expect((whole?.string == "Hm") == isNamed, "\(field) \(name)")
            }
        }
    }

    @Test func theTimingsOfOllamaHaveTheirRows() throws {
        let rows = try documentRows(under: "| member | from |")
        let timings = first(at: "timings", in: try answer(.ollama).chunks)
        #expect(timings?.keys == rows.compactMap { $0[0].quoted.first })
    }

    // MARK: - Reading

    /// The first value at a path like `choices[].delta.content` that says something.
    private func first(at path: String, in values: [JSONValue]) -> JSONValue? {
        let steps = path.split(separator: ".").map(String.init)
        return values.lazy.compactMap { self.value(of: $0, steps[...]) }.first
    }

    private func value(of value: JSONValue, _ steps: ArraySlice<String>) -> JSONValue? {
        guard let step = steps.first else {
            return value == .null || value == .string("") ? nil : value
        }
        let isArray = step.hasSuffix("[]")
        guard let member = value[isArray ? String(step.dropLast(2)) : step] else { return nil }
        guard isArray else { return self.value(of: member, steps.dropFirst()) }
        return member.elements.lazy.compactMap { self.value(of: $0, steps.dropFirst()) }.first
    }

    /// The paths of all members that are no objects or arrays, and say something.
    private func paths(in value: JSONValue, _ prefix: String) -> [String] {
        switch value {
        case .object(let members):
            let dot = prefix.isEmpty ? "" : prefix + "."
            return members.flatMap { paths(in: $0.value, dot + $0.key) }
        case .array(let elements): return elements.flatMap { paths(in: $0, prefix + "[]") }
        case .null: return []
        case .bool, .number, .string: return [prefix]
        }
    }
}

/// The cells of the table with this head in docs/PROTOCOLS.md, without white space around them.
func documentRows(under head: String) throws -> [[String]] {
    let text = String(decoding: try fixture("../../docs/PROTOCOLS.md"), as: UTF8.self)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    let start = try #require(lines.firstIndex { $0 == head })
    return lines[(start + 2)...].prefix { $0.hasPrefix("|") }.map { line in
        line.split(separator: "|").map { cell in
            String(cell.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
    }
}

extension String {
    /// The words in back quotes.
    fileprivate var quoted: [String] {
        let parts = split(separator: "`", omittingEmptySubsequences: false)
        return parts.indices.filter { $0 % 2 == 1 }.map { String(parts[$0]) }
    }
}
