// Finds a model's thoughts inside its content: `<think>…</think>` before the answer.

internal import JSON

/// Separates a leading `<think>…</think>` from the answer, wherever the upstream cut them.
///
/// Only the beginning of a choice is looked at: an answer about such tags is left alone. White
/// space next to the tags belongs to them, as Ollama's and llama.cpp's own parsers have it.
struct ThinkTagSplitter: Sendable {
    /// A stretch of escaped text, and what it is.
    enum Run: Sendable, Equatable {
        case reasoning([UInt8])
        case content([UInt8])
    }

    private enum State: Sendable {
        /// Nothing but white space and perhaps a part of the opening tag has come.
        case beforeTag
        /// Behind the opening tag, where white space is dropped.
        case afterOpening
        /// In the thoughts.
        case thinking
        /// Behind the closing tag, where white space is dropped.
        case afterClosing
        /// In the answer: nothing more is looked for.
        case through
    }

    private var state = State.beforeTag
    /// Plain text that may turn out to be a tag, or white space that belongs to one.
    private var waiting: [UInt8] = []

    private static let opening = Array("<think>".utf8)
    private static let closing = Array("</think>".utf8)

    /// White space before a tag is held back no longer than this, in bytes: templates put a line
    /// break or two there.
    private static let waitingLimit = 256

    /// Whether all that comes is content.
    var isThrough: Bool { state == .through }

    /// What can leave of the text so far. `escaped` is JSON text without quotes.
    mutating func take(_ escaped: [UInt8]) -> [Run] {
        var text = waiting
        waiting = []
        appendUnescaped(escaped.span, 0..<escaped.count, to: &text)
        var runs: [Run] = []
        var start = 0
        while start < text.count || state == .through {
            guard let next = step(text, start, &runs) else { break }
            start = next
        }
        return runs
    }

    /// The choice has ended: what waited is what it looks like.
    mutating func finish() -> [Run] {
        defer { waiting = [] }
        guard !waiting.isEmpty else { return [] }
        switch state {
        case .beforeTag, .through: return [.content(escaped(waiting[...]))]
        case .thinking: return [.reasoning(escaped(waiting[...]))]
        case .afterOpening, .afterClosing: return []
        }
    }

    /// Takes what the present state makes of the text from `start`; `nil` if it needs more.
    private mutating func step(_ text: [UInt8], _ start: Int, _ runs: inout [Run]) -> Int? {
        let rest = text[start...]
        switch state {
        case .beforeTag:
            let tag = rest.drop(while: isSpace)
            if tag.starts(with: Self.opening) {
                state = .afterOpening
                return tag.startIndex + Self.opening.count
            }
            if Self.opening.starts(with: tag), rest.count < Self.waitingLimit {
                waiting = Array(rest)
                return nil
            }
            state = .through
            return start
        case .afterOpening, .afterClosing:
            let text = rest.drop(while: isSpace)
            guard !text.isEmpty else { return nil }
            state = state == .afterOpening ? .thinking : .through
            return text.startIndex
        case .thinking: return think(rest, &runs)
        case .through:
            if !rest.isEmpty { runs.append(.content(escaped(rest))) }
            return nil
        }
    }

    private mutating func think(_ rest: ArraySlice<UInt8>, _ runs: inout [Run]) -> Int? {
        var end = rest.startIndex
        while end < rest.endIndex {
            let tail = rest[end...]
            if tail.starts(with: Self.closing) {
                if end > rest.startIndex {
                    runs.append(.reasoning(escaped(rest[rest.startIndex..<end])))
                }
                state = .afterClosing
                return end + Self.closing.count
            }
            if Self.closing.starts(with: tail) { break }
            end += 1
        }
        if end > rest.startIndex {
            runs.append(.reasoning(escaped(rest[rest.startIndex..<end])))
        }
        waiting = Array(rest[end...])
        return nil
    }

    private func escaped(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var escaped: [UInt8] = []
        escaped.appendEscaped(text.span)
        return escaped
    }
}

private func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
}
