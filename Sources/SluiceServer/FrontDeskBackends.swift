// The front desk and the backends: which there are, whether they live, what they hold.

internal import Configuration
internal import EventLoop
internal import Routing

extension FrontDesk {
    /// How often everything is asked of a backend that is up. Its health, and what it has loaded,
    /// is asked more often (`Health.probeInterval`).
    private static let fullRound = Duration.seconds(15)

    // MARK: - Which there are

    /// Takes another configuration. Backends that are the same go on as they are; those that are
    /// new or changed are asked at once.
    func reconfigure(_ configuration: Configuration) {
        self.configuration = configuration
        admission.settings = Admission.Settings(configuration)
        let known = probes
        setBackends()
        tellBackends()
        for probe in probes where !known.contains(where: { $0 === probe }) {
            self.probe(probe.state.name)
        }
        armTimer()
    }

    /// Makes the probes and the fleet of the configuration.
    func setBackends() {
        let known = probes
        probes = configuration.backends.map { settings in
            known.first { $0.state.settings == settings }
                ?? Probe(through: pool, settings, patience: Discovery.patience)
        }
        let names = Set(probes.map(\.state.name))
        toldHealth = toldHealth.filter { names.contains($0.key) }
        residencies = residencies.filter { names.contains($0.key) }
        lastLooks = lastLooks.filter { names.contains($0.key) }
        setFleet()
    }

    private func setFleet() {
        let capacities = probes.map { probe in
            var capacity = BackendCapacity(
                name: probe.state.name, slots: probe.state.slots,
                residentModels: probe.state.residentModels
                    ?? residencies[probe.state.name]?.limit)
            capacity.loadWait =
                configuration.timeouts(for: probe.state.settings).loadWait.wholeNanoseconds
            return capacity
        }
        tell(admission.setFleet(capacities, now: now))
    }

    /// Takes what somebody else has found out, instead of asking.
    func introduce(_ states: [BackendState]) {
        for (probe, state) in zip(probes, states) {
            probe.introduce(state)
            toldHealth[state.name] = .up
            guard !state.isUp else { continue }
            _ = admission.probed(state.name, .refused, now: now)
        }
        setFleet()
        for state in states {
            guard let loaded = state.loaded else { continue }
            tell(admission.setLoaded(loaded, on: state.name, now: now))
        }
        lookAtHealth()
        tellBackends()
    }

    // MARK: - Whether they live

    /// Begins a round of questions to a backend.
    func probe(_ name: String) {
        guard asksBackends, let probe = probes.first(where: { $0.state.name == name }) else {
            return
        }
        let isOld = probe.lastFull.map { loop.now - $0 >= Self.fullRound } ?? true
        let wasUp = admission.health(of: name) == .up && probe.state.isUp
        probe.begin(isOld || !wasUp ? .full : .light) { [unowned self] checkup in
            checked(name, checkup)
        } learned: { [unowned self, unowned probe] isNews in
            learned(probe, isNews)
        }
    }

    private func checked(_ name: String, _ checkup: Checkup) {
        var fact = checkup.fact
        if case .connectTimedOut = fact {
            fact = .connectTimedOut(othersStand: admission.running(on: name) > 0)
        }
        reasons[name] = checkup.problem ?? reasons[name]
        tell(admission.probed(name, fact, now: now))
        lookAtHealth()
        armTimer()
    }

    /// Notes why a request failed, in case its backend is taken for dead now.
    func noteReason(_ fact: HealthFact?, at place: Place?) {
        guard let place, let words = fact?.words else { return }
        reasons[place.backend] = words
    }

    /// Tells of backends whose health has changed.
    func lookAtHealth() {
        var isChanged = false
        for probe in probes {
            let name = probe.state.name
            let health = admission.health(of: name)
            guard toldHealth[name] != health else { continue }
            toldHealth[name] = health
            isChanged = true
            // What hung before a restart is gone.
            for place in wards.keys where place.backend == name && health != .up {
                wards[place]?.detector.unloaded()
            }
        }
        if isChanged { tellBackends() }
    }

    // MARK: - What they hold

    /// How often a backend is asked out of turn for what it has loaded.
    private static let lookInterval: Int64 = 250_000_000

    /// A model that answers is loaded. If that is news, another may have gone for it: what is seen
    /// only every few seconds would not show that a server swaps, and its requests not be grouped.
    func lookWhatIsLoaded(by id: UInt64) {
        guard let place = admission.place(of: id),
            let state = probes.first(where: { $0.state.name == place.backend })?.state,
            let loaded = state.loaded, !loaded.contains(place.model),
            now - lastLooks[place.backend, default: .min / 2] >= Self.lookInterval
        else { return }
        lastLooks[place.backend] = now
        probe(place.backend)
    }

    private func learned(_ probe: Probe, _ isNews: Bool) {
        let state = probe.state
        // A backend that a reload took away may have been asked still.
        guard isNews, probes.contains(where: { $0 === probe }) else { return }
        if let loaded = state.loaded, state.residentModels == nil {
            residencies[state.name, default: Residency()].observe(loaded)
        }
        setFleet()
        if let loaded = state.loaded {
            tell(admission.setLoaded(loaded, on: state.name, now: now))
        }
        tellBackends()
        armTimer()
    }

    /// What is known of every backend, with its health.
    var backends: [BackendState] {
        probes.map { probe in
            var state = probe.state
            switch admission.health(of: state.name) {
            case .up, nil: break
            case .loading:
                (state.isUp, state.problem) = (false, "is still loading its model")
            case .down:
                (state.isUp, state.problem) = (false, reasons[state.name] ?? state.problem)
            }
            return state
        }
    }

    private func tellBackends() {
        backendsChanged(backends, probes.allSatisfy(\.hasFinishedOnce))
    }
}

extension HealthFact {
    /// What happened to a request, in words for people, after the backend's name.
    fileprivate var words: String? {
        switch self {
        case .refused: "refuses connections"
        case .connectTimedOut: "does not accept connections"
        case .broken: "breaks connections off"
        case .failed: "answers with 502 or 503"
        case .loading: "is still loading its model"
        case .succeeded, .slow: nil
        }
    }
}
