// What the terminal is told at the start: where we listen, what was found, and what to try.

internal import HTTPTransport
internal import JSON
internal import Routing
internal import Text

/// The start-up message.
struct Greeting {
    private let addresses: [SocketAddress]
    private let backends: [BackendState]
    private let isSearching: Bool
    private let needsKey: Bool
    private let hasPage: Bool
    private let scheme: String

    init(
        _ addresses: [SocketAddress], _ backends: [BackendState], isSearching: Bool,
        needsKey: Bool = false, isSecure: Bool = false, hasPage: Bool = false
    ) {
        scheme = isSecure ? "https" : "http"
        self.addresses = addresses
        self.backends = backends
        self.isSearching = isSearching
        self.needsKey = needsKey
        self.hasPage = hasPage
    }

    /// An address as clients write it.
    private func url(_ address: SocketAddress) -> String {
        let text = address.description
        return text.hasPrefix("unix:") ? text : "\(scheme)://\(text)"
    }

    /// The message as one text.
    var text: String { lines.map { $0 + "\n" }.joined() }

    /// The message, a line each.
    var lines: [String] {
        ["Sluice \(Version.number) listens on " + addresses.map(url).joined(separator: ", ")]
            + backendLines + (models.isEmpty ? whatToStart : whatToTry) + whereToLook
    }

    private var whereToLook: [String] {
        guard hasPage, let url = addresses.map(url).first(where: { !$0.hasPrefix("unix:") }) else {
            return []
        }
        return ["Watch it: \(url)/ui"]
    }

    private var models: [String] {
        var names: [String] = []
        for model in backends.filter(\.isUp).flatMap(\.models) where !names.contains(model.id) {
            names.append(model.id)
        }
        return names
    }

    private var backendLines: [String] {
        let width = backends.map(\.name.count).max() ?? 0
        return backends.map { backend in
            let padding = String(repeating: " ", count: width - backend.name.count)
            return "  \(backend.name)\(padding)  \(backend.settings.url)  \(backend.summary)"
        }
    }

    private var whatToStart: [String] {
        guard isSearching else {
            return ["No backend is up yet. Sluice goes on asking."]
        }
        return [
            "No model server was found. Start one, and Sluice will find it:",
            "  llama-server -m model.gguf --port 8080",
            "  ollama serve",
            "or name one: sluice --backend http://HOST:PORT",
        ]
    }

    private var whatToTry: [String] {
        let shown = models.prefix(8).joined(separator: ", ") + (models.count > 8 ? ", …" : "")
        // A name may hold what JSON or the shell would read as something else.
        var name: [UInt8] = []
        name.appendJSONString(models[0])
        let body =
            #"{"model":\#(String(decoding: name, as: UTF8.self)),"stream":true,"#
            + #""messages":[{"role":"user","content":"Hello"}]}"#
        let quotedBody = "'" + body.replacing("'", with: #"'\''"#) + "'"
        let key = needsKey ? " -H 'Authorization: Bearer KEY'" : ""
        let target =
            switch addresses.first.map(url) {
            case .some(let url) where url.hasPrefix("unix:"):
                "--unix-socket \(url.dropFirst(5)) http://localhost"
            case .some(let url): url
            case nil: "http://127.0.0.1:8484"
            }
        return [
            "Models: \(shown)", "Try it:",
            "  curl -N \(target)/v1/chat/completions\(key) -d \(quotedBody)",
        ]
    }
}

extension BackendState {
    /// What it is and how it is, in a few words.
    var summary: String {
        guard isUp else { return "not there: \(problem ?? "unknown")" }
        let count = models.count == 1 ? "1 model" : "\(models.count) models"
        return "\(kind.rawValue), \(count)"
    }
}
