// Recognises a model of Ollama that hangs after a disconnect (its issue 17131).
//
// Its producer of tokens can block for ever when a client leaves while tokens flow, and then keeps
// the model's slot: every further request to that model gets no byte, while the server answers
// probes and other models work. Unloading the model (`keep_alive: 0`) cures it; the next request
// loads it again (wire notes on Ollama, section 4).

/// Watches one model on one backend.
public struct WedgeDetector: Sendable, Equatable {
    /// The least silence after a cancelled stream that is taken for a hang.
    ///
    /// Nothing is sent while a prompt is evaluated either, so a shorter silence would be a guess;
    /// a wrong one costs a reload of the model, as unloading lets running requests finish.
    public static let leastSilence: Int64 = 30_000_000_000
    /// The longest silence that is waited for, however slow the model has been.
    public static let longestSilence: Int64 = 300_000_000_000

    private struct Call: Sendable, Equatable {
        var began: Int64
        var hasSpoken: Bool
    }

    private var calls: [UInt64: Call] = [:]
    /// When a stream was cancelled while tokens flowed, which alone can make the model hang; `nil`
    /// once it was seen to work since.
    private var suspectSince: Int64?
    /// Since when somebody is waiting and nothing was heard.
    private var silentSince: Int64?
    /// The silence before that, towards requests that have given up since: clients that are less
    /// patient than this detector must not hide a hang from it.
    private var earlierSilence: Int64 = 0
    /// The longest that a first byte was waited for: what is normal for this model and machine.
    private var longestWait: Int64 = 0
    /// How often the model was found hanging, for the metrics.
    public private(set) var cures = 0

    /// A model nothing is known of.
    public init() {}

    /// Nothing is running and nothing suspected, so there is nothing to watch.
    public var isQuiet: Bool { calls.isEmpty && suspectSince == nil }

    /// A request was sent.
    public mutating func sent(_ id: UInt64, now: Int64) {
        calls[id] = Call(began: now, hasSpoken: false)
        if silentSince == nil { silentSince = now }
    }

    /// The first byte of its answer came.
    public mutating func spoke(_ id: UInt64, now: Int64) {
        guard let call = calls[id], !call.hasSpoken else { return }
        longestWait = max(longestWait, now - call.began)
        calls[id]?.hasSpoken = true
        heard(now: now)
        // A request that came after the cancel is served: the slot is not stuck.
        if let suspectSince, call.began >= suspectSince { self.suspectSince = nil }
    }

    /// Its answer ended, or its connection did.
    public mutating func ended(_ id: UInt64, now: Int64) {
        guard let call = calls.removeValue(forKey: id) else { return }
        if call.hasSpoken { heard(now: now) } else { stopWaiting(now: now) }
    }

    /// It was cancelled by us, because its client left or was too slow.
    public mutating func cancelled(_ id: UInt64, now: Int64) {
        if calls[id]?.hasSpoken == true { suspectSince = now }
        ended(id, now: now)
    }

    /// The model was unloaded, or its server restarted: what hung is gone.
    public mutating func unloaded() { suspectSince = nil }

    /// When to look at `check` next; `nil`: nothing is suspected.
    public var due: Int64? {
        guard suspectSince != nil, let silentSince, !calls.isEmpty,
            calls.values.allSatisfy({ !$0.hasSpoken })
        else { return nil }
        let patience = min(max(2 * longestWait, Self.leastSilence), Self.longestSilence)
        return silentSince + patience - earlierSilence
    }

    /// The requests that hang, in the order of their ids, if the model must be cured now: close
    /// them, unload the model, then send them again. Given once for a hang.
    public mutating func check(now: Int64) -> [UInt64]? {
        guard let due, due <= now else { return nil }
        let hanging = calls.keys.sorted()
        calls = [:]
        (suspectSince, silentSince, earlierSilence) = (nil, nil, 0)
        cures += 1
        return hanging
    }

    private mutating func heard(now: Int64) {
        silentSince = calls.isEmpty ? nil : now
        earlierSilence = 0
    }

    private mutating func stopWaiting(now: Int64) {
        guard calls.isEmpty, let began = silentSince else { return }
        earlierSilence += now - began
        silentSince = nil
    }
}
