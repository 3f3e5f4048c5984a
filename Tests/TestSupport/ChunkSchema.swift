// The one form every streamed answer has, written down as checks.

/// What a normalised stream adds up to, and every rule it breaks.
public struct ChunkSchema: Sendable {
    /// What a client knows before it reads.
    public struct Expectation: Sendable {
        /// The name the client asked for.
        public var model = "asked"
        /// Whether it asked for usage.
        public var includeUsage = false
        /// How many choices it asked for.
        public var choiceCount = 1
        /// Whether the upstream finished; else the stream may have neither finish nor `[DONE]` …
        public var isComplete = true
        /// The members thoughts may stand in.
        public var reasoningKeys = ["reasoning_content"]
        /// No event is longer, in bytes.
        public var eventLimit = 256 * 1024 + 1024
        /// Whether the upstream keeps to what ours were recorded to do: it tells usage, has as
        /// many choices as asked for, and no members of its own in deltas.
        public var isOfKnownServer = true

        /// Makes an expectation of one complete choice.
        public init() {}
    }

    /// What came of one choice.
    public struct Choice: Sendable, Equatable {
        /// Its number.
        public var index = 0
        /// All of its content.
        public var content = ""
        /// All of its thoughts.
        public var reasoning = ""
        /// Its calls.
        public var calls: [Call] = []
        /// Why it ended.
        public var finish: String?
        /// All entries of `logprobs.content`.
        public var logprobs: [JSONValue] = []
    }

    /// A tool call.
    public struct Call: Sendable, Equatable {
        /// The call's id.
        public var id: String
        /// The function's name.
        public var name: String
        /// The text of its arguments.
        public var arguments: String

        /// Makes a call.
        public init(id: String, name: String, arguments: String) {
            self.id = id
            self.name = name
            self.arguments = arguments
        }
    }

    /// The broken rules, each with the event that breaks it.
    public private(set) var violations: [String] = []
    /// The choices in the order of their first chunks.
    public private(set) var choices: [Choice] = []
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
        for event in split(bytes) { take(event) }
        if expectation.isComplete {
            check(isDone, "no [DONE]", "the end")
            check(choices.allSatisfy { $0.finish != nil }, "no finish", "the end")
            check(expectation.includeUsage || usage == nil, "usage unasked", "the end")
            guard expectation.isOfKnownServer else { return }
            check(choices.count == expectation.choiceCount, "choices missing", "the end")
            check(expectation.includeUsage == (usage != nil), "usage not as asked", "the end")
        } else {
            check(!isDone, "[DONE] without an end", "the end")
        }
    }

    // MARK: - Events

    private mutating func check(_ holds: Bool, _ rule: String, _ event: String) {
        if !holds { violations.append("\(rule): \(event.prefix(300))") }
    }

    /// The data of the events: exactly one `data: ` line and a blank one for each.
    private mutating func split(_ bytes: [UInt8]) -> [[UInt8]] {
        var events: [[UInt8]] = []
        var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)[...]
        while lines.count >= 2, let line = lines.popFirst(), let blank = lines.popFirst() {
            let isEvent = line.starts(with: "data: ".utf8) && blank.isEmpty
            check(isEvent, "not one data line and a blank one", text(line))
            check(line.count <= expectation.eventLimit, "event too long", text(line))
            events.append(Array(line.dropFirst(6)))
        }
        check(lines.count == 1 && lines.first?.isEmpty == true, "bytes after the last event", "")
        return events
    }

    private mutating func take(_ event: [UInt8]) {
        let text = text(event[...])
        check(!isDone, "an event after [DONE]", text)
        if text == "[DONE]" {
            check(choices.allSatisfy { $0.finish != nil }, "[DONE] before a finish", text)
            isDone = true
            return
        }
        let separators: [Unicode.Scalar] = ["\u{85}", "\u{2028}", "\u{2029}"]
        let isClean = !text.unicodeScalars.contains(where: separators.contains)
        check(isClean, "a raw line separator", text)
        guard let chunk = JSONValue(event) else {
            check(false, "not JSON", text)
            return
        }
        chunks.append(chunk)
        checkCommon(chunk, text)
        if let timings = chunk["timings"] { self.timings = timings }
        guard case .array(let parts)? = chunk["choices"] else {
            check(false, "no choices", text)
            return
        }
        if parts.isEmpty {
            takeUsage(chunk, text)
        } else {
            check(usage == nil, "a choice after the usage", text)
            check(parts.count == 1, "more than one choice", text)
            let wanted: JSONValue? = expectation.includeUsage ? .null : nil
            check(chunk["usage"] == wanted, "usage in an ordinary chunk", text)
            for part in parts { take(choice: part, text) }
        }
    }

    private mutating func checkCommon(_ chunk: JSONValue, _ text: String) {
        check(Set(chunk.keys).count == chunk.keys.count, "a key twice", text)
        check(chunk["id"]?.string?.hasPrefix("chatcmpl-") == true, "id", text)
        check(chunk["object"] == .string("chat.completion.chunk"), "object", text)
        check(chunk["created"]?.int != nil, "created", text)
        check(chunk["model"] == .string(expectation.model), "model", text)
        guard let first = chunks.first else { return }
        check(chunk["id"] == first["id"], "another id", text)
        check(chunk["created"] == first["created"], "another created", text)
    }

    private mutating func takeUsage(_ chunk: JSONValue, _ text: String) {
        check(expectation.includeUsage, "usage that was not asked for", text)
        check(usage == nil, "usage twice", text)
        check(choices.allSatisfy { $0.finish != nil }, "usage before a finish", text)
        let parts = ["prompt_tokens", "completion_tokens", "total_tokens"].map {
            chunk["usage"]?[$0]?.int
        }
        if case (let prompt?, let completion?, let total?) = (parts[0], parts[1], parts[2]) {
            check(prompt + completion == total, "a wrong total", text)
        } else {
            check(false, "not three integers", text)
        }
        usage = chunk["usage"]
    }

    // MARK: - Choices

    private mutating func take(choice: JSONValue, _ text: String) {
        guard let index = choice["index"]?.int, case .object? = choice["delta"],
            let finish = choice["finish_reason"], let delta = choice["delta"]
        else {
            check(false, "a choice without index, delta or finish_reason", text)
            return
        }
        guard let position = choices.firstIndex(where: { $0.index == index }) else {
            choices.append(Choice(index: index))
            let keys = delta.keys.prefix(2)
            let isFirst =
                keys == ["role", "content"] && delta["role"] == .string("assistant")
                && delta["content"] == .string("")
            check(isFirst && delta.keys.count == 2, "not the role first", text)
            check(finish == .null, "the role with a finish", text)
            return
        }
        check(choices[position].finish == nil, "a chunk after the finish", text)
        check(delta["role"] == nil, "the role again", text)
        choices[position].logprobs += choice["logprobs"]?["content"]?.elements ?? []
        take(delta: delta, at: position, text)
        guard finish != .null else { return }
        let reasons = ["stop", "length", "tool_calls", "content_filter"]
        check(delta == .object([]), "a finish with a delta", text)
        check(finish.string.map(reasons.contains) == true, "an unknown finish", text)
        let hasCalls = !choices[position].calls.isEmpty
        check(!(hasCalls && finish.string == "stop"), "stop after a call", text)
        check(
            choices[position].calls.allSatisfy { !$0.arguments.isEmpty }, "empty arguments", text)
        choices[position].finish = finish.string
    }

    private mutating func take(delta: JSONValue, at position: Int, _ text: String) {
        let thoughts = expectation.reasoningKeys.filter { delta[$0] != nil }
        let kinds = [delta["content"] != nil, !thoughts.isEmpty, delta["tool_calls"] != nil]
        check(kinds.filter { $0 }.count <= 1, "two kinds of delta in one chunk", text)
        let known = ["content", "tool_calls", "refusal"] + expectation.reasoningKeys
        let isKnown = delta.keys.allSatisfy(known.contains)
        check(isKnown || !expectation.isOfKnownServer, "an unknown delta", text)
        if let content = delta["content"] {
            check(content.string != nil, "content that is no string", text)
            choices[position].content += content.string ?? ""
        }
        if let key = thoughts.first {
            check(thoughts == expectation.reasoningKeys, "a reasoning key missing", text)
            check(thoughts.allSatisfy { delta[$0] == delta[key] }, "thoughts differ", text)
            check(delta[key]?.string != nil, "thoughts that are no string", text)
            choices[position].reasoning += delta[key]?.string ?? ""
        }
        for call in delta["tool_calls"]?.elements ?? [] { take(call: call, at: position, text) }
    }

    private mutating func take(call: JSONValue, at position: Int, _ text: String) {
        guard let index = call["index"]?.int, 0...choices[position].calls.count ~= index,
            let arguments = call["function"]?["arguments"]?.string
        else {
            check(false, "a call without index or arguments, or a gap", text)
            return
        }
        if index < choices[position].calls.count {
            check(call.keys.count == 2, "more than arguments in a later fragment", text)
            check(call["function"]?.keys == ["arguments"], "the name again", text)
            choices[position].calls[index].arguments += arguments
            return
        }
        guard let id = call["id"]?.string, !id.isEmpty, let name = call["function"]?["name"]?.string
        else {
            check(false, "a first fragment without id or name", text)
            return
        }
        check(call["type"] == .string("function"), "a call that is no function", text)
        let isNew = !choices[position].calls.contains { $0.id == id }
        check(isNew, "an id twice", text)
        choices[position].calls.append(Call(id: id, name: name, arguments: arguments))
    }

    private func text(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes, as: UTF8.self)
    }
}
