// Where to look for backends when none is configured.

internal import Text

extension Configuration {
    /// The backends that are looked for on this machine when none is configured: llama-server on
    /// its usual port, and Ollama where `OLLAMA_HOST` says it is, or on its usual port.
    ///
    /// `ollamaHost` is the value of that variable, read as Ollama reads it: scheme and port may be
    /// missing, and an address that means every interface (`0.0.0.0`, `::`) is one to listen on, so
    /// loopback is asked instead. Where it means one of our own addresses, `listen`, it is there for
    /// clients of Ollama, and the real one is looked for on its usual port.
    public static func localBackends(
        ollamaHost: String?, besides listen: [ListenAddress] = []
    ) throws(ValueError) -> [BackendSettings] {
        let llamaServer = BackendSettings(
            name: "llama-server", kind: .llamaServer, url: try BackendURL("http://127.0.0.1:8080"))
        var url = try ollamaURL(ollamaHost ?? "")
        let isOurs = listen.contains { address in
            guard case .tcp(_, let port) = address else { return false }
            return port == url.port && isLoopback(url.host)
        }
        if isOurs { url = try ollamaURL("") }
        return [llamaServer, BackendSettings(name: "ollama", kind: .ollama, url: url)]
    }

    private static func ollamaURL(_ variable: String) throws(ValueError) -> BackendURL {
        // Quotes and spaces are what an environment file easily leaves around a value.
        let noise: Set<Character> = [" ", "\"", "'"]
        var rest = variable.drop { noise.contains($0) }
        while let last = rest.last, noise.contains(last) || last == "/" { rest.removeLast() }
        var scheme = "http"
        // A scheme brings its own port along; without one Ollama's port holds.
        var port: Int? = 11_434
        if let separator = rest.firstRange(of: "://") {
            scheme = String(rest[..<separator.lowerBound])
            port = scheme == "https" ? 443 : 80
            rest = rest[separator.upperBound...]
        }
        let authority = rest.prefix { $0 != "/" }
        let path = rest.dropFirst(authority.count)
        var host = "127.0.0.1"
        if authority.hasPrefix(":"), let number = Int(authority.dropFirst()) {
            port = number
        } else if !authority.isEmpty {
            guard let (name, number) = splitHostAndPort(bracketed(authority)) else {
                throw ValueError(
                    "OLLAMA_HOST: \(quoted(variable)) is not an address; write it like 127.0.0.1:11434"
                )
            }
            host = name == "0.0.0.0" ? "127.0.0.1" : name == "::" ? "::1" : name
            port = number ?? port
        }
        return try BackendURL("\(scheme)://\(hostAndPortText(host, port ?? 11_434))\(path)")
    }

    /// An IPv6 address may stand in `OLLAMA_HOST` without its brackets.
    private static func bracketed(_ authority: Substring) -> String {
        let colons = authority.utf8.count { $0 == UInt8(ascii: ":") }
        return colons > 1 && !authority.hasPrefix("[") ? "[\(authority)]" : String(authority)
    }
}
