// The ways to answer one request: where it may go, and what its ticket says.

internal import Chat
internal import Configuration
internal import Dialects
internal import EventLoop
internal import HTTPTransport
internal import Relay
internal import Routing

/// A route, with what the fleet says of its backend: the same for all requests for a model, so it is
/// shared and not copied.
final class Way: Sendable {
    let route: Route
    let place: Place
    /// `nil` if nothing can be sent there now.
    let destination: Destination?

    init(_ route: Route, _ fleet: Fleet, _ configuration: Configuration) {
        self.route = route
        place = Place(backend: route.backend, model: route.upstreamModel, tier: route.tier)
        destination = Destination(route, fleet, configuration)
    }
}

/// All ways to a model.
final class Ways: Sendable {
    /// At least one.
    let all: [Way]
    /// Those to which something can be sent. The array is the same for every request, so that the
    /// admission need not compare what is in it.
    let places: [Place]

    init(_ all: [Way]) {
        self.all = all
        places = all.filter { $0.destination != nil }.map(\.place)
    }

    /// What the model is called by its clients.
    var clientModel: String { all[0].route.clientModel }
}

/// What is the same for many requests, as long as neither fleet nor configuration change.
struct WorkerMemory {
    /// The ways to a model, by the name that clients use.
    private(set) var ways: [String: Ways] = [:]
    /// Under a wildcard clients make names up: as many as they like, and as long.
    private static let wayLimit = 256
    private static let nameLimitBytes = 128

    mutating func note(_ new: Ways, for model: String) {
        guard model.utf8.count <= Self.nameLimitBytes else { return }
        if ways.count >= Self.wayLimit { ways.removeAll(keepingCapacity: true) }
        ways[model] = new
    }
}

/// The ways to answer one request, at its begin and whenever they are found anew.
final class RoutePlan {
    /// Writes the request for a backend.
    typealias Writer = (RequestTarget) throws(APIError) -> UpstreamRequest

    /// The name the client asked for, or got by default.
    let model: String
    /// The request for each of them that can honour it, the preferred first; at least one.
    private(set) var candidates: [Candidate]
    /// What tells conversations apart; see `Ticket.prefixes`.
    var prefixes: [UInt64] = []
    /// Those of before the last change of the backends: a grant may be on its way.
    private var former: [Candidate] = []
    private var ways: Ways?
    private let requested: String?
    private let incoming: IncomingRequest
    private var write: Writer?
    private unowned let worker: Worker

    /// The plan for a request for the model `requested`.
    init(
        _ worker: Worker, _ incoming: IncomingRequest, for requested: String?,
        _ write: @escaping Writer
    ) throws(APIError) {
        (self.worker, self.incoming, self.requested) = (worker, incoming, requested)
        let ways = try worker.ways(for: requested, incoming.key)
        model = ways.clientModel
        candidates = try worker.candidates(ways, write)
        (self.ways, self.write) = (ways, write)
    }

    /// Where the request may go.
    var places: [Place] {
        if let ways, ways.places.count == candidates.count { return ways.places }
        return candidates.map(\.place)
    }

    /// The request as it is written for a place.
    func candidate(at place: Place) -> Candidate? {
        candidates.first { $0.place == place } ?? former.first { $0.place == place }
    }

    /// Finds the ways anew; returns whether they lead to other places.
    func refresh() -> Bool {
        // Who waits is not refused because its backend has just been taken away or renamed: the
        // admission lets it wait a little for another.
        guard let write, let ways = try? worker.ways(for: requested, incoming.key),
            ways.all.map(\.route) != self.ways?.all.map(\.route) || !isCurrent(worker.fleet),
            let candidates = try? worker.candidates(ways, write)
        else { return false }
        let before = places
        former = self.candidates
        self.ways = ways
        self.candidates = candidates
        return places != before
    }

    /// Lets everything go: from the first event on nobody else is asked, and a stream may be long.
    func release() {
        (candidates, former) = ([], [])
        (ways, write) = (nil, nil)
    }

    /// Whether the requests are still written for the servers that are there.
    private func isCurrent(_ fleet: Fleet) -> Bool {
        candidates.allSatisfy { candidate in
            let then = candidate.destination.backend
            guard let now = fleet.backend(named: then.name) else { return false }
            return now.kind == then.kind && now.poolKey == then.poolKey
        }
    }
}

extension Ticket {
    /// The ticket for a request of `key`. `priority` is what its `x-sluice-priority` says.
    init(
        id: UInt64, _ plan: RoutePlan, weight: Int, key: KeySettings?,
        priority: KeyPriority?
    ) {
        self.init(id: id, places: plan.places)
        self.weight = weight
        prefixes = plan.prefixes
        // Nobody can make himself more important than his key is.
        let own = key?.priority ?? .interactive
        self.priority = own == .batch || priority == .batch ? .batch : .interactive
    }
}

extension Exchange {
    /// What the client says of its hurry; `nil` if it says nothing.
    func priority() throws(APIError) -> KeyPriority? {
        guard let text = header("x-sluice-priority") else { return nil }
        guard let priority = KeyPriority(rawValue: text.lowercased()) else {
            let known = KeyPriority.allCases.map(\.rawValue).joined(separator: " or ")
            throw .invalidValue("x-sluice-priority", "must be \(known)")
        }
        return priority
    }
}

extension ChatRequest {
    /// The hashes of its first messages, from few to all of them.
    ///
    /// The bytes are taken as they stand, role and content and whatever else there is: clients send
    /// a message again as they sent it before, and nothing has to be read for it.
    func prefixes(model: String) -> [UInt64] {
        hashes(of: messageRanges, in: json.source, model)
    }
}

extension OllamaRequest {
    /// The same for a chat of Ollama's form.
    func prefixes(model: String) -> [UInt64] {
        hashes(of: self["messages"]?.elements.map(\.range) ?? [], in: json.source, model)
    }
}

private func hashes(of messages: [Range<Int>], in body: [UInt8], _ model: String) -> [UInt64] {
    var hasher = PrefixHasher(model: model)
    for range in messages {
        hasher.add(body.span.extracting(range))
        hasher.endMessage()
    }
    return hasher.prefixes
}
