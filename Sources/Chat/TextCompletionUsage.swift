// Token counts of a text completion: of each choice or of all, made into one figure.

package import JSON

/// Collects the counts an upstream reports in the course of a stream.
///
/// llama-server tells each choice's own with its finish, also unasked; its whole answer has those
/// of one choice only. Other servers tell the sum in an event without choices.
package struct TextCompletionUsage: Sendable {
    private struct Prompt: Sendable {
        var tokens: Int
        var cached: Int?
    }

    private let choiceCount: Int
    private let choicesPerPrompt: Int
    private var tally = UsageTally()
    /// By the number of the prompt, whose choices share it.
    private var prompts: [Int: Prompt] = [:]
    /// By the number of the choice.
    private var completions: [Int: Int] = [:]
    private var isSum = false
    /// The `timings` of an event without choices.
    package var timings: [UInt8]?

    init(choiceCount: Int, choicesPerPrompt: Int) {
        self.choiceCount = choiceCount
        self.choicesPerPrompt = choicesPerPrompt
    }

    /// Takes a `usage` value that speaks of all choices.
    package mutating func note(sum usage: JSONText) {
        guard usage["prompt_tokens"]?.int != nil else { return }
        isSum = true
        tally.note(usage: usage)
    }

    /// Takes a `usage` value that came with choice `index` alone.
    package mutating func note(_ usage: JSONText, ofChoice index: Int) {
        guard !isSum, let prompt = usage["prompt_tokens"]?.int else { return }
        guard choiceCount > 1 else { return tally.note(usage: usage) }
        prompts[index / choicesPerPrompt] = Prompt(
            tokens: prompt, cached: usage["prompt_tokens_details"]?["cached_tokens"]?.int)
        completions[index] = usage["completion_tokens"]?.int ?? 0
        let cached = prompts.values.compactMap(\.cached)
        tally.note(
            prompt: prompts.values.reduce(0) { $0 &+ $1.tokens },
            completion: completions.values.reduce(0, &+),
            cached: cached.isEmpty ? nil : cached.reduce(0, &+))
    }

    /// Takes counts that stand in no `usage` object; `cached` are prompt tokens.
    package mutating func note(prompt: Int, completion: Int, cached: Int?) {
        tally.note(prompt: prompt, completion: completion, cached: cached)
    }

    /// Prompt and completion tokens of all choices; `nil` as long as the upstream has said nothing.
    package var counts: (prompt: Int, completion: Int)? { tally.counts }

    /// The `usage` object for the client, with three integers that are right.
    package func object() -> [UInt8]? { tally.usageObject() }
}
