// What stands around the deltas of chunks.

internal import JSON

/// What stands around the delta of a chunk: each dialect brings its own.
package protocol ChunkEnvelope {
    /// About how many bytes stand around the texts; what is left of the limit is for them.
    var overhead: Int { get }
    /// Whether the event says something beside its deltas that must not be lost with them.
    var hasExtras: Bool { get }
    /// Whether the event holds a `timings` member.
    var hasTimings: Bool { get }
    /// Appends the chunk's JSON.
    func write(_ piece: ChunkPiece, _ identity: StreamIdentity, into bytes: inout [UInt8])
}

/// The envelope of chunks that are all our own, where an upstream's bytes cannot be the pattern.
package struct PlainEnvelope: ChunkEnvelope {
    private let includeUsage: Bool
    package var overhead = 512
    /// For the finish chunk.
    package var timings: [UInt8]?

    /// `includeUsage`: whether the chunks say `"usage":null`.
    package init(includeUsage: Bool) { self.includeUsage = includeUsage }

    package var hasExtras: Bool { false }
    package var hasTimings: Bool { timings != nil }

    package func write(
        _ piece: ChunkPiece, _ identity: StreamIdentity, into bytes: inout [UInt8]
    ) {
        identity.appendOpening(to: &bytes)
        bytes.append(#""choices":[{"index":"#)
        bytes.append(decimal: piece.index)
        bytes.append(#","delta":"#)
        bytes.append(piece.delta.span)
        if let logprobs = piece.logprobs {
            bytes.append(#","logprobs":"#)
            bytes.appendEscapingLineSeparators(logprobs.span)
        }
        bytes.append(#","finish_reason":"#)
        bytes.append(finish: piece.finish)
        bytes.append("}]")
        if includeUsage { bytes.append(#","usage":null"#) }
        if let timings, piece.finish != nil {
            bytes.append(#","timings":"#)
            bytes.append(timings.span)
        }
        bytes.append(UInt8(ascii: "}"))
    }
}

extension [UInt8] {
    /// Appends the value of `finish_reason`.
    package mutating func append(finish: FinishReason?) {
        guard let finish else { return append("null") }
        append(UInt8(ascii: "\""))
        append(finish.word)
        append(UInt8(ascii: "\""))
    }
}
