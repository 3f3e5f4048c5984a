// Who counts what keys use, for all workers.

internal import Configuration
internal import EventLoop
internal import Observability
internal import Routing

/// What every key has used. The worker that leads holds the only one: with several, each key's
/// limits still hold for all of them together.
final class KeyLedger {
    private let loop: Loop
    /// Every key by its place. A key keeps its place as long as Sluice runs: requests that are
    /// running know it by that.
    private(set) var names: [String]
    private var quotas: [KeyQuota]
    private var file: StateFile?
    /// Which quotas are worth showing.
    private var areLimited: [Bool]

    /// Begins with what the state file holds, if there is one.
    init(_ configuration: Configuration, on loop: Loop, log: Log) throws(StartError) {
        self.loop = loop
        names = configuration.keys.map(\.name)
        quotas = configuration.keys.map(KeyQuota.init)
        areLimited = configuration.keys.map(KeyQuota.hasLimits)
        guard let path = configuration.stateFile else { return }
        let file = StateFile(path, on: loop, log: log) { [unowned self] in save() }
        self.file = file
        if let tokens = try file.read() { take(tokens) }
        // Found out now, not when the counts are needed.
        if let problem = file.saveNow(tokens) {
            throw StartError(message: "state_file: \(problem)")
        }
    }

    /// The keys have changed; `ReloadPlan` has left each of them in its place.
    func take(_ keys: [KeySettings]) {
        for (place, key) in keys.enumerated() {
            if place < names.count {
                quotas[place].change(to: key)
                areLimited[place] = KeyQuota.hasLimits(key)
            } else {
                names.append(key.name)
                quotas.append(KeyQuota(key))
                areLimited.append(KeyQuota.hasLimits(key))
            }
        }
    }

    private var now: QuotaTime {
        QuotaTime(nanoseconds: loop.now.nanoseconds, wallSeconds: Clock.wall().seconds)
    }

    /// Lets a request of the key in, or says why not.
    func admit(_ key: Int) -> KeyQuota.Refusal? {
        do throws(KeyQuota.Refusal) {
            try quotas[key].admit(at: now)
            return nil
        } catch {
            return error
        }
    }

    /// A request that was let in has ended.
    func release(_ key: Int, tokens: Int) {
        quotas[key].release(tokens: tokens, at: now)
        if tokens > 0 { file?.changed() }
    }

    /// What the keys have used, for /metrics.
    var figures: [KeyFigures] {
        let now = now
        return names.indices.filter { areLimited[$0] }.map { key in
            let today = quotas[key].tokensToday(at: now)
            return KeyFigures(
                name: names[key], tokens: quotas[key].tokensPerDay.map { (today, $0) },
                active: quotas[key].inFlight,
                refused: quotas[key].refused.map { ($0.limit.rawValue, $0.count) })
        }
    }

    // MARK: - The state file

    /// Writes what is not written yet; the last thing that happens.
    func close(_ log: Log) {
        guard let problem = file?.saveNow(tokens) else { return }
        log.write(.error, "state_file: \(problem); the last token counts are lost")
    }

    private func save() { file?.save(tokens) }

    /// All counts, those of keys without `tokens_per_day` too: it may be set one day.
    private var tokens: KeyTokens {
        let now = now
        var tokens = KeyTokens(day: now.day, tokens: [:])
        for key in names.indices { tokens.tokens[names[key]] = quotas[key].tokensToday(at: now) }
        return tokens
    }

    private func take(_ tokens: KeyTokens) {
        let now = now
        guard tokens.day == now.day else { return }
        for key in names.indices {
            quotas[key].spend(tokens: tokens.tokens[names[key]] ?? 0, at: now)
        }
    }
}
