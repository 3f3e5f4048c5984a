// The backends as they are known at one moment: an immutable value that every worker holds.

internal import Configuration
internal import Dialects
internal import HTTPTransport
internal import Routing

/// One backend as it was seen last.
struct BackendState: Sendable {
    let settings: BackendSettings
    /// What it speaks; `auto` until it has answered once.
    var kind: BackendKind
    /// Where to connect, in the order to try.
    var addresses: [SocketAddress] = []
    /// Whether it answered when it was asked last.
    var isUp = false
    /// Why it is not up, or what is wrong with it, in words for people.
    var problem: String? = "not asked yet"
    /// What it serves.
    var models: [ModelInfo] = []
    /// For Ollama: what each model can do.
    var capabilities: [String: OllamaCapabilities] = [:]

    init(_ settings: BackendSettings) {
        self.settings = settings
        kind = settings.kind
    }

    var name: String { settings.name }

    /// Where calls go, and how they are secured.
    var target: CallTarget {
        let url = settings.url
        return CallTarget(
            addresses, poolKey: name,
            security: url.scheme == .https
                ? CallTarget.Security(host: url.host, authorities: settings.ca) : nil)
    }
}

/// All backends, and the names clients can ask for.
struct Fleet: Sendable {
    let backends: [BackendState]
    let routes: RouteTable

    init(_ configuration: Configuration, _ backends: [BackendState]) {
        self.backends = backends
        routes = RouteTable(
            configuration,
            backends: backends.map {
                BackendModels(name: $0.name, kind: $0.kind, isUp: $0.isUp, models: $0.models)
            })
    }
}
