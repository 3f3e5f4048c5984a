// What becomes of every OpenAI chat field at each kind of backend, as data. docs/PROTOCOLS.md says
// the same in words.

import JSON

/// What becomes of a field.
public enum FieldHandling: String, CaseIterable, Sendable {
    /// Sent on as the client wrote it; the backend does what OpenAI's reference says.
    case honoured
    /// Sent on in the backend's own words, or with a change that keeps its meaning.
    case mapped
    /// Without effect there, and named in `x-sluice-ignored`.
    case ignored
    /// A 400 that names the field, unless its value is what the backend does anyway.
    case refused
}

/// One row of the table.
public struct FieldRule: Sendable {
    /// The field's name in OpenAI's reference.
    public let name: String
    /// What llama-server does with it. Ignored fields are sent on all the same.
    public let llamaServer: FieldHandling
    /// What becomes of it on the way to another OpenAI-compatible server, of which nothing more is
    /// known.
    public let openAI: FieldHandling
    /// What becomes of it on the way to Ollama's native API.
    public let ollama: FieldHandling
    /// Values, as compact JSON, that ask for what happens anyway. So do null, `{}`, `[]` and `""`
    /// everywhere.
    let harmless: [String]

    /// What becomes of the field at a backend of `kind`.
    public func handling(for kind: UpstreamKind) -> FieldHandling {
        switch kind {
        case .llamaServer: llamaServer
        case .openAI: openAI
        case .ollama: ollama
        }
    }

    /// Whether `value` asks for nothing that the backend does not do anyway.
    func isHarmless(_ value: JSONText) -> Bool {
        isEmptyValue(value) || !harmless.isEmpty && harmless.contains(compact(value))
    }
}

/// Whether `value` says nothing: null, `{}`, `[]` or `""`. Takes no time, however long the value.
func isEmptyValue(_ value: JSONText) -> Bool {
    switch value.kind {
    case .null: true
    case .string: value.range.count == 2
    case .object, .array:
        // White space, as JSON knows it, up to the closing bracket.
        value.bytes.dropFirst().first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
            == value.bytes.last
    case .bool, .number: false
    }
}

/// The text of a short value without white space; longer ones say nothing that is compared.
private func compact(_ value: JSONText) -> String {
    value.range.count <= 64 ? value.description.filter { !$0.isWhitespace } : ""
}

extension FieldRule {
    init(
        _ name: String, _ handling: (FieldHandling, FieldHandling, FieldHandling),
        harmless: [String] = []
    ) {
        self.name = name
        (llamaServer, openAI, ollama) = handling
        self.harmless = harmless
    }

    /// The rule for `name`; `nil` if OpenAI knows no such field.
    static func named(_ name: String) -> FieldRule? { place(of: name).map { table[$0] } }

    /// Where the rule for `name` stands in the table.
    static func place(of name: String) -> Int? { names.place(of: name) }

    private static let names = NameTable(table.map(\.name))

    /// Every field of OpenAI's "Create chat completion", in the alphabet's order.
    public static let table: [FieldRule] = [
        FieldRule("audio", (.ignored, .honoured, .ignored)),
        FieldRule("frequency_penalty", (.honoured, .honoured, .mapped)),
        FieldRule("function_call", (.ignored, .honoured, .ignored), harmless: [#""none""#]),
        FieldRule("functions", (.ignored, .honoured, .ignored)),
        FieldRule("logit_bias", (.honoured, .honoured, .ignored)),
        FieldRule("logprobs", (.honoured, .honoured, .honoured), harmless: ["false"]),
        FieldRule("max_completion_tokens", (.mapped, .honoured, .mapped)),
        FieldRule("max_tokens", (.honoured, .honoured, .mapped)),
        FieldRule("messages", (.mapped, .mapped, .mapped)),
        FieldRule("metadata", (.ignored, .honoured, .ignored)),
        FieldRule("modalities", (.ignored, .honoured, .refused), harmless: [#"["text"]"#]),
        FieldRule("model", (.mapped, .mapped, .mapped)),
        FieldRule("moderation", (.ignored, .honoured, .ignored)),
        FieldRule("n", (.honoured, .honoured, .refused), harmless: ["1"]),
        FieldRule("parallel_tool_calls", (.honoured, .honoured, .ignored), harmless: ["true"]),
        FieldRule("prediction", (.ignored, .honoured, .ignored)),
        FieldRule("presence_penalty", (.honoured, .honoured, .mapped)),
        FieldRule("prompt_cache_key", (.ignored, .honoured, .ignored)),
        FieldRule("prompt_cache_options", (.ignored, .honoured, .ignored)),
        FieldRule("prompt_cache_retention", (.ignored, .honoured, .ignored)),
        FieldRule("reasoning_effort", (.honoured, .honoured, .mapped)),
        FieldRule("response_format", (.honoured, .honoured, .mapped)),
        FieldRule("safety_identifier", (.ignored, .honoured, .ignored)),
        FieldRule("seed", (.honoured, .honoured, .mapped)),
        FieldRule(
            "service_tier", (.ignored, .honoured, .ignored),
            harmless: [#""auto""#, #""default""#]),
        FieldRule("stop", (.honoured, .honoured, .mapped)),
        FieldRule("store", (.ignored, .honoured, .ignored), harmless: ["false"]),
        FieldRule("stream", (.mapped, .mapped, .mapped)),
        FieldRule("stream_options", (.mapped, .mapped, .mapped)),
        FieldRule("temperature", (.honoured, .honoured, .mapped)),
        FieldRule("tool_choice", (.mapped, .honoured, .mapped)),
        FieldRule("tools", (.honoured, .honoured, .honoured)),
        FieldRule("top_logprobs", (.honoured, .honoured, .honoured), harmless: ["0"]),
        FieldRule("top_p", (.honoured, .honoured, .mapped)),
        FieldRule("user", (.ignored, .honoured, .ignored)),
        FieldRule("verbosity", (.ignored, .honoured, .ignored), harmless: [#""medium""#]),
        FieldRule("web_search_options", (.ignored, .honoured, .ignored)),
    ]
}

/// The names for `x-sluice-ignored`: each once, in order, and nothing that could not stand in a
/// header.
struct IgnoredFields {
    private(set) var names: [String] = []

    /// More than anyone would read, and few enough for a header line.
    private static let limit = 32

    /// Reports `name`. Names that are no plain words come from the client as they are, and are told
    /// as `other`.
    mutating func insert(_ name: String) {
        let shown = isPlainName(name, limit: 64) ? name : "other"
        guard !names.contains(shown), names.count < Self.limit else { return }
        names.append(shown)
    }
}
