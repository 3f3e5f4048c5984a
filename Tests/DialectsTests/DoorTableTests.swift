// docs/PROTOCOLS.md, "What leaves": each row is sent through the decoders, with and without a value
// of the backend's own.

import Chat
import Dialects
import TestSupport
import Testing

@Suite struct DoorTableTests {
    /// One row of the table.
    struct Row: Sendable, CustomTestStringConvertible {
        let event: String
        let path: [String]
        let isMade: Bool
        let value: String

        var testDescription: String { "\(event) \(path.joined(separator: "."))" }
        var door: Door { event.hasPrefix("response.") ? .responses : .messages }
    }

    static let rows: [Row] = {
        let text = (try? fixture("../../docs/PROTOCOLS.md")) ?? []
        let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
        guard let head = lines.firstIndex(of: "| event | field | becomes |") else { return [] }
        return lines[(head + 2)...].prefix { $0.hasPrefix("|") }.compactMap { line in
            let words = line.split(separator: "`")
            guard words.count == 7 else { return nil }
            return Row(
                event: String(words[1]), path: words[3].split(separator: ".").map(String.init),
                isMade: words[4].contains("made"), value: String(words[5]))
        }
    }()

    /// What the backend sends before the event in question.
    private static func before(_ event: String) -> [String] {
        switch event {
        case "response.created", "message_start": []
        case _ where event.hasPrefix("response."):
            [
                #"{"type":"response.created","response":{}}"#,
                #"{"type":"response.in_progress","response":{}}"#,
            ] + (event.hasSuffix("item.added") ? [] : [item])
                + (event.hasPrefix("response.output_text") ? [part] : [])
        default: [#"{"type":"message_start","message":{}}"#]
        }
    }

    private static let item =
        #"{"type":"response.output_item.added","item":{"id":"item","type":"message"}}"#
    private static let part =
        #"{"type":"response.content_part.added","part":{"type":"output_text"}}"#

    /// The event itself, with `own` as the value at `path`, if there is one.
    private static func event(_ type: String, _ path: [String], _ own: String?) -> String {
        func members(_ prefix: [String], _ known: String) -> String {
            guard let own, path.dropLast() == prefix[...] else { return known }
            return known + (known.isEmpty ? "" : ",") + #""\#(path[path.count - 1])":\#(own)"#
        }
        let inside: String
        switch type {
        case "response.created": inside = #""response":{\#(members(["response"], ""))}"#
        case "response.completed":
            let details = members(["response", "usage", "input_tokens_details"], "")
            let usage = members(
                ["response", "usage"], #""input_tokens_details":{\#(details)}"#)
            inside = #""response":{"usage":{\#(usage)}}"#
        case "message_start":
            let usage = members(["message", "usage"], "")
            inside = #""message":{\#(members(["message"], #""usage":{\#(usage)}"#))}"#
        case "content_block_start":
            let block = members(["content_block"], #""type":"tool_use""#)
            inside = #""index":0,"content_block":{\#(block)}"#
        case "response.content_part.added", "response.content_part.done":
            inside = #""part":{\#(members(["part"], #""type":"output_text""#))}"#
        case "response.output_item.added", "response.output_item.done":
            inside = #""item":{"id":"item","type":"message"}"#
        case "response.output_text.done": inside = #""text":"""#
        default: inside = #""delta":"x""#
        }
        return "{" + members([], #""type":"\#(type)",\#(inside)"#) + "}"
    }

    /// A value of the same kind that is not the one in the table.
    private static func another(than value: String) -> String {
        switch value.first {
        case "[": #"["own"]"#
        case "{": #"{"own":1}"#
        case "t", "f": value == "true" ? "false" : "true"
        case "n": #""own""#
        case "\"": #""own""#
        default: "7"
        }
    }

    private func decoded(_ row: Row, own: String?) throws -> JSONValue? {
        let events = Self.before(row.event) + [Self.event(row.event, row.path, own)]
        let decoded = try decodeDoor(row.door, events: events)
        let found = decoded.namedEvents.last { $0.name == row.event }
        return row.path.reduce(found?.data) { $0?[$1] }
    }

    @Test func theTableIsThere() {
        #expect(Self.rows.count > 45)
        #expect(Set(Self.rows.map(\.event)).count > 12)
    }

    @Test(arguments: rows) func aRowIsTrue(_ row: Row) throws {
        let value = JSONValue(row.value.utf8)
        #expect(try decoded(row, own: nil) == value)
        // An item's id is found by its name, so its own must be one that was begun.
        guard row.path != ["item_id"] else { return }
        let own = Self.another(than: row.value)
        #expect(try decoded(row, own: own) == (row.isMade ? value : JSONValue(own.utf8)))
        // Null is no value, where a value is needed.
        guard row.path.first != "response" || row.path.count > 2 else { return }
        #expect(try decoded(row, own: "null") == value)
    }
}
