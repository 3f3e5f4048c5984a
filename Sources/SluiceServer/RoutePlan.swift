// The ways to answer one request: where it may go, and what its ticket says.

internal import Chat
internal import Configuration
internal import Dialects
internal import EventLoop
internal import HTTPTransport
internal import Routing

/// The ways to answer one request, at its begin and whenever they are found anew.
struct RoutePlan {
    /// The name the client asked for, or got by default.
    let model: String
    private(set) var routes: [Route]
    /// The request for each of them that can honour it, the preferred first; at least one.
    private(set) var candidates: [Candidate]
    /// Those of before the last change of the backends: a grant may be on its way.
    private var former: [Candidate] = []
    /// What tells conversations apart; see `Ticket.prefixes`.
    var prefixes: [UInt64] = []
    private var find: (() throws(APIError) -> [Route])?
    private var make: (([Route]) throws(APIError) -> [Candidate])?

    init(
        model: String, routes: [Route], candidates: [Candidate],
        find: @escaping () throws(APIError) -> [Route],
        make: @escaping ([Route]) throws(APIError) -> [Candidate]
    ) {
        (self.model, self.routes, self.candidates) = (model, routes, candidates)
        (self.find, self.make) = (find, make)
    }

    /// Where the request may go.
    var places: [Place] { candidates.map(\.place) }

    /// The request as it is written for a place.
    func candidate(at place: Place) -> Candidate? {
        candidates.first { $0.place == place } ?? former.first { $0.place == place }
    }

    /// Finds the ways anew; returns whether they lead to other places.
    mutating func refresh(_ fleet: Fleet) -> Bool {
        // Who waits is not refused because its backend has just been taken away or renamed: the
        // admission lets it wait a little for another.
        guard let find, let make else { return false }
        guard let routes = try? find(), routes != self.routes || !isCurrent(fleet),
            let candidates = try? make(routes)
        else { return false }
        let before = places
        former = self.candidates
        self.routes = routes
        self.candidates = candidates
        return places != before
    }

    /// Lets everything go: from the first event on nobody else is asked, and a stream may be long.
    mutating func release() {
        (routes, candidates) = ([], [])
        (find, make) = (nil, nil)
    }

    /// Whether the requests are still written for the servers that are there.
    private func isCurrent(_ fleet: Fleet) -> Bool {
        candidates.allSatisfy { candidate in
            guard let now = fleet.backend(named: candidate.backend.name) else { return false }
            return now.kind == candidate.backend.kind && now.poolKey == candidate.backend.poolKey
        }
    }
}

extension Ticket {
    /// The ticket for a request of `key`. `priority` is what its `x-sluice-priority` says.
    init(
        id: UInt64, _ plan: RoutePlan, weight: Int, key: KeySettings?, priority: KeyPriority?
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
