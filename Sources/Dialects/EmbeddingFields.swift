// Embedding requests for every kind of backend, and what becomes of their fields, as data.
// docs/PROTOCOLS.md says the same in words.

public import Chat
import JSON

/// The fields of OpenAI's "Create embeddings".
public enum EmbeddingFields {
    /// All of them, in the alphabet's order.
    public static let table: [FieldRule] = [
        FieldRule("dimensions", (.refused, .honoured, .honoured)),
        FieldRule("encoding_format", (.honoured, .honoured, .mapped)),
        FieldRule("input", (.honoured, .honoured, .honoured)),
        FieldRule("model", (.mapped, .mapped, .mapped)),
        FieldRule("user", (.ignored, .honoured, .ignored)),
    ]

    static func rule(_ name: String) -> FieldRule? { table.first { $0.name == name } }
}

/// Writes `request` for a backend of `target`'s kind.
///
/// A pure function of its arguments, so that a retry on another backend simply asks again. Of the
/// route's rules only those for fields of embeddings apply: a temperature would be an error at some
/// servers.
///
/// - Throws: `unsupported_parameter` where ignoring a field would change what the answer means.
/// Another backend of a pool may still take the request.
public func makeUpstreamRequest(
    _ request: EmbeddingRequest, for target: RequestTarget
) throws(APIError) -> UpstreamRequest {
    var target = target
    target.rules = target.rules.forEmbeddings
    switch target.kind {
    case .llamaServer, .openAI: return try writeOpenAIEmbedding(request, target)
    case .ollama: return try OllamaRequestWriter(request, target).writeEmbed(request)
    }
}

extension ParameterRules {
    /// The rules for fields that say something about embeddings.
    var forEmbeddings: ParameterRules {
        let names: Set = ["dimensions", "user", "keep_alive", "truncate", "options", "num_ctx"]
        var rules = self
        rules.defaults = defaults.filter { names.contains($0.name) }
        rules.sets = sets.filter { names.contains($0.name) }
        rules.caps = caps.filter { names.contains($0.name) }
        rules.drops = drops.filter { names.contains($0) }
        return rules
    }
}

/// The client's JSON as it is, but for the model's name and what is null.
private func writeOpenAIEmbedding(
    _ request: EmbeddingRequest, _ target: RequestTarget
) throws(APIError) -> UpstreamRequest {
    let parameters = RequestParameters(request, target)
    try request.input.refuseMixed("input", for: target.kind)
    // llama-server passes over it, and a vector of another length is another answer.
    if target.kind == .llamaServer, let dimensions = parameters["dimensions"] {
        throw .unsupported(
            dimensions.name, "cannot be chosen here: llama-server gives the model's own")
    }
    var splice = OpenAIRequestSplice(request.json.source, request.members, parameters)
    splice.setModel(target.upstreamModel, of: request)
    var ignored = IgnoredFields()
    let lookalikes = parameters.lookalikes(for: target) { EmbeddingFields.rule($0) != nil }
    for name in lookalikes {
        splice.remove(name)
        ignored.insert(name)
    }
    for entry in parameters.entries {
        // llama-server refuses a format that is null (recorded).
        if entry.value.isNull {
            splice.remove(entry.name)
        } else if EmbeddingFields.rule(entry.name)?.handling(for: target.kind) == .ignored,
            !isEmptyValue(entry.value)
        {
            ignored.insert(entry.name)
        }
    }
    return UpstreamRequest(
        path: "/v1/embeddings", body: splice.finish(), ignored: ignored.names)
}

extension RequestInput {
    /// Why only llama-server gets inputs in its own forms.
    static let whyNotMixed =
        "can only be text, tokens, or lists of one of them here: other forms are llama-server's own"

    /// Another server might take a form that it does not know for something else; and of a pool,
    /// the llama-server is to get it.
    func refuseMixed(_ name: String, for kind: UpstreamKind) throws(APIError) {
        guard case .mixed = self, kind != .llamaServer else { return }
        throw .unsupported(name, Self.whyNotMixed)
    }
}
