// Who counts what keys use, for all workers.

internal import Configuration
internal import EventLoop
internal import Observability
internal import Routing

/// What every key has used. The worker that leads holds the only one: with several, each key's
/// limits still hold for all of them together.
final class KeyLedger {
    private let loop: Loop
    /// The names of the keys, in the order of the configuration.
    private var names: [String] = []
    private var quotas: [String: KeyQuota] = [:]
    private var file: StateFile?

    /// Begins with what the state file holds, if there is one.
    init(_ configuration: Configuration, on loop: Loop, log: Log) throws(StartError) {
        self.loop = loop
        reconfigure(configuration.keys)
        guard let path = configuration.stateFile else { return }
        let file = StateFile(path, on: loop, log: log) { [unowned self] in save() }
        self.file = file
        if let tokens = try file.read() { take(tokens) }
        // Found out now, not when the counts are needed.
        if let problem = file.saveNow(tokens) {
            throw StartError(message: "state_file: \(problem)")
        }
    }

    /// Takes the keys of a configuration that was read anew. Those that stay keep what they have used
    /// and what is running; what ends for one that is gone is nobody's.
    func reconfigure(_ keys: [KeySettings]) {
        names = keys.map(\.name)
        let before = quotas
        quotas = [:]
        for key in keys {
            var quota = before[key.name] ?? KeyQuota(key)
            quota.setLimits(key)
            quotas[key.name] = quota
        }
    }

    private var now: QuotaTime {
        QuotaTime(nanoseconds: loop.now.nanoseconds, wallSeconds: Clock.wall().seconds)
    }

    /// Lets a request of the key in, or says why not.
    func admit(_ key: String) -> KeyQuota.Refusal? {
        do throws(KeyQuota.Refusal) {
            try quotas[key]?.admit(at: now)
            return nil
        } catch {
            return error
        }
    }

    /// A request that was let in has ended.
    func release(_ key: String, tokens: Int) {
        quotas[key]?.release(tokens: tokens, at: now)
        if tokens > 0 { file?.changed() }
    }

    /// What the keys have used, for /metrics.
    var figures: [KeyFigures] {
        let now = now
        return names.compactMap { name in
            guard var quota = quotas[name], quota.hasLimits else { return nil }
            let today = quota.tokensToday(at: now)
            return KeyFigures(
                name: name, tokens: quota.tokensPerDay.map { (today, $0) },
                active: quota.inFlight,
                refused: quota.refused.map { ($0.limit.rawValue, $0.count) })
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
        for name in names { tokens.tokens[name] = quotas[name]?.tokensToday(at: now) }
        return tokens
    }

    private func take(_ tokens: KeyTokens) {
        let now = now
        guard tokens.day == now.day else { return }
        for name in names { quotas[name]?.spend(tokens: tokens.tokens[name] ?? 0, at: now) }
    }
}
