// What becomes of every field of Responses and Messages at each kind of backend, as data.
// docs/PROTOCOLS.md says the same in words.

internal import Chat

/// The fields of OpenAI's "Create a model response" and of Anthropic's "Create a Message".
public enum DoorFields {
    /// Those of Responses, in the alphabet's order.
    public static let responses: [FieldRule] = [
        FieldRule("access_programs", (.ignored, .honoured, .ignored)),
        FieldRule("background", (.refused, .honoured, .refused), harmless: ["false"]),
        FieldRule("context_management", (.ignored, .honoured, .ignored)),
        FieldRule("conversation", (.refused, .honoured, .refused)),
        FieldRule("image", (.ignored, .honoured, .ignored)),
        FieldRule("include", (.ignored, .honoured, .ignored)),
        FieldRule("input", (.mapped, .honoured, .honoured)),
        FieldRule("instructions", (.honoured, .honoured, .honoured)),
        FieldRule("max_output_tokens", (.honoured, .honoured, .honoured)),
        FieldRule("max_tool_calls", (.ignored, .honoured, .ignored)),
        FieldRule("metadata", (.ignored, .honoured, .ignored)),
        FieldRule("model", (.mapped, .mapped, .mapped)),
        FieldRule("moderation", (.ignored, .honoured, .ignored)),
        FieldRule("parallel_tool_calls", (.honoured, .honoured, .ignored), harmless: ["true"]),
        FieldRule("previous_response_id", (.refused, .honoured, .refused)),
        FieldRule("prompt", (.refused, .honoured, .refused)),
        FieldRule("prompt_cache_key", (.ignored, .honoured, .ignored)),
        FieldRule("prompt_cache_options", (.ignored, .honoured, .ignored)),
        FieldRule("prompt_cache_retention", (.ignored, .honoured, .ignored)),
        FieldRule("reasoning", (.mapped, .honoured, .honoured)),
        FieldRule("safety_identifier", (.ignored, .honoured, .ignored)),
        FieldRule(
            "service_tier", (.ignored, .honoured, .ignored),
            harmless: [#""auto""#, #""default""#]),
        FieldRule("store", (.ignored, .honoured, .ignored), harmless: ["false"]),
        FieldRule("stream", (.mapped, .mapped, .mapped)),
        FieldRule("stream_options", (.ignored, .honoured, .ignored)),
        FieldRule("temperature", (.honoured, .honoured, .honoured)),
        FieldRule("text", (.mapped, .honoured, .honoured)),
        FieldRule("tool_choice", (.mapped, .honoured, .honoured)),
        FieldRule("tools", (.mapped, .honoured, .honoured)),
        FieldRule("top_logprobs", (.ignored, .honoured, .ignored), harmless: ["0"]),
        FieldRule("top_p", (.honoured, .honoured, .honoured)),
        FieldRule(
            "truncation", (.ignored, .honoured, .ignored), harmless: [#""disabled""#]),
        FieldRule("user", (.ignored, .honoured, .ignored)),
    ]

    /// Those of Messages, in the alphabet's order.
    public static let messages: [FieldRule] = [
        FieldRule("cache_control", (.ignored, .honoured, .ignored)),
        FieldRule("container", (.ignored, .honoured, .ignored)),
        FieldRule("context_management", (.ignored, .honoured, .ignored)),
        FieldRule("diagnostics", (.ignored, .honoured, .ignored)),
        FieldRule("inference_geo", (.ignored, .honoured, .ignored)),
        FieldRule("max_tokens", (.honoured, .honoured, .honoured)),
        FieldRule("mcp_servers", (.ignored, .honoured, .ignored)),
        FieldRule("messages", (.honoured, .honoured, .honoured)),
        FieldRule("metadata", (.ignored, .honoured, .ignored)),
        FieldRule("model", (.mapped, .mapped, .mapped)),
        FieldRule("output_config", (.ignored, .honoured, .ignored)),
        FieldRule("output_format", (.ignored, .honoured, .ignored)),
        FieldRule(
            "service_tier", (.ignored, .honoured, .ignored),
            harmless: [#""auto""#, #""standard_only""#]),
        FieldRule("speed", (.ignored, .honoured, .ignored), harmless: [#""standard""#]),
        FieldRule("stop_sequences", (.honoured, .honoured, .honoured)),
        FieldRule("stream", (.mapped, .mapped, .mapped)),
        FieldRule("system", (.honoured, .honoured, .honoured)),
        FieldRule("temperature", (.honoured, .honoured, .honoured)),
        FieldRule("thinking", (.mapped, .honoured, .honoured)),
        FieldRule("tool_choice", (.mapped, .honoured, .ignored)),
        FieldRule("tools", (.mapped, .honoured, .honoured)),
        FieldRule("top_k", (.honoured, .honoured, .honoured)),
        FieldRule("top_p", (.honoured, .honoured, .honoured)),
        FieldRule("user_profile_id", (.ignored, .honoured, .ignored)),
        FieldRule("workspace_id", (.ignored, .honoured, .ignored)),
    ]

    private static let responsesByName = Dictionary(
        uniqueKeysWithValues: responses.map { ($0.name, $0) })
    private static let messagesByName = Dictionary(
        uniqueKeysWithValues: messages.map { ($0.name, $0) })

    /// The rule for `name` at a door; `nil` if the protocol knows no such field.
    static func rule(_ name: String, at door: Door) -> FieldRule? {
        switch door {
        case .responses: responsesByName[name]
        // Counting uses what the prompt is made of, and the rest is without meaning there.
        case .messages: messagesByName[name]
        case .countTokens, .rerank, .tokenize, .detokenize: nil
        }
    }
}
