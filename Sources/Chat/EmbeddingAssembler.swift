// The whole answer of an endpoint that has nothing to add up.

internal import JSON

/// Holds the one line a decoder of embeddings writes.
public struct EmbeddingAssembler: AnswerAssembler {
    private var answer: [UInt8] = []

    /// Makes an assembler. The decoder has bounded the answer.
    public init() {}

    /// Takes the lines of a sink with `.lines`.
    public mutating func take(lines: Span<UInt8>) throws(CompletionError) {
        guard lines.count > 0, lines[lines.count - 1] == 0x0A else { throw .malformedChunk }
        answer = []
        answer.append(lines.extracting(0..<(lines.count - 1)))
    }

    /// The answer's JSON.
    public func completion() -> [UInt8] { answer }
}
