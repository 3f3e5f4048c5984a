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
    private var discovery: Discovery?
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
            BackendSettings(
                name: Self.names[number - 1],
                kind: try parseChoice(upstream.settings.kind, as: BackendKind.self),
                url: try BackendURL("http://\(upstream.address?.description ?? "")"))
        }
        let log = log
        worker = Worker(
            on: loop, configuration, seed: 1,
            log: Log(configuration.log) { log.append($0) })
        address = try worker.listen(
            on: SocketAddress.resolve(host: "127.0.0.1", port: 0, toListen: true)[0])
        wake = Timer(on: loop) {}
        worker.hasClosed = { [unowned self] in isClosed = true }
        try introduce(configuration)
    }

    /// Tells the worker of its backends, or lets it find them out.
    private func introduce(_ configuration: Configuration) throws {
        let mail = worker.mailbox?.address
        if upstreams.values.contains(where: \.settings.isDiscovered) {
            discovery = Discovery(through: worker.pool, configuration.backends) { found in
                mail?.send(.fleet(Fleet(configuration, found)))
            }
            discovery?.start()
            return
        }
        let ordered = upstreams.sorted { $0.key < $1.key }.map(\.value)
        let states = zip(configuration.backends, ordered).map { settings, upstream in
            var state = BackendState(settings)
            state.addresses = upstream.address.map { [$0] } ?? []
            state.isUp = upstream.settings.isUp
            state.problem = nil
            state.models = upstream.settings.models.map { .init(id: $0) }
            return state
        }
        mail?.send(.fleet(Fleet(configuration, states)))
        _ = drive(until: loop.now + .seconds(1)) { worker.fleet.backends.count == states.count }
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
        discovery = nil
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
        for (name, value, line) in settings.options {
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
            default: throw ScenarioError(line: line, message: "'\(name)' cannot be set")
            }
        }
    }
}

extension KeySettings {
    /// `alice SECRET`, or `alice SECRET for tiny*` for a key that may not use everything.
    fileprivate init(scenario text: String, line: Int) throws {
        var words = Words(text, line: line)
        self.init(name: try words.word(), key: Secret(try words.word()))
        if words.take("for") { models = Scenario.list(words.remainder()[...]) }
        try words.expectEnd()
    }
}
