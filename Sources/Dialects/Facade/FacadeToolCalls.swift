// Fragments of tool calls in, whole calls as Ollama has them out.

import Chat
import JSON

/// Puts the calls of one answer together. Ollama's clients get a call when it is complete, its
/// arguments as an object; and nothing of it before.
struct FacadeToolCalls: Sendable {
    /// What is known of the call that is being made.
    private struct Call: Sendable {
        let index: Int
        var id: [UInt8] = []
        var name: [UInt8] = []
        var arguments: [UInt8] = []
    }

    private let limitBytes: Int
    private var open: Call?

    init(limitBytes: Int) { self.limitBytes = limitBytes }

    /// Takes the fragments of one chunk; returns the calls that they show to be complete, each as
    /// an element of `tool_calls`.
    mutating func take(_ fragments: JSONText) throws(DialectError) -> [[UInt8]] {
        var complete: [[UInt8]] = []
        for fragment in fragments.elements {
            let index = fragment["index"]?.int ?? open?.index ?? 0
            if open?.index != index {
                if let call = try finish() { complete.append(call) }
                open = Call(index: index)
            }
            let function = fragment["function"]
            if let id = fragment["id"], id.kind == .string { open?.id = Array(id.bytes) }
            if let name = function?["name"], name.kind == .string {
                open?.name = Array(name.bytes)
            }
            if let arguments = function?["arguments"] { open?.arguments += arguments.decodedBytes }
            guard (open?.arguments.count ?? 0) <= limitBytes else {
                throw .frameTooLong(limitBytes: limitBytes)
            }
        }
        return complete
    }

    /// No more fragments of the open call will come; `nil` if there is none.
    ///
    /// - Throws: `malformedFrame` if its arguments are no object.
    mutating func finish() throws(DialectError) -> [UInt8]? {
        guard let call = open else { return nil }
        open = nil
        let isBlank = call.arguments.allSatisfy { $0 <= 0x20 }
        let arguments = isBlank ? Array("{}".utf8) : call.arguments
        // What is not JSON is no object either.
        guard let object = try? JSONText(arguments), object.kind == .object else {
            throw .malformed(arguments.span)
        }
        var bytes = Array(#"{"id":"#.utf8)
        bytes += call.id.isEmpty ? Array(#""""#.utf8) : call.id
        bytes.append(#","function":{"index":"#)
        bytes.append(decimal: call.index)
        bytes.append(#","name":"#)
        bytes += call.name.isEmpty ? Array(#""""#.utf8) : call.name
        bytes.append(#","arguments":"#)
        // Line breaks between tokens would end the record.
        let oneLine = object.bytes.map { $0 < 0x20 ? 0x20 : $0 }
        bytes.appendEscapingLineSeparators(oneLine.span)
        bytes.append("}}")
        return bytes
    }

    /// The answer was cut: what is left of a call that is not whole goes with the rest.
    mutating func finishCut() -> [UInt8]? {
        // An object that is whole is one; anything else was cut.
        try? finish()
    }
}
