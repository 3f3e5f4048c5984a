// What Ollama says of a model and of itself.

public import JSON

extension OllamaCapabilities {
    /// Reads the answer of `/api/show`, and the version from that of `/api/version` (`0.33.0-rc2`).
    public init(showing model: JSONText, version: String?) {
        self.init()
        isKnown = true
        let names = (model["capabilities"]?.elements ?? []).compactMap(\.string)
        thinking = names.contains("thinking")
        tools = names.contains("tools")
        vision = names.contains("vision")
        audio = names.contains("audio")
        // Go templates have no `{%`. A model with only the GGUF's own Jinja template is answered by another engine,
        // which refuses tools together with logprobs (wire notes of Ollama, section 3).
        takesLogprobsWithTools = model["template"]?.string?.contains("{%") == false
        if let version {
            supportsTruncate = isOllama(version, atLeast: (0, 12, 4))
            supportsLogprobs = isOllama(version, atLeast: (0, 12, 11))
        }
    }
}

/// Whether a version is at least another. What cannot be read is taken for new: unknown fields are ignored there.
func isOllama(_ version: String, atLeast wanted: (Int, Int, Int)) -> Bool {
    let parts = version.prefix { $0 != "-" && $0 != "+" }.split(separator: ".").map { Int($0) }
    guard parts.count == 3, let major = parts[0], let minor = parts[1], let patch = parts[2] else {
        return true
    }
    return (major, minor, patch) >= wanted
}
