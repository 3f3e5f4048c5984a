// Deltas as JSON text, none longer than a client can read.

internal import JSON

/// Writes deltas, cut so that no event grows past its limit.
struct PieceWriter: Sendable {
    let field: ReasoningField
    /// How many bytes of text fit into one event.
    let room: Int

    /// Appends a delta for each cut of `text`; none if it is empty.
    func appendContent(_ text: [UInt8], to deltas: inout [[UInt8]]) {
        append(text, head: #"{"content":""#, tail: "\"}", to: &deltas)
    }

    /// Appends a delta for each cut of a thought, under the name that is set.
    func appendReasoning(_ text: [UInt8], to deltas: inout [[UInt8]]) {
        switch field {
        case .reasoningContent:
            append(text, head: #"{"reasoning_content":""#, tail: "\"}", to: &deltas)
        case .reasoning:
            append(text, head: #"{"reasoning":""#, tail: "\"}", to: &deltas)
        case .both:
            guard !text.isEmpty else { return }
            // The same text stands twice in each event.
            for range in cuts(of: text.span, room: room / 2) {
                var delta = Array(#"{"reasoning_content":""#.utf8)
                delta.append(text.span, range)
                delta.append(#"","reasoning":""#)
                delta.append(text.span, range)
                delta.append("\"}")
                deltas.append(delta)
            }
        case .none: break
        }
    }

    /// Appends a delta for each cut of the arguments; only the first says whose they are.
    ///
    /// An upstream that already writes the normal form keeps its bytes, unless they are too many.
    func appendToolCall(_ call: NormalToolCallFragment, to deltas: inout [[UInt8]]) {
        if let verbatim = call.verbatim {
            var delta = Array(#"{"tool_calls":["#.utf8)
            delta.appendEscapingLineSeparators(verbatim.span)
            delta.append("]}")
            if delta.count <= room {
                deltas.append(delta)
                return
            }
        }
        for range in cuts(of: call.arguments.span, room: room) {
            var delta = Array(#"{"tool_calls":[{"index":"#.utf8)
            delta.append(decimal: call.index)
            if range.lowerBound == 0, let id = call.id {
                delta.append(#","id":""#)
                delta.append(id.span)
                delta.append(#"","type":"function""#)
            }
            delta.append(#","function":{"#)
            if range.lowerBound == 0, let name = call.name {
                delta.append(#""name":""#)
                delta.append(name.span)
                delta.append("\",")
            }
            delta.append(#""arguments":""#)
            delta.append(call.arguments.span, range)
            delta.append("\"}}]}")
            deltas.append(delta)
        }
    }

    private func append(
        _ text: [UInt8], head: StaticString, tail: StaticString, to deltas: inout [[UInt8]]
    ) {
        guard !text.isEmpty else { return }
        for range in cuts(of: text.span, room: room) {
            var delta: [UInt8] = []
            delta.append(head)
            delta.append(text.span, range)
            delta.append(tail)
            deltas.append(delta)
        }
    }
}
