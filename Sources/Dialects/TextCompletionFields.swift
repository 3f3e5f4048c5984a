// What becomes of every OpenAI completion field at each kind of backend, as data.
// docs/PROTOCOLS.md says the same in words.

public import Chat

/// The fields of OpenAI's "Create completion".
public enum TextCompletionFields {
    /// All of them, in the alphabet's order.
    public static let table: [FieldRule] = [
        FieldRule("best_of", (.ignored, .honoured, .ignored), harmless: ["0", "1"]),
        FieldRule("echo", (.refused, .honoured, .refused), harmless: ["false"]),
        FieldRule("frequency_penalty", (.honoured, .honoured, .mapped)),
        FieldRule("logit_bias", (.honoured, .honoured, .ignored)),
        FieldRule("logprobs", (.mapped, .honoured, .mapped)),
        FieldRule("max_tokens", (.honoured, .honoured, .mapped)),
        FieldRule("model", (.mapped, .mapped, .mapped)),
        FieldRule("n", (.honoured, .honoured, .refused), harmless: ["1"]),
        FieldRule("presence_penalty", (.honoured, .honoured, .mapped)),
        FieldRule("prompt", (.honoured, .honoured, .mapped)),
        FieldRule("seed", (.honoured, .honoured, .mapped)),
        FieldRule("stop", (.honoured, .honoured, .mapped)),
        FieldRule("stream", (.mapped, .mapped, .mapped)),
        FieldRule("stream_options", (.mapped, .mapped, .mapped)),
        FieldRule("suffix", (.refused, .honoured, .mapped)),
        FieldRule("temperature", (.honoured, .honoured, .mapped)),
        FieldRule("top_p", (.honoured, .honoured, .mapped)),
        FieldRule("user", (.ignored, .honoured, .ignored)),
    ]

    private static let byName = Dictionary(uniqueKeysWithValues: table.map { ($0.name, $0) })

    /// The rule for `name`; `nil` if OpenAI knows no such field.
    static func rule(_ name: String) -> FieldRule? { byName[name] }

    /// Throws for the first field whose value asks for what a backend of `kind` cannot do and whose
    /// absence would change what the answer means.
    static func refuse(
        _ parameters: RequestParameters, for kind: UpstreamKind
    ) throws(APIError) {
        let server = kind == .ollama ? "Ollama" : "llama-server"
        for entry in parameters.entries {
            guard let rule = rule(entry.name), rule.handling(for: kind) == .refused,
                !rule.isHarmless(entry.value)
            else { continue }
            switch entry.name {
            case "n":
                throw .unsupported("n", "cannot be more than 1 here: Ollama gives one choice")
            case "echo": throw .unsupported("echo", "cannot be true here: \(server) has no echo")
            default:
                throw .unsupported(entry.name, "cannot be used here: \(server) does not know it")
            }
        }
    }
}

/// Writes `request` for a backend of `target`'s kind.
///
/// A pure function of its arguments, so that a retry on another backend simply asks again.
///
/// - Throws: `unsupported_parameter` or `invalid_value` where ignoring a field would change what
/// the answer means. Another backend of a pool may still take the request.
public func makeUpstreamRequest(
    _ request: TextCompletionRequest, for target: RequestTarget
) throws(APIError) -> UpstreamRequest {
    switch target.kind {
    case .llamaServer, .openAI: try OpenAICompletionRequestWriter(request, target).write()
    case .ollama: try OllamaRequestWriter(request, target).writeGenerate(request)
    }
}
