// One way to answer a request: where it would go, and the request as it would be sent there.

internal import Configuration
internal import Dialects
internal import HTTPTransport
internal import Relay
internal import Routing

/// One model on one backend of a fleet, and all that is the same for every request to it: worked out
/// once and shared, for a backend's state is large.
final class Destination: Sendable {
    let fleet: Fleet
    let backend: BackendState
    let route: Route
    /// What is written for it.
    let target: RequestTarget
    let dialect: UpstreamDialect
    /// Whether `<think>` tags in the text are reasoning.
    let thinkTags: Bool
    /// Where calls go, and for how long they may try to get there.
    let call: CallTarget
    let connectLimit: Duration
    /// The clocks of a request.
    let deadlines: Deadlines.Settings

    /// `nil` if the backend is not in the fleet, or nobody knows yet what it speaks.
    init?(_ route: Route, _ fleet: Fleet, _ configuration: Configuration) {
        guard let backend = fleet.backend(named: route.backend), backend.kind != .auto else {
            return nil
        }
        (self.route, self.fleet, self.backend) = (route, fleet, backend)
        target = RequestTarget(backend, route)
        dialect = target.kind == .ollama ? .ollama : .openAI
        thinkTags = route.rule?.thinkTags ?? false
        call = backend.target
        connectLimit = configuration.timeouts(for: backend.settings).connect
        deadlines = Deadlines.Settings(configuration, for: backend.settings)
    }
}

extension Deadlines.Settings {
    /// The clocks of a request to `backend`.
    init(_ configuration: Configuration, for backend: BackendSettings) {
        let timeouts = configuration.timeouts(for: backend)
        self.init()
        connect = timeouts.connect.wholeNanoseconds
        queue = timeouts.queue?.wholeNanoseconds
        headGrace = timeouts.headGrace.wholeNanoseconds
        firstToken = timeouts.firstToken?.wholeNanoseconds
        token = timeouts.token?.wholeNanoseconds
        total = timeouts.total?.wholeNanoseconds
        keepAlive = configuration.keepAliveInterval?.wholeNanoseconds
    }
}

/// One way to answer a request: where it would go, and the request in the dialect spoken there.
final class Candidate {
    let destination: Destination
    /// What the admission calls it.
    let place: Place
    var upstream: UpstreamRequest

    init(_ destination: Destination, _ place: Place, _ upstream: UpstreamRequest) {
        self.destination = destination
        self.place = place
        self.upstream = upstream
    }

    var name: String { destination.backend.settings.name }
}
