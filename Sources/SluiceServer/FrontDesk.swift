// Where all requests ask for their slots: the one owner of the admission.

internal import Configuration
internal import EventLoop
internal import HTTPTransport
internal import Routing

/// Owns slots, queues and what is known of the backends, on the loop of the first worker.
///
/// Workers tell it of their requests, and it tells them where these may go: on its own loop by
/// calls, elsewhere by mail. It looks after the health of the backends (`FrontDeskBackends.swift`)
/// and after models of Ollama that hang (`FrontDeskCures.swift`).
final class FrontDesk {
    let loop: Loop
    /// Where its own questions to backends go.
    let pool: ConnectionPool
    let log: Log
    var configuration: Configuration
    var admission: Admission
    /// What is asked of each backend, in the order of the configuration.
    var probes: [Probe] = []
    /// Whether backends are asked at all; tests of requests alone say what they would find.
    let asksBackends: Bool
    /// The health that was told last, by the backend's name.
    var toldHealth: [String: Health.State] = [:]
    /// What failed last at a backend, in words for people.
    var reasons: [String: String] = [:]
    var residencies: [String: Residency] = [:]
    /// When a backend was last asked out of turn for what it has loaded.
    var lastLooks: [String: Int64] = [:]
    /// The models of Ollama that are watched.
    var wards: [Place: Ward] = [:]
    /// Which of their requests goes where.
    var watched: [UInt64: Place] = [:]
    /// Called when anything is new about the backends; `isComplete`: all have been asked.
    var backendsChanged: ([BackendState], _ isComplete: Bool) -> Void = { _, _ in }
    /// How far this clock is ahead of the loop's: tests need not wait.
    var lead: Int64 = 0

    private var workers: [Int: (DeskNews) -> Void] = [:]
    private var timer: Timer?

    /// A desk for backends that are not asked before `start`.
    init(
        through pool: ConnectionPool, _ configuration: Configuration, log: Log,
        asksBackends: Bool = true
    ) {
        loop = pool.loop
        self.pool = pool
        self.configuration = configuration
        self.log = log
        self.asksBackends = asksBackends
        admission = Admission(Admission.Settings(configuration))
        timer = Timer(on: pool.loop) { [unowned self] in wake() }
        setBackends()
    }

    deinit {
        for ward in wards.values { ward.cure?.cancel() }
    }

    /// Begins to ask the backends.
    func start() { wake() }

    /// Names the way to a worker. `hear` is called with all news for it.
    func add(worker number: Int, hear: @escaping (DeskNews) -> Void) { workers[number] = hear }

    var now: Int64 { loop.now.nanoseconds + lead }

    // MARK: - Messages

    /// Takes a message of a worker.
    func take(_ message: DeskMessage) {
        let now = now
        switch message {
        case .request(let ticket):
            tell(admission.request(ticket, now: now), newcomer: ticket.id)
        case .cancel(let id):
            watch(id) { $0.cancelled(id, now: now) }
            tell(admission.cancel(id, now: now))
        case .answered(let id):
            watch(id, isOver: false) { $0.spoke(id, now: now) }
            tell(admission.answered(id, now: now))
            lookWhatIsLoaded(by: id)
        case .release(let release): take(release, now)
        case .failed(let attempt): take(attempt, now)
        case .position(let id):
            guard let position = admission.position(of: id) else { break }
            send(.queued(id, position: position, isLoading: false))
        case .reroute(let id, let places):
            tell(admission.reroute(id, to: places, now: now))
        case .describe(let id): send(.description(id, description()))
        }
        armTimer()
    }

    private func take(_ release: Release, _ now: Int64) {
        let id = release.id
        watch(id) { ward in
            if release.isCancelled {
                ward.cancelled(id, now: now)
            } else {
                ward.ended(id, now: now)
            }
        }
        noteReason(release.fact, at: admission.place(of: id))
        tell(admission.release(id, release.fact, now: now))
        if release.fact != nil, release.fact != .succeeded { lookAtHealth() }
    }

    private func take(_ attempt: FailedAttempt, _ now: Int64) {
        watch(attempt.id) { $0.ended(attempt.id, now: now) }
        noteReason(
            attempt.failure.healthFact(othersStand: false), at: admission.place(of: attempt.id))
        let (decision, answers) = admission.attemptFailed(attempt, now: now)
        switch decision {
        case .giveUp: send(.givenUp(attempt.id))
        // A stale connection never comes here: the call itself tries a fresh one.
        case .freshConnection, .elsewhere, .wait: break
        }
        tell(answers, newcomer: decision == .wait ? attempt.id : nil)
        lookAtHealth()
    }

    // MARK: - News

    /// Passes answers on. A request that has just come, or come back, is told that it waits.
    func tell(_ answers: [Answer], newcomer: UInt64? = nil) {
        var isTold = false
        for answer in answers {
            if answer.id == newcomer { isTold = true }
            switch answer {
            case .granted(let grant):
                beginWatching(grant)
                send(.granted(grant))
            case .queued(let id, let position):
                send(.queued(id, position: position, isLoading: admission.isStalled(id)))
            case .refused(let id, let refusal): send(.refused(id, refusal))
            }
        }
        guard let newcomer, !isTold, let position = admission.position(of: newcomer) else { return }
        send(.queued(newcomer, position: position, isLoading: admission.isStalled(newcomer)))
    }

    func send(_ news: DeskNews) { workers[DeskIDs.worker(of: news.id)]?(news) }

    // MARK: - Time

    /// Does what is due.
    func wake() {
        let now = now
        for name in admission.takeDueProbes(now: now) { probe(name) }
        tell(admission.wake(now: now))
        cureWhatHangs(now)
        armTimer()
    }

    /// The timer is not put off when there is less to do than it was armed for: it fires early, and
    /// sleeps on.
    func armTimer() {
        var moment = admission.nextWake
        for ward in wards.values {
            if let due = ward.detector.due { moment = min(moment ?? due, due) }
        }
        guard let next = moment else { return }
        timer?.arm(noLaterThan: Instant(nanoseconds: next - lead))
    }
}

extension Admission.Settings {
    init(_ configuration: Configuration) {
        self.init(
            queueLimit: configuration.limits.queue,
            loadWait: configuration.timeouts.loadWait.wholeNanoseconds)
    }
}
