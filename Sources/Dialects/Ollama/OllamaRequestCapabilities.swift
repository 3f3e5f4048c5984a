// What an Ollama model can do, read from `/api/show` and the server's version.

public import JSON
internal import Text

extension OllamaCapabilities {
    /// Reads an answer of `POST /api/show` and the `version` that `GET /api/version` told.
    ///
    /// Not from `/api/tags`: its `capabilities` know nothing of a GGUF's own chat template (wire
    /// notes, section 5).
    public init(show: JSONText, version: String?) {
        self.init()
        let names = Set(show["capabilities"]?.elements.compactMap(\.string) ?? [])
        // Servers of before there were capabilities say nothing, which is not the same as none.
        isKnown = !names.isEmpty
        thinking = names.contains("thinking")
        tools = names.contains("tools")
        vision = names.contains("vision")
        audio = names.contains("audio")
        insert = names.contains("insert")
        // A template of Jinja's statements is the GGUF's own. Ollama hands such chats to
        // llama-server, which refuses tools with logprobs in a stream; by a Go template, which has
        // no such statements, Ollama writes the prompt.
        let template = show["template"]?.string ?? ""
        takesLogprobsWithTools = !template.isEmpty && !template.contains("{%")
        guard let version, let parts = Self.parts(of: version) else { return }
        supportsTruncate = !parts.lexicographicallyPrecedes([0, 12, 4])
        supportsLogprobs = !parts.lexicographicallyPrecedes([0, 12, 11])
        supportsResponses = !parts.lexicographicallyPrecedes([0, 13, 3])
        supportsMessages = !parts.lexicographicallyPrecedes([0, 14, 0])
    }

    /// The numbers of `0.12.4-rc1`; `nil` for what does not begin like a version. A version of
    /// 0.0.0 is a build from source, which is as new as any.
    private static func parts(of version: String) -> [Int]? {
        let numbers = version.prefix { $0.isNumber || $0 == "." }.split(separator: ".")
            .compactMap { Int($0) }
        return numbers.count >= 2 && numbers.contains { $0 > 0 } ? numbers : nil
    }
}
