// One way to answer a request: a backend, and the request as it would be sent there.

internal import Dialects
internal import Routing

/// One way to answer a request: a backend, and the request in its dialect.
struct Candidate {
    /// What the admission calls it.
    let place: Place
    // The fleet's array and a place in it: a backend's state is large, and every session has one.
    private let backends: [BackendState]
    private let index: Int
    let dialect: UpstreamDialect
    var upstream: UpstreamRequest
    let upstreamKind: UpstreamKind
    /// Whether `<think>` tags in the text are reasoning.
    let thinkTags: Bool

    /// `upstream` is the request for the backend at `index` of the fleet.
    init(
        _ place: Place, _ fleet: Fleet, _ index: Int, _ upstream: UpstreamRequest,
        kind: UpstreamKind, thinkTags: Bool
    ) {
        self.place = place
        backends = fleet.backends
        self.index = index
        self.upstream = upstream
        upstreamKind = kind
        dialect = kind == .ollama ? .ollama : .openAI
        self.thinkTags = thinkTags
    }

    var backend: BackendState { backends[index] }
}
