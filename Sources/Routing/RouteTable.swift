// Which backends can serve which model name. Made anew whenever a backend or the configuration
// changes.

public import Configuration

/// All routes at one moment: an immutable value that is asked for each request.
///
/// A name is looked up as an entry of `models:` in the configuration, then as the id of a model,
/// then as an alias that a backend lists, then by the patterns in `models:`. The first that knows
/// the name decides; a name that is known there stays known while its backends are down. Entries of
/// the configuration come first so that a model that is newly installed somewhere cannot take a
/// configured name over.
public struct RouteTable: Sendable {
    private let backends: [BackendModels]
    private let rules: [ModelRule]
    /// The rules whose names are patterns, the most particular first.
    private let patterns: [ModelRule]
    private let defaultModel: String?

    /// Joins what the operator says with what the backends say. Routes prefer backends in the order
    /// of `backends`.
    public init(_ configuration: Configuration, backends: [BackendModels]) {
        self.backends = backends.map { backend in
            let settings = configuration.backends.first { $0.name == backend.name }
            guard let fixed = settings?.models else { return backend }
            var backend = backend
            // What the backend tells about a model on the list stays of use.
            backend.models = fixed.map { id in
                backend.models.first { $0.id == id } ?? ModelInfo(id: id)
            }
            return backend
        }
        rules = configuration.models.filter { !$0.isWildcard }
        // More literal characters are more particular; of equals the one that stands first in the
        // file counts (Swift's sort is stable).
        patterns = configuration.models.filter(\.isWildcard)
            .sorted { Self.literalLength($0.name) > Self.literalLength($1.name) }
        defaultModel = configuration.defaultModel
    }

    /// Finds the routes for the name in a request, or for a request without one.
    ///
    /// `isAllowed` says which names the client may use. Others look unknown to it: they are not
    /// served, not suggested, and not counted when a request without a name goes to the only model
    /// there is.
    ///
    /// `includingDown` adds the routes to backends that are down, each at its place in the order:
    /// for an `Admission`, which knows their health better and may wait for them.
    public func resolve(
        _ requested: String?, includingDown: Bool = false,
        isAllowed: (String) -> Bool = { _ in true }
    ) -> Resolution {
        func resolve(_ name: String) -> Resolution {
            self.resolve(named: name, includingDown: includingDown, isAllowed)
        }
        if let requested { return resolve(requested) }
        if let defaultModel, isAllowed(defaultModel) { return resolve(defaultModel) }
        // A model that is down still counts: else a request would go elsewhere just because a
        // server restarts.
        let ids = servedIDs(onlyUp: false)
        var names = ids.filter(isAllowed)
        // A client that may use nothing but a configured name means that one.
        if names.isEmpty { names = rules.map(\.name).filter(isAllowed) }
        if names.count == 1 { return resolve(names[0]) }
        return ids.isEmpty && rules.isEmpty ? .noBackend(model: nil) : .noModelNamed
    }

    /// The merged list: every name that can be asked for now and served without its fallbacks,
    /// sorted.
    public func listing(isAllowed: (String) -> Bool = { _ in true }) -> [ListedModel] {
        var names = servedIDs(onlyUp: true)
        for rule in rules where !names.contains(rule.name) { names.append(rule.name) }
        return names.filter(isAllowed).compactMap(listed).sorted { first, second in
            // Capitals do not come before everything else, but two names never compare as equal.
            (first.id.lowercased(), first.id) < (second.id.lowercased(), second.id)
        }
    }

    // MARK: - Parts

    /// What the table knows of one name.
    private struct Match {
        var rule: ModelRule?
        /// The backends that have it, up or down, and its id there.
        var places: [(backend: BackendModels, id: String)]
    }

    private func resolve(
        named name: String, includingDown: Bool, _ isAllowed: (String) -> Bool
    ) -> Resolution {
        guard isAllowed(name), let match = match(name) else {
            return unknown(name, isAllowed)
        }
        let find = { (match: Match) in
            self.routes(match, clientModel: name, includingDown: includingDown)
        }
        var routes = find(match)
        for (index, fallback) in (match.rule?.fallback ?? []).enumerated() {
            // The client may use this name, so it may be served by what the operator puts behind
            // it.
            guard let other = self.match(fallback) else { continue }
            for var route in find(other) {
                route.tier = index + 1
                let isThere = routes.contains {
                    $0.backend == route.backend && $0.upstreamModel == route.upstreamModel
                }
                if !isThere { routes.append(route) }
            }
        }
        if !routes.isEmpty { return .routes(routes) }
        // No route, yet all that may serve it are up: then none of them has it.
        return mayServe(match.rule).allSatisfy(\.isUp)
            ? unknown(name, isAllowed) : .noBackend(model: name)
    }

    private func match(_ name: String) -> Match? {
        if let rule = rule(for: name) {
            return Match(rule: rule, places: places(of: rule.model ?? name, rule))
        }
        // A pattern that leads to another model is an alias and comes last. One that does not is a
        // rule for all models of such names, whoever lists them.
        let pattern = patterns.first { matches(name, pattern: $0.name) }
        let plain = pattern?.model == nil ? pattern : nil
        let listed = places(of: name, plain)
        if !listed.isEmpty { return Match(rule: plain, places: listed) }
        guard let pattern, let target = pattern.model else { return nil }
        return Match(rule: pattern, places: places(of: target, pattern))
    }

    /// The entry of the configuration for a name. Where Ollama takes `llama3` and `llama3:latest`
    /// for one model, an entry for either holds for both: a cap must not depend on how the name is
    /// spelt.
    private func rule(for name: String) -> ModelRule? {
        if let rule = rules.first(where: { $0.name == name }) { return rule }
        let twin = ollamaTwin(of: name)
        guard let rule = rules.first(where: { $0.name == twin }),
            mayServe(rule).contains(where: { $0.kind == .ollama && $0.exactID(of: name) != nil })
        else { return nil }
        return rule
    }

    /// Where a model is served, up or down: by its id if any backend has that id, else by an alias.
    private func places(
        of name: String, _ rule: ModelRule?
    ) -> [(backend: BackendModels, id: String)] {
        let candidates = mayServe(rule)
        let exact = candidates.compactMap { backend in
            backend.exactID(of: name).map { (backend, $0) }
        }
        if !exact.isEmpty { return exact }
        return candidates.compactMap { backend in
            backend.aliasedID(of: name).map { (backend, $0) }
        }
    }

    private func mayServe(_ rule: ModelRule?) -> [BackendModels] {
        guard let names = rule?.backends, !names.isEmpty else { return backends }
        // In the order of the rule: the operator may prefer another for this model.
        return names.compactMap { name in backends.first { $0.name == name } }
    }

    private func routes(
        _ match: Match, clientModel: String, includingDown: Bool
    ) -> [Route] {
        match.places.filter { $0.backend.isUp || includingDown }.map { backend, id in
            Route(
                backend: backend.name, upstreamModel: id, clientModel: clientModel,
                rule: match.rule)
        }
    }

    private func unknown(_ name: String, _ isAllowed: (String) -> Bool) -> Resolution {
        let known = servedIDs(onlyUp: false)
        guard !known.isEmpty || !rules.isEmpty else { return .noBackend(model: nil) }
        let names = listing(isAllowed: isAllowed).map(\.id)
        return .unknownModel(name: name, nearest: nearestNames(to: name, among: names))
    }

    /// The ids of all models, each once, in the order of the backends.
    private func servedIDs(onlyUp: Bool) -> [String] {
        var seen: Set<String> = []
        return backends.filter { $0.isUp || !onlyUp }.flatMap(\.models).map(\.id)
            .filter { seen.insert($0).inserted }
    }

    private func listed(_ name: String) -> ListedModel? {
        guard let match = match(name) else { return nil }
        let places = match.places.filter(\.backend.isUp)
        guard !places.isEmpty else { return nil }
        let infos = places.compactMap { backend, id in backend.models.first { $0.id == id } }
        return ListedModel(
            id: name, created: infos.compactMap(\.created).min(),
            ownedBy: infos.lazy.compactMap(\.ownedBy).first,
            backends: places.map(\.backend.name))
    }

    private static func literalLength(_ pattern: String) -> Int {
        pattern.utf8.count { $0 != UInt8(ascii: "*") }
    }
}
