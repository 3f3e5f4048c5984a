// Connections to upstreams that wait for their next call.

public import EventLoop

/// Idle connections, by where they lead. One for each loop.
public final class ConnectionPool: ConnectionUser {
    /// How many connections wait for each upstream. More than requests at a time are never of use,
    /// and few upstreams take more than this many.
    private static let idleLimit = 128
    /// llama-server closes idle connections after 5 s (wire notes, section 1), many others after
    /// 60. One that is older than this is not used any more, so that the race with its close is
    /// rare.
    private static let idleTime = Duration.seconds(4)

    /// The loop all its connections are on.
    public let loop: Loop
    let failures: FailureWatch
    /// A list, for there are few upstreams: looking for a name that is mostly the first costs less
    /// than its hash.
    private var idle: [(key: String, connections: [UpstreamConnection])] = []
    /// Calls whose answers are complete but for the end of the body.
    private var ending: [ObjectIdentifier: (call: Call, since: Instant)] = [:]
    private var contexts: [TLSContext.Trust: TLSContext] = [:]
    private var sweep: Timer?

    /// Makes an empty pool.
    public init(on loop: Loop) {
        self.loop = loop
        failures = FailureWatch(on: loop)
        sweep = Timer(on: loop) { [unowned self] in closeOld() }
    }

    /// The context for calls to those who are trusted so.
    func context(_ trust: TLSContext.Trust) throws(TLSError) -> TLSContext {
        if let known = contexts[trust] { return known }
        let made = try TLSContext(trust)
        contexts[trust] = made
        return made
    }

    /// Forgets which authorities are trusted; the files are read again.
    public func forgetAuthorities() { contexts = [:] }

    /// Closes all idle connections.
    public func closeAll() {
        for connection in idle.map(\.connections).joined() { connection.close() }
        idle = []
        for call in ending.values.map(\.call) { call.cancel() }
    }

    /// How many connections are idle.
    public var idleCount: Int { idle.reduce(0) { $0 + $1.connections.count } }

    /// The connection used last, which is the likeliest to be alive.
    func take(for key: String) -> UpstreamConnection? {
        guard let place = idle.firstIndex(where: { $0.key == key }) else { return nil }
        let now = loop.now
        while let connection = idle[place].connections.popLast() {
            if now - connection.idleSince < Self.idleTime { return connection }
            connection.close()
        }
        return nil
    }

    func put(_ connection: UpstreamConnection, for key: String) {
        connection.becomeIdle(now: loop.now)
        connection.handOver(to: self)
        connection.watchWriting(false)
        connection.watchReading(true)
        let place = idle.firstIndex { $0.key == key } ?? idle.count
        if place == idle.count { idle.append((key, [])) }
        idle[place].connections.append(connection)
        if idle[place].connections.count > Self.idleLimit {
            idle[place].connections.removeFirst().close()
        }
        if let sweep, !sweep.isArmed { sweep.arm(after: Self.idleTime) }
    }

    /// Holds a released call until its answer ends; not for long.
    func keepUntilEnd(_ call: Call) {
        ending[ObjectIdentifier(call)] = (call, loop.now)
        if let sweep, !sweep.isArmed { sweep.arm(after: Self.idleTime) }
    }

    func forget(_ call: Call) {
        guard let (call, _) = ending.removeValue(forKey: ObjectIdentifier(call)) else { return }
        // This may be one of its callbacks.
        loop.afterThisTurn { _ = call }
    }

    private func closeOld() {
        let now = loop.now
        for (call, since) in ending.values where now - since >= Self.idleTime { call.cancel() }
        let old = idle.map(\.connections).joined().filter { now - $0.idleSince >= Self.idleTime }
        old.forEach(remove)
        if idleCount > 0 || !ending.isEmpty { sweep?.arm(after: Self.idleTime) }
    }

    private func remove(_ connection: UpstreamConnection) {
        connection.close()
        for place in idle.indices { idle[place].connections.removeAll { $0 === connection } }
        idle.removeAll { $0.connections.isEmpty }
    }

    /// An idle connection has nothing to say: it was closed, or the upstream is out of step.
    func connectionReadable(_ connection: UpstreamConnection) { remove(connection) }

    func connectionWritable(_ connection: UpstreamConnection) {}
}
