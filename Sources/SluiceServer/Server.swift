// The whole server: workers, discovery, signals, and what the terminal is told.

public import Configuration
internal import EventLoop
internal import Glibc
internal import HTTPTransport
internal import Observability
internal import Synchronization

/// Why the server could not start.
public struct StartError: Error, Sendable {
    /// What is wrong, and what would be right.
    public let message: String
}

/// One Sluice. It runs in the foreground until a signal ends it.
///
/// The first worker runs on the calling thread and leads: it alone asks the backends and hears
/// signals, and tells the others by mail.
public final class Server {
    private var configuration: Configuration
    private let readAgain: () throws(ReloadError) -> Configuration
    /// Whether the backends were not configured but are being looked for.
    private let isSearching: Bool
    private let log: Log
    private let loop = Loop()
    private var leader: Worker?
    private var followers: [Follower] = []
    private var reports: Mailbox<Report>?
    private var desk: FrontDesk?
    private var deskMail: Mailbox<DeskMessage>?
    private var signals: [SignalSource] = []
    private var drainTimer: Timer?
    private var greetingTimer: Timer?
    private var isDraining = false
    private var hasGreeted = false
    private var known: [BackendState] = []
    private var addresses: [SocketAddress] = []
    private let manager = ServiceManager()
    /// Sockets of the service manager's; then `listen` means nothing.
    private var sockets: [InheritedSocket] = []

    private enum Report: Sendable {
        case ready(Int, Mailbox<WorkerMessage>.Address)
        case failed(String)
        case ended
    }

    private struct Follower {
        let thread: Thread
        var mailbox: Mailbox<WorkerMessage>.Address?
    }

    /// Makes a server. `isSearching` says that nobody configured the backends; `readAgain` reads
    /// the configuration anew when SIGHUP asks for it.
    public init(
        _ configuration: Configuration, isSearching: Bool,
        readAgain: @escaping () throws(ReloadError) -> Configuration
    ) {
        self.configuration = configuration
        self.isSearching = isSearching
        self.readAgain = readAgain
        log = Log(configuration.log)
    }

    /// Runs until a signal ends it. Throws if it cannot begin.
    public func run() throws(StartError) {
        raiseDescriptorLimit()
        _ = ProcessFigures.start
        reports = Mailbox(on: loop) { [unowned self] in take($0) }
        try takeSockets()
        try startLeader()
        try startFollowers()
        watchSignals()
        if followers.isEmpty { manager.isReady(on: loop) }
        desk?.start()
        // A backend whose name cannot be looked up in time must not keep the rest untold.
        greetingTimer = Timer(on: loop) { [unowned self] in
            if !hasGreeted { greet(desk?.backends ?? []) }
        }
        greetingTimer?.arm(after: Discovery.patience + .seconds(1))
        loop.run()
        for follower in followers { follower.thread.join() }
        // The last of their mail.
        loop.runReady()
        leader?.ledger?.close(log)
        if let startFailure { throw startFailure }
    }
    private var startFailure: StartError?

    // MARK: - Workers

    private func startLeader() throws(StartError) {
        let worker = Worker(on: loop, configuration, seed: Self.seed(), log: log)
        worker.hasClosed = { [unowned self] in workerClosed() }
        leader = worker
        worker.ledger = try KeyLedger(configuration, on: loop, log: log)
        openDesk(worker)
        do throws(TLSError) {
            try worker.loadCertificate()
        } catch {
            throw StartError(message: "tls: \(error.message)")
        }
        if !sockets.isEmpty { return try listenOnSockets(worker) }
        for address in configuration.listen {
            do throws(SocketError) {
                for candidate in try Self.socketAddresses(of: address) {
                    addresses.append(try worker.listen(on: candidate))
                }
            } catch {
                throw StartError(message: Self.advice(error))
            }
        }
    }

    /// The sockets decide who can reach us, so the rules on keys and names hold for them.
    private func takeSockets() throws(StartError) {
        sockets = try ServiceManager.sockets()
        guard !sockets.isEmpty else { return }
        configuration.listen = sockets.compactMap {
            // It is an address, so it can be read; a family without one is refused below.
            try? ListenAddress($0.address.description)
        }
        guard configuration.listen.count == sockets.count else {
            throw StartError(message: "a socket of the service manager's is neither TCP nor Unix")
        }
        if let fault = configuration.exposureFault() {
            throw StartError(message: "\(fault.message)")
        }
    }

    private func listenOnSockets(_ worker: Worker) throws(StartError) {
        addresses = sockets.map(\.address)
        do throws(SocketError) {
            for socket in sockets { try worker.listen(on: socket) }
        } catch {
            throw StartError(message: error.message)
        }
    }

    /// The desk is on the leader's loop, so that with one worker asking it is a call.
    private func openDesk(_ worker: Worker) {
        let desk = FrontDesk(through: worker.pool, configuration, log: log)
        desk.backendsChanged = { [unowned self] in found($0, isComplete: $1) }
        desk.add(worker: 0) { [unowned worker] in worker.hearInTurn($0) }
        worker.join(.direct(desk), as: 0)
        self.desk = desk
        deskMail = Mailbox(on: loop) { [unowned desk] in desk.take($0) }
    }

    private static func advice(_ error: SocketError) -> String {
        guard case .addressInUse = error else { return error.message }
        return error.message + ". Stop it, or choose another address with --listen HOST:PORT."
    }

    private func startFollowers() throws(StartError) {
        guard let reports = reports?.address, let desk = deskMail?.address else { return }
        for number in 1..<max(1, configuration.workers) {
            let (configuration, log) = (configuration, log)
            let places = (addresses, sockets)
            let seed = Self.seed()
            let thread = Thread {
                Self.follow(number, configuration, places, (seed, log), (reports, desk))
            }
            guard let thread else { throw StartError(message: "the system has no more threads") }
            followers.append(Follower(thread: thread))
        }
    }

    /// The life of a worker's thread.
    private static func follow(
        _ number: Int, _ configuration: Configuration,
        _ places: (addresses: [SocketAddress], sockets: [InheritedSocket]),
        _ shared: (seed: UInt64, log: Log),
        _ leader: (reports: Mailbox<Report>.Address, desk: Mailbox<DeskMessage>.Address)
    ) {
        let (reports, loop) = (leader.reports, Loop())
        let worker = Worker(on: loop, configuration, seed: shared.seed, log: shared.log)
        worker.join(.mail(leader.desk), as: number)
        worker.hasClosed = { loop.stop() }
        do throws(TLSError) {
            try worker.loadCertificate()
        } catch {
            // Never in plain text where TLS was asked for.
            return reports.send(.failed(error.message))
        }
        do throws(SocketError) {
            for socket in places.sockets { try worker.listen(on: socket) }
            if places.sockets.isEmpty {
                // A Unix socket cannot be shared like a port: the first worker alone listens there.
                for address in places.addresses where !address.isUnix {
                    try worker.listen(on: address)
                }
            }
        } catch {
            return reports.send(.failed(error.message))
        }
        if let mailbox = worker.mailbox?.address { reports.send(.ready(number, mailbox)) }
        loop.run()
        reports.send(.ended)
    }

    private func take(_ report: Report) {
        switch report {
        case .ready(let number, let mailbox):
            followers[number - 1].mailbox = mailbox
            desk?.add(worker: number) { mailbox.send(.news($0)) }
            // It was started with the settings of then.
            mailbox.send(.configuration(configuration))
            mailbox.send(.fleet(Fleet(configuration, known)))
            if isDraining { mailbox.send(.drain) }
            introduceWorkers()
        case .failed(let message):
            // Half a Sluice would lose every connection that the system hands to the missing half.
            startFailure = startFailure ?? StartError(message: "a worker cannot start: \(message)")
            tellAll(.stop)
            workerClosed()
        case .ended: workerClosed()
        }
    }

    /// Tells the workers of each other, once all of them are there.
    private func introduceWorkers() {
        let others = followers.compactMap(\.mailbox)
        guard let first = leader?.mailbox?.address, others.count == followers.count else { return }
        tellAll(.talk(.colleagues([first] + others)))
        manager.isReady(on: loop)
    }

    private var closedWorkers = 0

    private func workerClosed() {
        closedWorkers += 1
        if closedWorkers > followers.count { loop.stop() }
    }

    private func tellAll(_ message: WorkerMessage) {
        leader?.mailbox?.address.send(message)
        for follower in followers { follower.mailbox?.send(message) }
    }

    // MARK: - Backends

    private func found(_ backends: [BackendState], isComplete: Bool) {
        let before = known
        known = backends
        manager.hasStatus(
            "\(backends.count(where: \.isUp)) of \(backends.count) backends up")
        tellAll(.fleet(Fleet(configuration, backends)))
        guard hasGreeted else {
            // Whoever starts Sluice is told once, when there is something to tell.
            return isComplete ? greet(backends) : ()
        }
        for new in backends {
            guard let old = before.first(where: { $0.name == new.name }) else { continue }
            logChange(old, new)
        }
    }

    private func greet(_ backends: [BackendState]) {
        hasGreeted = true
        let greeting = Greeting(
            addresses, backends, isSearching: isSearching,
            needsKey: !configuration.keys.isEmpty, isSecure: configuration.tls != nil,
            hasPage: configuration.ui)
        configuration.log.format == .json
            ? greeting.lines.forEach { log.write(.info, $0) } : log.put(greeting.text)
        releaseStartUpCode()
    }

    private func logChange(_ old: BackendState, _ new: BackendState) {
        if new.isUp, !old.isUp || old.models != new.models {
            log.write(.info, "backend \(new.name) is up: \(new.summary)")
        } else if !new.isUp, old.isUp || old.problem != new.problem {
            log.write(.warning, "backend \(new.name) is down: \(new.summary)")
        }
    }

    // MARK: - Signals

    private func watchSignals() {
        for signal in [SIGTERM, SIGINT] {
            signals.append(SignalSource(on: loop, signal) { [unowned self] in askedToStop() })
        }
        signals.append(
            SignalSource(on: loop, SIGHUP) { [unowned self] in
                manager.during(reload: { reload() })
            })
    }

    /// Reads the configuration again. Nothing that runs is dropped; one that cannot be used changes
    /// nothing.
    private func reload() {
        let plan: ReloadPlan
        do throws(ReloadError) {
            var read = try readAgain()
            // These are the service manager's to say.
            if !sockets.isEmpty { read.listen = configuration.listen }
            plan = try ReloadPlan(from: configuration, to: read)
        } catch {
            for line in error.lines { log.write(.error, "not reloaded: \(line)") }
            return
        }
        for warning in plan.warnings { log.write(.warning, "reload: \(warning)") }
        configuration = plan.next
        raiseDescriptorLimit()
        // The keys are counted before any worker lets them in.
        leader?.ledger?.reconfigure(configuration.keys)
        tellAll(.configuration(configuration))
        desk?.reconfigure(configuration)
        log.write(.info, "reloaded: \(plan.summary ?? "nothing has changed")")
    }

    private func askedToStop() {
        guard !isDraining else { return tellAll(.stop) }
        isDraining = true
        manager.isStopping()
        let drain = configuration.timeouts.drain
        log.write(
            .info,
            "stopping: requests that are running may take \(drain.wholeMilliseconds) ms more; a second signal ends them"
        )
        tellAll(.drain)
        drainTimer = Timer(on: loop) { [unowned self] in tellAll(.stopSessions) }
        drainTimer?.arm(after: drain)
    }

    // MARK: - Parts

    static func socketAddresses(
        of address: ListenAddress
    ) throws(SocketError) -> [SocketAddress] {
        switch address {
        case .tcp(let host, let port):
            return [try SocketAddress.resolve(host: host, port: port, toListen: true)[0]]
        case .unix(let path):
            guard let address = SocketAddress(unixPath: path) else {
                throw .failed(operation: "listen on", address: path, errno: ENAMETOOLONG)
            }
            return [address]
        }
    }

    private static func seed() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }

    /// A client and its upstream take two descriptors; the rest is for listeners, probes and the
    /// log.
    private func raiseDescriptorLimit() {
        let needed = rlim_t(configuration.limits.connections * 2 + 64)
        var limit = rlimit()
        unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        guard limit.rlim_cur < needed else { return }
        limit.rlim_cur = min(needed, limit.rlim_max)
        unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        if limit.rlim_cur < needed {
            let enough = limit.rlim_cur > 64 ? (limit.rlim_cur - 64) / 2 : 0
            log.write(
                .warning,
                "the system allows \(limit.rlim_cur) descriptors, enough for \(enough) of the \(configuration.limits.connections) connections configured; raise it with ulimit -n"
            )
        }
    }
}
