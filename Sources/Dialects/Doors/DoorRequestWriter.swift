// Requests at the doors for every kind of backend: the client's JSON as it is, but for what the
// proxy and the backend need otherwise.

public import Chat
import JSON

/// Writes `request` for a backend of `target`'s kind.
///
/// A pure function of its arguments, so that a retry on another backend simply asks again.
///
/// - Throws: `unsupported_parameter` where the backend has no such door, or where ignoring a field
/// would change what the answer means. Another backend of a pool may still take the request.
public func makeUpstreamRequest(
    _ request: DoorRequest, for target: RequestTarget
) throws(APIError) -> UpstreamRequest {
    try refuseMissingDoor(request.door, of: target)
    var writer = DoorRequestWriter(request, target)
    return try writer.write()
}

/// Ollama has the two doors for which it says so in its documentation ("OpenAI compatibility",
/// "Anthropic compatibility"), from certain versions on.
private func refuseMissingDoor(_ door: Door, of target: RequestTarget) throws(APIError) {
    guard target.kind == .ollama else { return }
    switch door {
    case .responses where target.ollama.supportsResponses,
        .messages where target.ollama.supportsMessages:
        return
    case .responses: throw missing(door, target, "before version 0.13.3")
    case .messages: throw missing(door, target, "before version 0.14.0")
    case .countTokens, .rerank, .tokenize, .detokenize: throw missing(door, target, nil)
    }
}

private func missing(_ door: Door, _ target: RequestTarget, _ when: String?) -> APIError {
    APIError(
        .unsupportedParameter,
        "The model '\(target.clientModel)' is served by Ollama, which has no \(door.path)"
            + (when.map { " " + $0 } ?? "") + ".",
        param: "model")
}

/// The changes to one request.
struct DoorRequestWriter {
    let request: DoorRequest
    let target: RequestTarget
    let parameters: RequestParameters
    var splice: OpenAIRequestSplice
    var ignored = IgnoredFields()

    init(_ request: DoorRequest, _ target: RequestTarget) {
        var target = target
        target.rules = target.rules.translated(for: request.door)
        self.request = request
        self.target = target
        // At these doors Ollama, too, reads fields of OpenAI's kind: `options` is none of them.
        var plain = target
        if plain.kind == .ollama { plain.kind = .openAI }
        parameters = RequestParameters(request, plain)
        splice = OpenAIRequestSplice(request.json.source, request.members, parameters)
    }

    /// The request. The writer is spent afterwards.
    mutating func write() throws(APIError) -> UpstreamRequest {
        splice.setModel(target.upstreamModel, of: request)
        // Null means absent, but llama-server takes it for a value of a wrong type.
        for entry in parameters.entries where entry.value.isNull { splice.remove(entry.name) }
        try refuseFields()
        let lookalikes = parameters.lookalikes(for: target) {
            DoorFields.rule($0, at: request.door) != nil
        }
        for name in lookalikes {
            splice.remove(name)
            ignored.insert(name)
        }
        switch request.door {
        case .responses: try writeResponses()
        case .messages, .countTokens: try writeMessages()
        case .rerank, .tokenize, .detokenize: break
        }
        // A client that leaves is noticed only by a stream; see `OpenAIRequestSplice`.
        if request.door.hasEvents, request["stream"]?.bool != true {
            splice.set("stream", "true")
        }
        reportIgnored()
        var upstream = UpstreamRequest(
            path: request.door.path, body: splice.finish(), ignored: ignored.names)
        upstream.tokenLimit = tokenLimit
        return upstream
    }

    /// Throws for the first field that asks for what the backend cannot do and whose absence would
    /// change what the answer means.
    private func refuseFields() throws(APIError) {
        for entry in parameters.entries {
            guard let rule = DoorFields.rule(entry.name, at: request.door),
                rule.handling(for: target.kind) == .refused, !rule.isHarmless(entry.value)
            else { continue }
            let server = target.kind == .ollama ? "Ollama" : "llama-server"
            throw .unsupported(entry.name, "cannot be used here: \(server) does not know it")
        }
    }

    /// Names what the backend is known to pass over.
    private mutating func reportIgnored() {
        for entry in parameters.entries {
            guard let rule = DoorFields.rule(entry.name, at: request.door),
                rule.handling(for: target.kind) == .ignored, !rule.isHarmless(entry.value)
            else { continue }
            ignored.insert(entry.name)
        }
    }
}

// The limit of tokens goes by another name at every door, and a rule for it holds at all of them.
extension DoorRequestWriter {
    /// The most tokens the answer may have, the route's bound included.
    var tokenLimit: Int? {
        let name = request.door == .responses ? "max_output_tokens" : "max_tokens"
        let own = parameters[name]?.value.int
        guard request.door == .responses else { return own }
        return [own, responsesBound].compactMap(\.self).filter { $0 > 0 }.min()
    }

    /// The route's bound of the tokens of an answer.
    var responsesBound: Int? {
        target.rules.caps.first { $0.name == "max_output_tokens" }?.value.int
    }
}

extension ParameterRules {
    /// The rules in the words of a door. What is no answer of a model has no rules.
    fileprivate func translated(for door: Door) -> ParameterRules {
        let names: [String: String]
        switch door {
        case .responses:
            names = [
                "max_tokens": "max_output_tokens", "max_completion_tokens": "max_output_tokens",
                "n_predict": "max_output_tokens", "num_predict": "max_output_tokens",
            ]
        case .messages:
            names = [
                "max_completion_tokens": "max_tokens", "n_predict": "max_tokens",
                "num_predict": "max_tokens", "stop": "stop_sequences",
            ]
        case .countTokens, .rerank, .tokenize, .detokenize: return ParameterRules()
        }
        func translate(_ settings: [Setting]) -> [Setting] {
            settings.map { Setting(names[$0.name] ?? $0.name, $0.value) }
        }
        var rules = ParameterRules()
        rules.defaults = translate(defaults)
        rules.sets = translate(sets)
        rules.caps = translate(caps)
        rules.drops = drops.map { names[$0] ?? $0 }
        return rules
    }
}
