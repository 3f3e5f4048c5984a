// The figures of Ollama's last record, in the shape of llama-server's `timings`.

internal import Chat
internal import JSON

/// Token counts and durations of one answer.
struct OllamaMetrics: Equatable {
    /// Tokens of the prompt, cached ones included.
    let promptCount: Int
    /// Tokens of the prompt that were not evaluated again; only newer versions tell.
    let cachedCount: Int?
    /// Tokens of the answer.
    let count: Int
    private let promptNanoseconds: Int
    private let nanoseconds: Int

    /// Reads the members of the record with `done: true`. A count that is zero is left out there
    /// (wire notes of Ollama, section 3).
    init(_ record: [JSONText.Member]) {
        promptCount = record.value("prompt_eval_count")?.tokenCount ?? 0
        cachedCount = record.value("prompt_eval_cached_count")?.tokenCount
        count = record.value("eval_count")?.tokenCount ?? 0
        promptNanoseconds = record.value("prompt_eval_duration")?.int ?? 0
        nanoseconds = record.value("eval_duration")?.int ?? 0
    }

    /// The `timings` object; `nil` if nothing was generated (a load, an unload).
    func timings() -> [UInt8]? {
        guard promptNanoseconds > 0 || nanoseconds > 0 else { return nil }
        var json: [UInt8] = [UInt8(ascii: "{")]
        if let cachedCount {
            json.append(#""cache_n":"#)
            json.append(decimal: cachedCount)
            json.append(UInt8(ascii: ","))
        }
        let evaluated = max(0, promptCount - (cachedCount ?? 0))
        Self.append("prompt", evaluated, promptNanoseconds, to: &json)
        json.append(UInt8(ascii: ","))
        Self.append("predicted", count, nanoseconds, to: &json)
        json.append(UInt8(ascii: "}"))
        return json
    }

    private static func append(
        _ name: StaticString, _ count: Int, _ nanoseconds: Int, to json: inout [UInt8]
    ) {
        let milliseconds = Double(nanoseconds) / 1e6
        let perToken = count > 0 ? milliseconds / Double(count) : 0
        let perSecond = nanoseconds > 0 ? Double(count) * 1e9 / Double(nanoseconds) : 0
        json.append(UInt8(ascii: "\""))
        json.append(name)
        json.append(#"_n":"#)
        json.append(decimal: count)
        let figures: [(StaticString, Double)] = [
            ("_ms", milliseconds), ("_per_token_ms", perToken), ("_per_second", perSecond),
        ]
        for (suffix, value) in figures {
            json.append(",\"")
            json.append(name)
            json.append(suffix)
            json.append("\":")
            json.append(contentsOf: value.description.utf8)
        }
    }
}
