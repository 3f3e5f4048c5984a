// What becomes of every field of Ollama's API at each kind of backend, as data. docs/PROTOCOLS.md
// says the same in words.

public import Chat

/// The fields of Ollama's native requests.
public enum FacadeFields {
    /// All fields of an endpoint, in the alphabet's order.
    public static func table(_ endpoint: OllamaRequest.Endpoint) -> [FieldRule] {
        switch endpoint {
        case .chat: chat
        case .generate: generate
        case .embed: embed
        case .embeddings: embeddings
        }
    }

    private static let chat = [
        FieldRule("format", (.mapped, .mapped, .honoured)),
        FieldRule("keep_alive", (.ignored, .ignored, .honoured)),
        FieldRule("logprobs", (.honoured, .honoured, .honoured), harmless: ["false"]),
        FieldRule("messages", (.mapped, .mapped, .honoured)),
        FieldRule("model", (.mapped, .mapped, .mapped)),
        FieldRule("options", (.mapped, .mapped, .honoured)),
        FieldRule("shift", (.ignored, .ignored, .honoured), harmless: ["false"]),
        FieldRule("stream", (.mapped, .mapped, .mapped)),
        FieldRule("think", (.mapped, .mapped, .honoured)),
        FieldRule("tools", (.mapped, .mapped, .honoured)),
        FieldRule("top_logprobs", (.honoured, .honoured, .honoured), harmless: ["0"]),
        FieldRule("truncate", (.ignored, .ignored, .honoured), harmless: ["false"]),
    ]

    private static let generate = [
        FieldRule("context", (.ignored, .ignored, .honoured)),
        FieldRule("format", (.mapped, .mapped, .honoured)),
        FieldRule("images", (.mapped, .mapped, .honoured)),
        FieldRule("keep_alive", (.ignored, .ignored, .honoured)),
        FieldRule("logprobs", (.honoured, .honoured, .honoured), harmless: ["false"]),
        FieldRule("model", (.mapped, .mapped, .mapped)),
        FieldRule("options", (.mapped, .mapped, .honoured)),
        FieldRule("prompt", (.mapped, .mapped, .honoured)),
        FieldRule("raw", (.mapped, .mapped, .honoured), harmless: ["false"]),
        FieldRule("shift", (.ignored, .ignored, .honoured), harmless: ["false"]),
        FieldRule("stream", (.mapped, .mapped, .mapped)),
        FieldRule("suffix", (.refused, .honoured, .honoured)),
        FieldRule("system", (.mapped, .mapped, .honoured)),
        FieldRule("template", (.refused, .refused, .honoured)),
        FieldRule("think", (.mapped, .mapped, .honoured)),
        FieldRule("top_logprobs", (.honoured, .honoured, .honoured), harmless: ["0"]),
        FieldRule("truncate", (.ignored, .ignored, .honoured), harmless: ["false"]),
    ]

    private static let embed = [
        FieldRule("dimensions", (.refused, .honoured, .honoured)),
        FieldRule("input", (.honoured, .honoured, .honoured)),
        FieldRule("keep_alive", (.ignored, .ignored, .honoured)),
        FieldRule("model", (.mapped, .mapped, .mapped)),
        FieldRule("options", (.ignored, .ignored, .honoured)),
        FieldRule("truncate", (.ignored, .ignored, .honoured), harmless: ["false"]),
    ]

    private static let embeddings = [
        FieldRule("keep_alive", (.ignored, .ignored, .honoured)),
        FieldRule("model", (.mapped, .mapped, .mapped)),
        FieldRule("options", (.ignored, .ignored, .honoured)),
        FieldRule("prompt", (.mapped, .mapped, .honoured)),
    ]

    /// What stands in `options`.
    public static let options = [
        FieldRule("frequency_penalty", (.honoured, .honoured, .honoured)),
        FieldRule("min_p", (.honoured, .ignored, .honoured)),
        FieldRule("mirostat", (.honoured, .ignored, .honoured)),
        FieldRule("mirostat_eta", (.honoured, .ignored, .honoured)),
        FieldRule("mirostat_tau", (.honoured, .ignored, .honoured)),
        FieldRule("num_ctx", (.ignored, .ignored, .honoured)),
        FieldRule("num_keep", (.mapped, .ignored, .honoured)),
        FieldRule("num_predict", (.mapped, .mapped, .honoured)),
        FieldRule("presence_penalty", (.honoured, .honoured, .honoured)),
        FieldRule("repeat_last_n", (.honoured, .ignored, .honoured)),
        FieldRule("repeat_penalty", (.honoured, .ignored, .honoured)),
        FieldRule("seed", (.honoured, .honoured, .honoured)),
        FieldRule("stop", (.honoured, .honoured, .honoured)),
        FieldRule("temperature", (.honoured, .honoured, .honoured)),
        FieldRule("top_k", (.honoured, .ignored, .honoured)),
        FieldRule("top_p", (.honoured, .honoured, .honoured)),
        FieldRule("typical_p", (.honoured, .ignored, .honoured)),
    ]

    private static let optionsByName = Dictionary(
        uniqueKeysWithValues: options.map { ($0.name, $0) })

    static func option(_ name: String) -> FieldRule? { optionsByName[name] }
}
