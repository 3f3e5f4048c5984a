// The quick way for token chunks: neighbours differ only in their text.

internal import JSON

/// What stands around the text of a chunk, so that the next one like it need not be taken apart.
struct CompletionTemplate: Sendable {
    private var isLearned = false
    private var head: [UInt8] = []
    private var tail: [UInt8] = []
    /// Where the choice stands among those assembled.
    private(set) var choice = 0
    /// Where the text stands among those of the choice.
    private(set) var member = 0

    mutating func forget() { isLearned = false }

    mutating func learn(_ chunk: [UInt8], text: Range<Int>, choice: Int, member: Int) {
        head.removeAll(keepingCapacity: true)
        head.append(chunk.span, 0..<text.lowerBound)
        tail.removeAll(keepingCapacity: true)
        tail.append(chunk.span, text.upperBound..<chunk.count)
        self.choice = choice
        self.member = member
        isLearned = true
    }

    /// Where the text stands, if `chunk` is like the one learned.
    func text(of chunk: Span<UInt8>) -> Range<Int>? {
        let tailStart = chunk.count - tail.count
        guard isLearned, tailStart >= head.count else { return nil }
        guard chunk.extracting(0..<head.count).isEqual(to: head.span),
            chunk.extracting(tailStart..<chunk.count).isEqual(to: tail.span)
        else { return nil }
        // The head ends with the opening quote, the tail begins with the closing one.
        var scanner = JSONScanner(at: head.count - 1, depthLimit: 1)
        // What is wrong with a text is found, and said, on the slow path.
        guard let text = try? scanner.scanString(chunk), text.upperBound == tailStart else {
            return nil
        }
        return text
    }
}

extension Span<UInt8> {
    /// Whether the bytes are the same.
    func isEqual(to other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        var i = 0
        while i &+ 8 <= count {
            // Safe: the loop's condition keeps all eight bytes inside both spans.
            let word = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
            let otherWord = unsafe other.bytes.unsafeLoadUnaligned(
                fromByteOffset: i, as: UInt64.self)
            guard word == otherWord else { return false }
            i &+= 8
        }
        while i < count {
            guard self[i] == other[i] else { return false }
            i &+= 1
        }
        return true
    }
}
