// A whole answer of Ollama's form, put together from its records.

import Chat
import JSON

/// Adds up the records of a stream to the one document a client gets that did not ask for a stream.
struct OllamaAssembler: AnswerAssembler {
    private let limitBytes: Int
    private var heldBytes = 0
    // Texts are kept escaped, as they came.
    private var content: [UInt8] = []
    private var response: [UInt8] = []
    private var thinking: [UInt8] = []
    private var toolCalls: [UInt8] = []
    private var logprobs: [UInt8] = []
    /// The last record, which has the figures.
    private var last: JSONText?

    init(limitBytes: Int) { self.limitBytes = limitBytes }

    mutating func take(lines: Span<UInt8>) throws(CompletionError) {
        var start = 0
        while start < lines.count {
            var end = start
            while end < lines.count, lines[end] != 0x0A { end &+= 1 }
            guard end < lines.count else { throw .malformedChunk }
            var line: [UInt8] = []
            line.append(lines, start..<end)
            // Our own records always are JSON.
            guard let record = try? JSONText(line) else { throw .malformedChunk }
            try take(record)
            start = end + 1
        }
    }

    private mutating func take(_ record: JSONText) throws(CompletionError) {
        for member in record.members {
            switch member.key.string {
            case "message": takeMessage(member.value)
            case "response": heldBytes += Self.append(text: member.value, to: &response)
            case "thinking": heldBytes += Self.append(text: member.value, to: &thinking)
            case "logprobs": heldBytes += Self.append(elements: member.value, to: &logprobs)
            default: break
            }
        }
        last = record
        guard heldBytes + record.source.count <= limitBytes else {
            throw .tooLong(limitBytes: limitBytes)
        }
    }

    private mutating func takeMessage(_ message: JSONText) {
        for member in message.members {
            switch member.key.string {
            case "content": heldBytes += Self.append(text: member.value, to: &content)
            case "thinking": heldBytes += Self.append(text: member.value, to: &thinking)
            case "tool_calls": heldBytes += Self.append(elements: member.value, to: &toolCalls)
            default: break
            }
        }
    }

    /// Returns how many bytes it has appended.
    private static func append(text: JSONText, to bytes: inout [UInt8]) -> Int {
        guard text.kind == .string else { return 0 }
        bytes += text.source[text.contents]
        return text.contents.count
    }

    /// Appends the inside of an array; returns how many bytes that were.
    private static func append(elements array: JSONText, to bytes: inout [UInt8]) -> Int {
        let before = bytes.count
        for element in array.elements {
            if !bytes.isEmpty { bytes.append(UInt8(ascii: ",")) }
            bytes += element.bytes
        }
        return bytes.count - before
    }

    func completion() -> [UInt8] {
        var json: [UInt8] = [UInt8(ascii: "{")]
        for member in last?.members ?? [] {
            switch member.key.string {
            case "thinking", "logprobs": continue
            case "message":
                writeMessage(&json)
            case "response":
                write("response", response, &json)
                if !thinking.isEmpty { write("thinking", thinking, &json) }
            default:
                begin(&json)
                json += member.key.bytes
                json.append(UInt8(ascii: ":"))
                json += member.value.bytes
            }
        }
        if !logprobs.isEmpty { write("logprobs", list: logprobs, &json) }
        json.append(UInt8(ascii: "}"))
        return json
    }

    private func writeMessage(_ json: inout [UInt8]) {
        begin(&json)
        json.append(#""message":{"role":"assistant""#)
        write("content", content, &json)
        if !thinking.isEmpty { write("thinking", thinking, &json) }
        if !toolCalls.isEmpty { write("tool_calls", list: toolCalls, &json) }
        json.append(UInt8(ascii: "}"))
    }

    private func begin(_ json: inout [UInt8]) {
        if json.count > 1 { json.append(UInt8(ascii: ",")) }
    }

    private func write(_ name: StaticString, _ text: [UInt8], _ json: inout [UInt8]) {
        begin(&json)
        json.append(UInt8(ascii: "\""))
        json.append(name)
        json.append(#"":""#)
        json += text
        json.append(UInt8(ascii: "\""))
    }

    private func write(_ name: StaticString, list: [UInt8], _ json: inout [UInt8]) {
        begin(&json)
        json.append(UInt8(ascii: "\""))
        json.append(name)
        json.append(#"":["#)
        json += list
        json.append(UInt8(ascii: "]"))
    }
}
