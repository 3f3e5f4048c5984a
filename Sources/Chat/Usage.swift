// Token counts of a stream: what upstreams say about them, in whichever chunk, made into one
// figure.

package import JSON

/// Collects the counts an upstream reports in the course of a stream.
package struct UsageTally: Sendable {
    /// The last `usage` object that had counts, as it stood.
    private var object: [UInt8] = []
    /// Its figures, as far as they stand there as plain integers.
    private var figures = Figures()
    private var promptTokens: Int?
    private var completionTokens: Int?
    /// The last closing `timings` object, as it stood, that has not left yet.
    package var timings: [UInt8]?
    private var finishChunks = PredictedCount()
    private var usageChunks = PredictedCount()

    private struct Figures: Equatable {
        var prompt: Int?
        var completion: Int?
        var total: Int?
    }

    /// Sums `predicted_n` over the choices.
    private struct PredictedCount: Sendable {
        var sum = 0
        var choices = 0
    }

    package init() {}

    /// Takes a `usage` value; anything but an object with counts is ignored.
    package mutating func note(usage: JSONText) {
        note(
            prompt: usage["prompt_tokens"], completion: usage["completion_tokens"],
            total: usage["total_tokens"], object: usage.bytes)
    }

    /// The same, where the value is a part of an index.
    package mutating func note(usage: JSONIndex.Value, of json: JSONIndex) {
        note(
            prompt: json.member("prompt_tokens", of: usage).map(json.text),
            completion: json.member("completion_tokens", of: usage).map(json.text),
            total: json.member("total_tokens", of: usage).map(json.text),
            object: json.bytes(of: usage))
    }

    private mutating func note(
        prompt: JSONText?, completion: JSONText?, total: JSONText?, object: ArraySlice<UInt8>
    ) {
        // Some servers put zeros or nulls into every chunk; the last real figure counts.
        guard let count = prompt?.tokenCount else { return }
        promptTokens = count
        completionTokens = completion?.tokenCount ?? 0
        figures = Figures(
            prompt: prompt?.plainInteger, completion: completion?.plainInteger,
            total: total?.plainInteger)
        self.object = Array(object)
    }

    /// Takes counts that stand in no `usage` object; `cached` are prompt tokens.
    package mutating func note(prompt: Int, completion: Int, cached: Int?) {
        promptTokens = prompt
        completionTokens = completion
        figures = Figures(prompt: prompt, completion: completion, total: prompt + completion)
        object = []
        object.appendUsage(prompt: prompt, completion: completion)
        guard let cached else { return }
        object.removeLast()
        object.append(#","prompt_tokens_details":{"cached_tokens":"#)
        object.append(decimal: cached)
        object.append("}}")
    }

    /// Takes llama-server's `timings` of a chunk that ends a choice, or of the usage chunk after
    /// it.
    package mutating func note(
        closingTimings timings: JSONIndex.Value, of json: JSONIndex, inFinishChunk: Bool
    ) {
        func count(_ name: StaticString) -> Int? {
            json.member(name, of: timings).flatMap { json.text(of: $0).tokenCount }
        }
        guard let predicted = count("predicted_n") else { return }
        if inFinishChunk {
            finishChunks.sum += predicted
            finishChunks.choices += 1
        } else {
            usageChunks.sum += predicted
            usageChunks.choices += 1
        }
        // A server that was not asked for usage, or has none, still tells by its timings.
        guard promptTokens == nil, let prompt = count("prompt_n") else { return }
        let cached = count("cache_n")
        note(prompt: prompt + (cached ?? 0), completion: predicted, cached: cached)
    }

    /// Prompt and completion tokens of all choices; `nil` as long as the upstream has said nothing.
    package var counts: (prompt: Int, completion: Int)? {
        guard let promptTokens, let completionTokens else { return nil }
        // llama-server counts one choice only (wire notes, section 2), but times each of them.
        let perChoice = finishChunks.choices > 0 ? finishChunks : usageChunks
        let completion = perChoice.choices > 1 ? perChoice.sum : completionTokens
        return (promptTokens, completion)
    }

    /// The `usage` object for the client: the upstream's, with three integers that are right.
    package func usageObject() -> [UInt8]? {
        guard let counts else { return nil }
        let total = counts.prompt + counts.completion
        // `5.0` is the same figure, but no integer to a client that reads strictly.
        let right = Figures(prompt: counts.prompt, completion: counts.completion, total: total)
        if figures == right { return object }
        guard let reported = try? JSONText(object) else { return nil }
        var usage: [UInt8] = []
        usage.appendUsage(prompt: counts.prompt, completion: counts.completion)
        usage.removeLast()
        // Details that the upstream gives stay; they are about the prompt, which is one for all.
        let rewritten = ["prompt_tokens", "completion_tokens", "total_tokens"]
        for member in reported.members
        where !rewritten.contains(where: member.isNamed) {
            usage.append(UInt8(ascii: ","))
            usage += member.key.bytes
            usage.append(UInt8(ascii: ":"))
            usage += member.value.bytes
        }
        usage.append(UInt8(ascii: "}"))
        return usage
    }
}

extension JSONText {
    /// The number as a count of tokens. What no model could have counted is as good as missing, and
    /// sums of what is left cannot overflow.
    package var tokenCount: Int? {
        guard let int, 0..<(1 << 48) ~= int else { return nil }
        return int
    }
}

extension [UInt8] {
    fileprivate mutating func appendUsage(prompt: Int, completion: Int) {
        append(#"{"prompt_tokens":"#)
        append(decimal: prompt)
        append(#","completion_tokens":"#)
        append(decimal: completion)
        append(#","total_tokens":"#)
        append(decimal: prompt + completion)
        append(UInt8(ascii: "}"))
    }
}
