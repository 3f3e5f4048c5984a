// What a configuration that is read while Sluice runs changes, and what it cannot change.

internal import Configuration

/// Why a configuration that was read again cannot be used. Nothing was changed.
public struct ReloadError: Error, Sendable {
    /// What is wrong, a line each, with file, line and column where they are known.
    public let lines: [String]

    /// Gathers what is wrong.
    public init(_ lines: [String]) { self.lines = lines }
}

/// The way from one configuration to the next.
struct ReloadPlan: Equatable {
    /// What holds from now on.
    private(set) var next: Configuration
    /// What would need a restart, a line each.
    private(set) var warnings: [String] = []
    /// What changes, in one line; `nil` if nothing does.
    private(set) var summary: String?

    /// Compares what holds with what was read. Settings that cannot change stay as they are.
    ///
    /// - Throws: if what was read would open Sluice to the network without keys.
    init(
        from old: Configuration, to new: Configuration
    ) throws(ReloadError) {
        next = new
        keep("listen", \.listen, old)
        keep("workers", \.workers, old)
        keep("log", \.log, old)
        keep("state_file", \.stateFile, old)
        // One port speaks either TLS or not, as long as Sluice runs; files may change.
        if (old.tls == nil) != (new.tls == nil) { keep("tls", \.tls, old) }
        // The addresses are the old ones, so the check of the new file was about others.
        if let fault = next.exposureFault() { throw ReloadError([fault.description]) }
        summary = Self.summary(old, next)
    }

    private mutating func keep<Value: Equatable>(
        _ name: String, _ path: WritableKeyPath<Configuration, Value>, _ old: Configuration
    ) {
        guard next[keyPath: path] != old[keyPath: path] else { return }
        warnings.append("\(name) cannot change while Sluice runs; restart it for that")
        next[keyPath: path] = old[keyPath: path]
    }

    private static func summary(_ old: Configuration, _ new: Configuration) -> String? {
        guard old != new else { return nil }
        var parts: [String] = []
        let before = Dictionary(uniqueKeysWithValues: old.backends.map { ($0.name, $0) })
        let added = new.backends.filter { before[$0.name] == nil }.map(\.name)
        let changed = new.backends.filter { backend in
            before[backend.name].map { $0 != backend } ?? false
        }.map(\.name)
        let names = new.backends.map(\.name)
        let removed = old.backends.map(\.name).filter { !names.contains($0) }
        for (word, list) in [("added", added), ("changed", changed), ("removed", removed)]
        where !list.isEmpty {
            parts.append("\(word) \(list.joined(separator: ", "))")
        }
        var others = new
        others.backends = old.backends
        if others != old { parts.append("other settings") }
        return parts.isEmpty ? "the order of the backends" : parts.joined(separator: "; ")
    }
}
