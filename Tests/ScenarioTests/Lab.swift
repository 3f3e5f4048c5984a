// The lab: a worker, scripted clients and scripted upstreams on one loop in one thread.

import Configuration
import EventLoop
import Synchronization

@testable import HTTPTransport
@testable import SluiceServer

/// Lines the worker has logged.
final class LogLines: Sendable {
    private let lines = Mutex<[String]>([])

    func append(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
}

/// Everything a scenario takes place in.
final class Lab {
    let loop = Loop()
    let worker: Worker
    let address: SocketAddress
    let log = LogLines()
    private(set) var clients: [Int: ScriptedClient] = [:]
    let upstreams: [Int: ScriptedUpstream]
    /// Who gives out the slots.
    let desk: FrontDesk
    private var configuration: Configuration
    /// Every backend, also those that a reload took away.
    private let backends: [BackendSettings]
    private var wake: Timer?
    /// A worker that drains closes by itself.
    private var isClosed = false

    /// Numbers are tiresome in messages and forbidden in none: upstream 1 is the backend `one`.
    private static let names = ["one", "two", "three", "four", "five"]

    init(_ settings: Scenario.Settings) throws {
        var described = settings.upstreams
        for number in 1...(described.keys.max() ?? 1) where described[number] == nil {
            described[number] = Scenario.UpstreamSettings()
        }
        let loop = loop
        let upstreams = try described.mapValues { try ScriptedUpstream(on: loop, $0) }
        self.upstreams = upstreams
        var configuration = try Configuration(settings)
        configuration.backends = try upstreams.sorted { $0.key < $1.key }.map { number, upstream in
            var backend = BackendSettings(
                name: Self.names[number - 1],
                kind: try parseChoice(upstream.settings.kind, as: BackendKind.self),
                url: try BackendURL("http://\(upstream.address?.description ?? "")"))
            if let slots = upstream.settings.slots { backend.slots = .count(slots) }
            return backend
        }
        (self.configuration, backends) = (configuration, configuration.backends)
        let log = log
        worker = Worker(
            on: loop, configuration, seed: 1,
            log: Log(configuration.log) { log.append($0) })
        address = try worker.listen(
            on: SocketAddress.resolve(host: "127.0.0.1", port: 0, toListen: true)[0])
        wake = Timer(on: loop) {}
        desk = FrontDesk(
            through: worker.pool, configuration, log: Log(configuration.log) { log.append($0) },
            asksBackends: upstreams.values.contains {
                $0.settings.isDiscovered || $0.settings.answersProbes
            })
        worker.hasClosed = { [unowned self] in isClosed = true }
        openDesk()
        if !upstreams.values.contains(where: \.settings.isDiscovered) { introduce() }
        desk.start()
    }

    private func openDesk() {
        let mail = worker.mailbox?.address
        desk.backendsChanged = { [unowned self] states, _ in
            mail?.send(.fleet(Fleet(configuration, states)))
        }
        desk.add(worker: 0) { [unowned self] in worker.hearInTurn($0) }
        worker.join(.direct(desk), as: 0)
    }

    /// Tells the desk of the backends, instead of letting it find them out.
    private func introduce() {
        let states = configuration.backends.map { settings in
            let number = (Self.names.firstIndex(of: settings.name) ?? 0) + 1
            var state = BackendState(settings)
            guard let upstream = upstreams[number] else { return state }
            state.addresses = upstream.addresses
            state.isUp = upstream.settings.isUp
            state.problem = nil
            state.models = upstream.settings.models.map { .init(id: $0) }
            state.loaded = upstream.settings.loaded
            return state
        }
        desk.introduce(states)
        let names = states.map(\.name)
        _ = drive(until: loop.now + .seconds(1)) { worker.fleet.backends.map(\.name) == names }
    }

    /// As a probe would that finds every upstream well: what breaks off now and then is not dead.
    func forgetFailures() {
        for backend in configuration.backends {
            _ = desk.admission.probed(backend.name, .succeeded, now: desk.now)
        }
        desk.lookAtHealth()
    }

    /// Reads the configuration again, with something changed.
    func reload(_ change: Reload, line: Int) throws {
        switch change {
        case .with(let option, let value):
            try configuration.set(option, value, line: line)
        case .withUpstream(let number):
            let names = configuration.backends.map(\.name) + [Self.names[number - 1]]
            configuration.backends = backends.filter { names.contains($0.name) }
        case .withoutUpstream(let number):
            configuration.backends.removeAll { $0.name == Self.names[number - 1] }
        }
        worker.mailbox?.address.send(.configuration(configuration))
        desk.reconfigure(configuration)
        introduce()
    }

    func client(_ number: Int) -> ScriptedClient {
        if let client = clients[number] { return client }
        let client = ScriptedClient(on: loop, to: address)
        clients[number] = client
        return client
    }

    // MARK: - Time

    /// Runs the loop until the condition holds; `false` if it does not by then.
    func drive(until end: Instant, _ isDone: () throws -> Bool) rethrows -> Bool {
        while try !isDone() {
            let left = end - loop.now
            guard left > .zero else { return false }
            // Conditions on time are looked at every few milliseconds though nothing happens.
            wake?.arm(after: min(left, .milliseconds(2)))
            loop.runOnce()
        }
        return true
    }

    // MARK: - The end

    /// Closes everything and lets the loop finish what that begins. Says what is left that should
    /// not be.
    func close() -> [String] {
        for client in clients.values { client.close() }
        for upstream in upstreams.values { upstream.close() }
        let end = loop.now + .seconds(1)
        var faults: [String] = []
        if !drive(until: end, { worker.server?.connectionCount == 0 && worker.sessions.isEmpty }) {
            faults.append(
                "\(worker.server?.connectionCount ?? 0) connections and \(worker.sessions.count) sessions outlived their clients"
            )
        }
        let (bodies, unsent) = (worker.server?.bodyBytes ?? 0, worker.server?.unsentBytes ?? 0)
        if bodies != 0 { faults.append("\(bodies) bytes of request bodies are still counted") }
        if unsent != 0 { faults.append("\(unsent) unsent bytes are still held") }
        worker.close()
        if !drive(until: loop.now + .seconds(1), { isClosed }) {
            faults.append("the worker did not close")
        }
        worker.hasClosed = {}
        // What waits for the end of a turn goes in the next ones.
        for _ in 0..<3 { loop.runReady() }
        return faults
    }
}

extension Configuration {
    /// The standard configuration with the settings of a scenario.
    fileprivate init(_ settings: Scenario.Settings) throws {
        self.init()
        for (name, value, line) in settings.options { try set(name, value, line: line) }
    }

    /// Sets what a scenario calls `name`.
    mutating func set(_ name: String, _ value: String, line: Int) throws {
        let parts = name.split(separator: ".").map(String.init)
        switch (parts[0], parts.count > 1 ? parts[1] : "") {
        case ("timeouts", let key):
            timeouts[try parseChoice(key, as: Timeout.self)] = try parseDuration(value)
        case ("limits", let key):
            let limit = try parseChoice(key, as: Limit.self)
            limits[limit] = limit.isSize ? try parseSize(value) : try parseCount(value)
        case ("keep_alive_interval", _): keepAliveInterval = try parseDuration(value)
        case ("default_model", _): defaultModel = value
        case ("key", _): keys.append(try KeySettings(scenario: value, line: line))
        case ("fallback", _):
            let words = value.split(separator: " ").map(String.init)
            var rule = ModelRule(name: words[0])
            rule.fallback = Array(words.dropFirst())
            models.append(rule)
        default: throw ScenarioError(line: line, message: "'\(name)' cannot be set")
        }
    }
}

extension KeySettings {
    /// `alice SECRET`, or `alice SECRET for tiny*` for a key that may not use everything.
    fileprivate init(scenario text: String, line: Int) throws {
        var words = Words(text, line: line)
        self.init(name: try words.word(), key: Secret(try words.word()))
        if words.take("batch") { priority = .batch }
        if words.take("for") { models = Scenario.list(words.remainder()[...]) }
        try words.expectEnd()
    }
}
