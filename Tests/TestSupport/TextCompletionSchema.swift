// The one form every streamed text completion has, written down as checks.

/// What a stream of `text_completion` chunks adds up to, and every rule it breaks.
public struct TextCompletionSchema: Sendable {
    /// What a client knows before it reads.
    public struct Expectation: Sendable {
        /// The name the client asked for.
        public var model = "asked"
        /// Whether it asked for usage.
        public var includeUsage = false
        /// How many choices it asked for.
        public var choiceCount = 1
        /// Whether the upstream finished; else the stream has no `[DONE]`.
        public var isComplete = true
        /// No event is longer, in bytes.
        public var eventLimit = 256 * 1024 + 1024

        /// Makes an expectation of one complete choice.
        public init() {}
    }

    /// What came of one choice.
    public struct Choice: Sendable, Equatable {
        /// All of its text.
        public var text = ""
        /// Why it ended.
        public var finish: String?
        /// All entries of `logprobs.content`.
        public var logprobs: [JSONValue] = []
        /// All elements of `logprobs.tokens`.
        public var tokens: [JSONValue] = []
    }

    /// The broken rules, each with the event that breaks it.
    public private(set) var violations: [String] = []
    /// The choices by their number.
    public private(set) var choices: [Int: Choice] = [:]
    /// The usage chunk's usage.
    public private(set) var usage: JSONValue?
    /// The last `timings` seen.
    public private(set) var timings: JSONValue?
    /// The chunks, in order.
    public private(set) var chunks: [JSONValue] = []
    private var isDone = false
    private let expectation: Expectation

    /// Reads the bytes a client got.
    public init(_ bytes: [UInt8], _ expectation: Expectation) {
        self.expectation = expectation
        var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)[...]
        while lines.count >= 2, let line = lines.popFirst(), let blank = lines.popFirst() {
            let isEvent = line.starts(with: "data: ".utf8) && blank.isEmpty
            check(isEvent, "not one data line and a blank one", line)
            check(line.count <= expectation.eventLimit, "event too long", line)
            take(line.dropFirst(6))
        }
        check(lines.count == 1 && lines.first?.isEmpty == true, "bytes after the last event", [])
        guard expectation.isComplete else {
            check(!isDone, "[DONE] without an end", [])
            return
        }
        check(isDone, "no [DONE]", [])
        check(
            Set(choices.keys) == Set(0..<expectation.choiceCount), "not the choices asked for", [])
        check(choices.values.allSatisfy { $0.finish != nil }, "no finish", [])
        check(expectation.includeUsage == (usage != nil), "usage not as asked", [])
    }

    // MARK: - Events

    private mutating func check(_ holds: Bool, _ rule: String, _ event: ArraySlice<UInt8>) {
        if !holds {
            violations.append("\(rule): \(String(decoding: event.prefix(300), as: UTF8.self))")
        }
    }

    private mutating func take(_ event: ArraySlice<UInt8>) {
        check(!isDone, "an event after [DONE]", event)
        if event.elementsEqual("[DONE]".utf8) {
            check(choices.values.allSatisfy { $0.finish != nil }, "[DONE] before a finish", event)
            isDone = true
            return
        }
        let separators: [Unicode.Scalar] = ["\u{85}", "\u{2028}", "\u{2029}"]
        let text = String(decoding: event, as: UTF8.self)
        check(!text.unicodeScalars.contains(where: separators.contains), "a raw separator", event)
        guard let chunk = JSONValue(event) else { return check(false, "not JSON", event) }
        chunks.append(chunk)
        checkCommon(chunk, event)
        if let timings = chunk["timings"] { self.timings = timings }
        guard case .array(let parts)? = chunk["choices"] else {
            return check(false, "no choices", event)
        }
        if parts.isEmpty { return takeUsage(chunk, event) }
        check(usage == nil, "a choice after the usage", event)
        check(parts.count == 1, "more than one choice", event)
        let wanted: JSONValue? = expectation.includeUsage ? .null : nil
        check(chunk["usage"] == wanted, "usage in an ordinary chunk", event)
        for part in parts { take(choice: part, event) }
    }

    private mutating func checkCommon(_ chunk: JSONValue, _ event: ArraySlice<UInt8>) {
        check(Set(chunk.keys).count == chunk.keys.count, "a key twice", event)
        let id = chunk["id"]?.string ?? ""
        check(id.hasPrefix("cmpl-") || id.hasPrefix("chatcmpl-"), "id", event)
        check(chunk["object"] == .string("text_completion"), "object", event)
        check(chunk["created"]?.int != nil, "created", event)
        check(chunk["model"] == .string(expectation.model), "model", event)
        guard let first = chunks.first else { return }
        check(chunk["id"] == first["id"], "another id", event)
        check(chunk["created"] == first["created"], "another created", event)
    }

    private mutating func takeUsage(_ chunk: JSONValue, _ event: ArraySlice<UInt8>) {
        check(expectation.includeUsage, "usage that was not asked for", event)
        check(usage == nil, "usage twice", event)
        check(choices.values.allSatisfy { $0.finish != nil }, "usage before a finish", event)
        let parts = ["prompt_tokens", "completion_tokens", "total_tokens"].map {
            chunk["usage"]?[$0]?.int
        }
        if case (let prompt?, let completion?, let total?) = (parts[0], parts[1], parts[2]) {
            check(prompt + completion == total, "a wrong total", event)
        } else {
            check(false, "not three integers", event)
        }
        usage = chunk["usage"]
    }

    private mutating func take(choice: JSONValue, _ event: ArraySlice<UInt8>) {
        guard let index = choice["index"]?.int, let text = choice["text"]?.string,
            let finish = choice["finish_reason"], let logprobs = choice["logprobs"]
        else {
            return check(
                false, "a choice without index, text, logprobs or finish_reason", event)
        }
        check((0..<expectation.choiceCount).contains(index), "an index not asked for", event)
        var known = choices[index] ?? Choice()
        check(known.finish == nil, "a chunk after the finish", event)
        known.text += text
        known.logprobs += logprobs["content"]?.elements ?? []
        known.tokens += logprobs["tokens"]?.elements ?? []
        if finish != .null {
            let reasons = ["stop", "length", "content_filter"]
            check(finish.string.map(reasons.contains) == true, "an unknown finish", event)
            known.finish = finish.string
        }
        choices[index] = known
    }
}
