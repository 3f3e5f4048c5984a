// The part of Ollama's request that is no message: thinking, loading, sampling.

import Chat
import JSON

// Thinking.
extension OllamaRequestWriter {
    /// `think`, from Ollama's own field or from `reasoning_effort`.
    ///
    /// Asking a model without thoughts to think is a 400, and asking one with thoughts for nothing
    /// leaves them on (wire notes, section 3). So it is sent only where `/api/show` names the
    /// capability; `false` is always taken.
    mutating func writeThink() throws(APIError) {
        let think = parameters["think"]
        let effort = parameters["reasoning_effort"]
        let value: String
        if let think {
            value = try Self.thinkValue(think)
            if effort != nil { ignored.insert("reasoning_effort") }
        } else if let effort {
            value = try Self.thinkValue(effort: effort)
        } else {
            return
        }
        guard value == "false" || target.ollama.isKnown && target.ollama.thinking else {
            return ignored.insert(think == nil ? "reasoning_effort" : "think")
        }
        body.append(#","think":"#)
        body.append(Array(value.utf8))
    }

    private static let levels: Set<String> = ["low", "medium", "high", "max"]

    private static func thinkValue(
        _ entry: RequestParameters.Entry
    ) throws(APIError) -> String {
        if let flag = entry.value.bool { return flag ? "true" : "false" }
        guard let level = entry.value.string, levels.contains(level) else {
            throw .invalidValue(
                entry.path, #"must be true, false, "low", "medium", "high" or "max""#)
        }
        return "\"\(level)\""
    }

    /// Ollama's own mapping (wire notes, section 6.1).
    private static func thinkValue(
        effort entry: RequestParameters.Entry
    ) throws(APIError) -> String {
        switch entry.value.string {
        case "none": return "false"
        case "minimal", "low": return #""low""#
        case "medium": return #""medium""#
        case "high": return #""high""#
        case "xhigh", "ultra", "max": return #""max""#
        default:
            throw .invalidValue(
                "reasoning_effort",
                #"must be "none", "minimal", "low", "medium", "high", "xhigh", "ultra" or "max""#)
        }
    }
}

// Loading and sampling.
extension OllamaRequestWriter {
    /// Fields of the native request that clients and routes may use as they are.
    static let extensions: Set<String> = ["keep_alive", "truncate", "shift"]

    /// What goes into `options` under its own name. Those that OpenAI does not know are
    /// llama-server's and Ollama's.
    private static let optionNames: Set<String> = [
        "frequency_penalty", "presence_penalty", "seed", "temperature", "top_p",
        "draft_num_predict", "main_gpu", "min_p", "mirostat", "mirostat_eta", "mirostat_tau",
        "num_batch", "num_ctx", "num_gpu", "num_keep", "num_thread", "repeat_last_n",
        "repeat_penalty", "tfs_z", "top_k", "typical_p", "use_mmap",
    ]

    /// The names this writer has looked at by other means.
    private static let handled: Set<String> = [
        "logprobs", "max_completion_tokens", "max_tokens", "messages", "modalities", "model", "n",
        "n_predict", "num_predict", "options", "reasoning_effort", "response_format", "stop",
        "stream", "stream_options", "think", "tool_choice", "tools", "top_logprobs",
    ]

    /// `keep_alive`; and `truncate` and `shift` as false, so that a prompt that does not fit is an
    /// error instead of being cut in silence.
    mutating func writeExtensions() {
        for entry in parameters.entries
        where Self.extensions.contains(entry.name) && !entry.isOption && !entry.value.isNull {
            body.append(",")
            body.append(string: entry.name)
            body.append(":")
            append(entry)
        }
        guard target.ollama.supportsTruncate else { return }
        if parameters["truncate"] == nil { body.append(#","truncate":false"#) }
        if parameters["shift"] == nil { body.append(#","shift":false"#) }
    }

    /// `options`, with nothing in it that neither client nor route asked for: a value sent
    /// overrides the Modelfile's.
    mutating func writeOptions() throws(APIError) {
        var isFirst = true
        for entry in parameters.entries where isOption(entry) {
            appendOptionName(entry.name, &isFirst)
            append(entry)
        }
        if let limit = try tokenLimit() {
            appendOptionName("num_predict", &isFirst)
            body.append(Array("\(limit)".utf8))
        }
        if let stop = parameters["stop"], !isEmptyValue(stop.value) {
            appendOptionName("stop", &isFirst)
            // Always a list: anything else is a 500.
            body.append(stop.value.kind == .array ? "" : "[")
            append(stop)
            body.append(stop.value.kind == .array ? "" : "]")
        }
        if !isFirst { body.append("}") }
    }

    func isOption(_ entry: RequestParameters.Entry) -> Bool {
        guard !entry.value.isNull, entry.name != "stop" else { return false }
        if Self.optionNames.contains(entry.name) { return true }
        return entry.isOption && !Self.handled.contains(entry.name)
    }

    private mutating func appendOptionName(_ name: String, _ isFirst: inout Bool) {
        body.append(isFirst ? #","options":{"# : ",")
        isFirst = false
        body.append(string: name)
        body.append(":")
    }

    /// The smallest limit given; `nil` for none, since −1 here would still be capped at ten
    /// contexts and 0 runs without end (wire notes, section 3).
    private func tokenLimit() throws(APIError) -> Int? {
        var smallest: Int?
        for entry in parameters.tokenLimits {
            guard let limit = entry.value.int, limit >= 1 || limit == -1 else {
                throw .invalidValue(entry.path, "must be at least 1, or -1 for no limit")
            }
            if limit > 0 { smallest = min(limit, smallest ?? limit) }
        }
        return smallest
    }

    /// Names what was not sent: OpenAI's fields that Ollama has nothing for, and every field that
    /// is not known here.
    mutating func reportIgnored() {
        for entry in parameters.entries where !isEmptyValue(entry.value) && !isOption(entry) {
            if Self.handled.contains(entry.name) { continue }
            if Self.extensions.contains(entry.name), !entry.isOption { continue }
            if FieldRule.named(entry.name)?.isHarmless(entry.value) == true { continue }
            ignored.insert(entry.path)
        }
    }
}
