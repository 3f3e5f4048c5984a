// What one upstream event adds to one choice, and the chunks it becomes.

internal import JSON

/// Why a choice ended (OpenAI API reference, `finish_reason`).
package enum FinishReason: Sendable, Equatable, CaseIterable {
    case stop, length, toolCalls, contentFilter

    /// The word of the API.
    package var word: StaticString {
        switch self {
        case .stop: "stop"
        case .length: "length"
        case .toolCalls: "tool_calls"
        case .contentFilter: "content_filter"
        }
    }
}

/// What one upstream event adds to one choice. All texts are escaped JSON without quotes, and free
/// of raw line separators.
package struct ChoiceDelta: Sendable {
    /// The choice's number.
    package var index: Int
    /// Where the choice stands in the event's array.
    package var position: Int
    package var reasoning: [UInt8] = []
    package var content: [UInt8] = []
    package var toolCalls: [ToolCallFragment] = []
    /// Other members of the delta, ready to stand in an object: `"refusal":"No"`.
    package var otherMembers: [UInt8] = []
    /// The value of `logprobs`, unless it is missing or null.
    package var logprobs: [UInt8]?
    package var finish: FinishReason?
    /// Whether bytes of cut characters were replaced in the texts: see `TextCarry`.
    package var isRepaired = false

    package init(index: Int, position: Int) {
        self.index = index
        self.position = position
    }
}

/// One chunk to be written, less what it has in common with its neighbours.
package struct ChunkPiece: Sendable {
    /// The choice's number.
    package var index: Int
    /// Where the choice stands in the upstream event's array.
    package var position: Int
    /// The value of `delta`.
    package var delta: [UInt8]
    package var logprobs: [UInt8]?
    package var finish: FinishReason?
    /// Whether this is the choice's last chunk of the event: it then carries what else the upstream
    /// said about the choice.
    package var endsChoice = false
    /// Whether this is the event's last chunk: it then carries what else the upstream said.
    package var endsEvent = false

    init(_ delta: ChoiceDelta, _ text: [UInt8]) {
        index = delta.index
        position = delta.position
        self.delta = text
    }
}

/// What all chunks of a stream have in common, each value as JSON text.
package struct StreamIdentity: Sendable, Equatable {
    /// A string, with its quotes.
    package var id: [UInt8]
    package var created: [UInt8]
    /// A string, with its quotes.
    package var model: [UInt8]
    /// A string, with its quotes; `nil` if the upstream has none.
    package var fingerprint: [UInt8]?

    init(_ options: StreamOptions) {
        id = []
        id.appendJSONString(options.clientID ?? options.id)
        created = []
        created.append(decimal: options.created)
        model = []
        model.appendJSONString(options.model)
    }

    /// Appends the members every chunk begins with, each followed by a comma, after `{`.
    package func appendOpening(to bytes: inout [UInt8]) {
        bytes.append(#"{"id":"#)
        bytes.append(id.span)
        bytes.append(#","object":"chat.completion.chunk","created":"#)
        bytes.append(created.span)
        bytes.append(#","model":"#)
        bytes.append(model.span)
        if let fingerprint {
            bytes.append(#","system_fingerprint":"#)
            bytes.append(fingerprint.span)
        }
        bytes.append(UInt8(ascii: ","))
    }
}
