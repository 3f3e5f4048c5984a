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
    /// Whether it was asked at least once, and has answered or was waited for in vain.
    var hasBeenAsked = false
    /// Where to connect, in the order to try.
    var addresses: [SocketAddress] = []
    /// Whether requests can be sent to it.
    var isUp = false
    /// Why it is not up, or what is wrong with it, in words for people and without an address.
    var problem: String? = "not asked yet"
    /// What it serves.
    var models: [ModelInfo] = []
    /// For Ollama: what each model can do.
    var capabilities: [String: OllamaCapabilities] = [:]
    /// How many requests it may have at once.
    var slots: SlotRule
    /// How many models it holds at once, if it swaps them.
    var residentModels: Int?
    /// The models that are loaded, if it tells.
    var loaded: [String]?
    /// Which connections may be used again for it: one of the same name may be another server after
    /// a reload.
    let poolKey: String
    /// What all requests to it begin with.
    let head: UpstreamHead

    init(_ settings: BackendSettings) {
        self.settings = settings
        kind = settings.kind
        slots = SlotRule(settings.kind, settings.slots)
        head = UpstreamHead(settings)
        poolKey = "\(settings.name) \(settings.url)"
    }

    var name: String { settings.name }

    /// Where calls go, and how they are secured.
    var target: CallTarget {
        let url = settings.url
        return CallTarget(
            addresses, poolKey: poolKey,
            security: url.scheme == .https
                ? CallTarget.Security(
                    host: url.host, settings.ca.map { .authorities($0) } ?? .system) : nil)
    }
}

/// All backends, and the names clients can ask for.
final class Fleet: Sendable {
    let backends: [BackendState]
    let routes: RouteTable
    /// Whether all have been asked at least once: what is not here now is not there.
    let hasLooked: Bool

    init(_ configuration: Configuration, _ backends: [BackendState]) {
        self.backends = backends
        hasLooked =
            backends.count == configuration.backends.count && backends.allSatisfy(\.hasBeenAsked)
        routes = RouteTable(
            configuration,
            backends: backends.map {
                BackendModels(name: $0.name, kind: $0.kind, isUp: $0.isUp, models: $0.models)
            })
    }

    func backend(named name: String) -> BackendState? { backends.first { $0.name == name } }
}
