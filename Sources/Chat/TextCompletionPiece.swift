// What one upstream event adds to one choice of a text completion, and the chunks it becomes.

internal import JSON

/// What one upstream event adds to one choice. `text` is escaped JSON without quotes, and free of
/// raw line separators.
package struct TextCompletionDelta: Sendable {
    /// The choice's number.
    package var index: Int
    /// Where the choice stands in the event's array.
    package var position: Int
    package var text: [UInt8] = []
    /// The value of `logprobs`, unless it is missing or null.
    package var logprobs: [UInt8]?
    package var finish: FinishReason?
    /// Whether bytes of cut characters were replaced in the text: see `TextCarry`.
    package var isRepaired = false

    package init(index: Int, position: Int) {
        self.index = index
        self.position = position
    }
}

/// One chunk to be written, less what it has in common with its neighbours.
package struct TextCompletionPiece: Sendable {
    /// The choice's number.
    package var index: Int
    /// Where the choice stands in the upstream event's array.
    package var position: Int
    /// Escaped JSON without quotes.
    package var text: [UInt8]
    package var logprobs: [UInt8]?
    package var finish: FinishReason?
    /// Whether this is the event's last chunk: it then carries what else the upstream said.
    package var endsEvent = false

    init(_ delta: TextCompletionDelta, _ text: [UInt8]) {
        index = delta.index
        position = delta.position
        self.text = text
    }
}

/// What stands around the text of a chunk: each dialect brings its own.
package protocol TextCompletionEnvelope {
    /// About how many bytes stand around the text; what is left of the limit is for it.
    var overhead: Int { get }
    /// Whether the event says something beside its texts that must not be lost with them.
    var hasExtras: Bool { get }
    /// Appends the chunk's JSON. `usage` says whether it is to have a `usage` of null.
    func write(
        _ piece: TextCompletionPiece, _ identity: StreamIdentity, usage: Bool,
        into bytes: inout [UInt8])
}

/// A chunk with nothing in it but what every chunk has.
package struct PlainTextEnvelope: TextCompletionEnvelope {
    /// For the finish chunk.
    package var timings: [UInt8]?
    package var overhead = 512
    package var hasExtras: Bool { false }

    package init() {}

    package func write(
        _ piece: TextCompletionPiece, _ identity: StreamIdentity, usage: Bool,
        into bytes: inout [UInt8]
    ) {
        identity.appendTextOpening(to: &bytes)
        bytes.append(#""choices":[{"text":""#)
        bytes.append(piece.text.span)
        bytes.append(#"","index":"#)
        bytes.append(decimal: piece.index)
        bytes.append(#","logprobs":"#)
        if let logprobs = piece.logprobs {
            bytes.append(logprobs.span)
        } else {
            bytes.append("null")
        }
        bytes.append(#","finish_reason":"#)
        bytes.append(finish: piece.finish)
        bytes.append("}]")
        if usage { bytes.append(#","usage":null"#) }
        if let timings, piece.finish != nil {
            bytes.append(#","timings":"#)
            bytes.append(timings.span)
        }
        bytes.append(UInt8(ascii: "}"))
    }
}

extension StreamIdentity {
    /// Appends the members every chunk of a text completion begins with, each followed by a comma,
    /// after `{`.
    package func appendTextOpening(to bytes: inout [UInt8]) {
        bytes.append(#"{"id":"#)
        bytes.append(id.span)
        bytes.append(#","object":"text_completion","created":"#)
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
