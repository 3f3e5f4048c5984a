// A normalised chunk as the writer of Ollama's records reads it.

import JSON

/// Where the parts of one chunk stand. There is one choice, since Ollama's API knows no more.
struct FacadeChunk {
    /// The text of a chat's delta or of a text completion, still escaped.
    private(set) var text = 0..<0
    /// Thoughts, still escaped.
    private(set) var thinking = 0..<0
    /// The JSON of tool call fragments.
    private(set) var toolCalls: Range<Int>?
    /// The JSON of the list of log probabilities.
    private(set) var logprobs: Range<Int>?
    /// Why the answer ended, without quotes.
    private(set) var finish: Range<Int>?
    /// The JSON of the counts.
    private(set) var usage: Range<Int>?
    /// The JSON of llama-server's figures.
    private(set) var timings: Range<Int>?
    private var scanner = JSONScanner(depthLimit: 128)

    /// Reads one line.
    init(_ line: Span<UInt8>) throws(JSONError) {
        try scanner.enterObject(line)
        while let key = try scanner.nextMember(line) {
            if equal(line, key, "choices") {
                try readChoices(line)
            } else if equal(line, key, "usage") {
                usage = try object(line)
            } else if equal(line, key, "timings") {
                timings = try object(line)
            } else {
                try scanner.skipValue(line)
            }
        }
        try scanner.finish(line)
    }

    private mutating func readChoices(_ line: Span<UInt8>) throws(JSONError) {
        try scanner.enterArray(line)
        while try scanner.nextElement(line) {
            try scanner.enterObject(line)
            while let key = try scanner.nextMember(line) { try readMember(line, key) }
        }
    }

    private mutating func readMember(_ line: Span<UInt8>, _ key: Range<Int>) throws(JSONError) {
        let kind = try scanner.peekKind(line)
        if kind == .object, equal(line, key, "delta") {
            try scanner.enterObject(line)
            while let key = try scanner.nextMember(line) { try readDelta(line, key) }
        } else if kind == .object, equal(line, key, "logprobs") {
            try scanner.enterObject(line)
            while let key = try scanner.nextMember(line) {
                let isList = try scanner.peekKind(line) == .array && equal(line, key, "content")
                let value = try scanner.skipValue(line)
                if isList { logprobs = value }
            }
        } else if kind == .string, equal(line, key, "text") {
            text = try scanner.scanString(line)
        } else if kind == .string, equal(line, key, "finish_reason") {
            finish = try scanner.scanString(line)
        } else {
            try scanner.skipValue(line)
        }
    }

    private mutating func readDelta(_ line: Span<UInt8>, _ key: Range<Int>) throws(JSONError) {
        let kind = try scanner.peekKind(line)
        if kind == .string, equal(line, key, "content") {
            text = try scanner.scanString(line)
        } else if kind == .string, equal(line, key, "reasoning_content") {
            thinking = try scanner.scanString(line)
        } else if kind == .array, equal(line, key, "tool_calls") {
            toolCalls = try scanner.skipValue(line)
        } else {
            try scanner.skipValue(line)
        }
    }

    private mutating func object(_ line: Span<UInt8>) throws(JSONError) -> Range<Int>? {
        let isObject = try scanner.peekKind(line) == .object
        let value = try scanner.skipValue(line)
        return isObject ? value : nil
    }
}
