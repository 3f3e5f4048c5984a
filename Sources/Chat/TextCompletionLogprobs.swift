// Log probabilities in the form of OpenAI's completions, beside the form of its chats.

package import JSON

/// Writes the `logprobs` of one choice.
///
/// llama-server and Ollama have one form for both endpoints, that of chats: `content`, an entry for
/// each token. Clients of completions read `tokens`, `token_logprobs`, `top_logprobs` and
/// `text_offset` (OpenAI API reference, "The completion object"), so these are added.
package struct TextCompletionLogprobs: Sendable {
    /// How many characters the tokens so far have: offsets count from the start of the answer.
    private var offset = 0

    package init() {}

    /// `logprobs` with the members of completions, if it has `content` and none of them; else as it
    /// is. Line separators are escaped.
    package mutating func completed(_ logprobs: JSONText) -> [UInt8] {
        guard let content = logprobs["content"], content.kind == .array,
            logprobs["tokens"] == nil, logprobs["token_logprobs"] == nil
        else { return escaped(logprobs) }
        var lists = Lists()
        for entry in content.elements where entry.kind == .object {
            append(entry, to: &lists)
        }
        var json = escaped(logprobs)
        json.removeLast()
        for (name, list) in [
            ("tokens", lists.tokens), ("token_logprobs", lists.logprobs),
            ("top_logprobs", lists.top), ("text_offset", lists.offsets),
        ] {
            json.append(contentsOf: ",\"\(name)\":[".utf8)
            json.append(list.span)
            json.append(UInt8(ascii: "]"))
        }
        json.append(UInt8(ascii: "}"))
        return json
    }

    /// The elements of the four lists, with commas between them.
    private struct Lists {
        var tokens: [UInt8] = []
        var logprobs: [UInt8] = []
        var top: [UInt8] = []
        var offsets: [UInt8] = []
    }

    private mutating func append(_ entry: JSONText, to lists: inout Lists) {
        if !lists.tokens.isEmpty {
            lists.tokens.append(UInt8(ascii: ","))
            lists.logprobs.append(UInt8(ascii: ","))
            lists.top.append(UInt8(ascii: ","))
            lists.offsets.append(UInt8(ascii: ","))
        }
        lists.tokens += token(entry)
        lists.logprobs += probability(entry)
        appendAlternatives(entry, to: &lists.top)
        lists.offsets.append(decimal: offset)
        offset += entry["token"]?.string?.unicodeScalars.count ?? 0
    }

    /// The likeliest tokens, and the one that was taken: "there may be up to `logprobs`+1
    /// elements".
    private func appendAlternatives(_ entry: JSONText, to list: inout [UInt8]) {
        guard let alternatives = entry["top_logprobs"], !alternatives.elements.isEmpty else {
            return list.append("null")
        }
        // Tokens that are no whole characters look alike; an object has room for one of each name.
        var names: Set<[UInt8]> = []
        list.append(UInt8(ascii: "{"))
        for alternative in alternatives.elements + [entry] {
            let name = token(alternative)
            guard alternative.kind == .object, names.insert(name).inserted else { continue }
            if names.count > 1 { list.append(UInt8(ascii: ",")) }
            list += name
            list.append(UInt8(ascii: ":"))
            list += probability(alternative)
        }
        list.append(UInt8(ascii: "}"))
    }

    /// The token's text as a JSON string.
    private func token(_ entry: JSONText) -> [UInt8] {
        guard let token = entry["token"], token.kind == .string else { return Array(#""""#.utf8) }
        return escaped(token)
    }

    private func probability(_ entry: JSONText) -> [UInt8] {
        guard let number = entry["logprob"], number.kind == .number else {
            return Array("null".utf8)
        }
        return Array(number.bytes)
    }

    private func escaped(_ value: JSONText) -> [UInt8] {
        var json: [UInt8] = []
        json.appendEscapingLineSeparators(value.bytes.span)
        return json
    }
}
