// What the admission learns of the backends: which there are, what they hold, whether they live.

extension Admission {
    // MARK: - Facts

    /// The backends have changed: those named here are configured, others no longer. Nothing that
    /// runs or waits is dropped. Requests run on where they are; those that wait keep their places,
    /// for `restartGrace` even if none is left of them; `reroute` gives them new ones.
    public mutating func setFleet(_ fleet: [BackendCapacity], now: Int64) -> [Answer] {
        for index in backends.indices { backends[index].isPresent = false }
        for capacity in fleet {
            let number = backendNumber(of: capacity.name, now: now)
            backends[number].isPresent = true
            backends[number].slots = capacity.slots
            backends[number].residentModels = capacity.residentModels
            backends[number].loadWait = capacity.loadWait
        }
        rebuildLanes()
        // A good moment to forget lists of places that nobody will bring again.
        if crowded.isEmpty { (pools, poolNumbers) = ([], [:]) }
        return fleetChanged(now: now)
    }

    /// A backend told which models it holds: `/api/ps`, the router's `/v1/models`.
    public mutating func setLoaded(
        _ models: [String], on backend: String, now: Int64
    ) -> [Answer] {
        guard let number = backendNumbers[backend] else { return [] }
        backends[number].tellsLoaded = true
        for (model, station) in backends[number].stations {
            // A model that is being loaded for a request of ours may not be on the list yet.
            stations[station].isLoaded =
                models.contains(model) || stations[station].running > 0
        }
        for model in models where backends[number].stations[model] == nil {
            stations[stationNumber(of: model, on: number)].isLoaded = true
        }
        return dispatch(now: now)
    }

    /// A probe of a backend has ended; see `Health.noteProbe`.
    public mutating func probed(
        _ backend: String, _ fact: HealthFact, now: Int64
    ) -> [Answer] {
        guard let number = backendNumbers[backend] else { return [] }
        let before = backends[number].health.state
        backends[number].health.noteProbe(fact, now: now)
        guard backends[number].health.state != before else { return [] }
        return fleetChanged(now: now)
    }

    /// What a request found out about a backend while it keeps its slot.
    public mutating func report(
        _ fact: HealthFact, on backend: String, now: Int64
    ) -> [Answer] {
        guard let number = backendNumbers[backend] else { return [] }
        return note(fact, number, now: now)
    }

    /// The health of a backend; `nil` for one that is not configured.
    public func health(of backend: String) -> Health.State? {
        guard let number = backendNumbers[backend], backends[number].isPresent else { return nil }
        return backends[number].health.state
    }

    /// The backends to probe now, each until `probed` tells what came of it.
    public mutating func takeDueProbes(now: Int64) -> [String] {
        backends.indices.filter { index in
            backends[index].isPresent && backends[index].health.beginProbe(now: now)
        }
        .map { backends[$0].name }
    }

    /// Nothing is sent to a model until `resume`: it is being cured. Who waits for it goes on
    /// waiting, or elsewhere. To be called before `attemptFailed` is for the requests that hang,
    /// which would be sent there again at once.
    public mutating func suspend(_ place: Place, now: Int64) {
        setSuspended(place, true)
        updatePools(now: now)
    }

    /// The model can be used again, and has to be loaded.
    public mutating func resume(_ place: Place, now: Int64) -> [Answer] {
        setSuspended(place, false)
        return fleetChanged(now: now)
    }

    // MARK: - Time

    /// When `wake` or `takeDueProbes` has something to do.
    public var nextWake: Int64? {
        // `mutating`, so that whoever owns the admission is not made to copy it for a question.
        mutating get {
            var next: Int64?
            func note(_ moment: Int64?) {
                if let moment { next = min(next ?? moment, moment) }
            }
            for backend in backends.indices where backends[backend].isPresent {
                note(backends[backend].health.nextProbe)
            }
            for pool in crowded {
                if let seat = pools[pool].interactive.head { note(patience(ofSeat: seat)) }
                if let seat = pools[pool].batch.head { note(patience(ofSeat: seat)) }
            }
            return next
        }
    }

    /// Time has passed: refuses those who have waited too long for a backend that loads or is down.
    public mutating func wake(now: Int64) -> [Answer] {
        var answers: [Answer] = []
        for pool in crowded {
            while let seat = impatientSeat(pool, now) {
                guard let waiter = removeWaiter(at: seat) else { break }
                answers.append(.refused(id: waiter.ticket.id, stallRefusal(pool, now)))
            }
        }
        return answers + dispatch(now: now)
    }

    /// Somebody in a pool who has waited too long. Within a class those who came first are first to
    /// run out of patience, so heads are enough to look at.
    private func impatientSeat(_ pool: Int, _ now: Int64) -> Int? {
        [pools[pool].interactive.head, pools[pool].batch.head].compactMap(\.self).first {
            patience(ofSeat: $0).map { $0 <= now } ?? false
        }
    }

    /// Until when the request at a seat waits for its pool to be served at all; `nil`: it is.
    private func patience(ofSeat seat: Int) -> Int64? {
        guard let waiter = room[seat] else { return nil }
        return switch pools[waiter.pool].stall {
        case .loading(let since): max(since, waiter.arrived) + loadWait(of: pools[waiter.pool])
        case .down(let since): since + Self.restartGrace
        case nil: nil
        }
    }

    /// The longest that any backend of a pool allows.
    private func loadWait(of pool: Pool) -> Int64 {
        pool.stations.map { stations[$0].backend }.filter { backends[$0].isPresent }
            .map { backends[$0].loadWait ?? settings.loadWait }.max() ?? settings.loadWait
    }

    private func stallRefusal(_ pool: Int, _ now: Int64) -> Refusal {
        let seconds = recovery(pool, now)
        return switch pools[pool].stall {
        case .loading: .modelLoading(retryAfterSeconds: seconds)
        case .down, nil: .noBackend(retryAfterSeconds: seconds)
        }
    }

    // MARK: - Retry-After

    /// In how many seconds a backend of the pool may be back.
    func recovery(_ pool: Int, _ now: Int64) -> Int {
        pools[pool].stations.map { backends[stations[$0].backend] }.filter(\.isPresent)
            .map { $0.health.retryAfterSeconds(now: now) }.min() ?? 1
    }

    /// In how many seconds those who wait now will have been served: each holds its slot for as
    /// long as others did before. Before the first has ended, five seconds are as good a guess as
    /// any.
    func queueSeconds(_ pool: Int) -> Int {
        var (slots, hold): (Int64, Int64) = (0, 0)
        for lane in Set(pools[pool].open.map { stations[pools[pool].stations[$0]].lane }) {
            slots += Int64(lanes[lane].slots ?? PlaceOption.nominalSlots)
        }
        for offset in pools[pool].open {
            hold = max(hold, backends[stations[pools[pool].stations[offset]].backend].meanHold)
        }
        guard hold > 0, slots > 0 else { return 5 }
        // In milliseconds, so that no product of real numbers overflows.
        let milliseconds = hold / 1_000_000 * Int64(pools[pool].count + 1) / slots
        return Int(min(milliseconds / 1000 + 1, 60))
    }

    // MARK: - Parts

    /// Takes what a request tells of a backend; a slot may have become free besides.
    mutating func note(_ fact: HealthFact?, _ backend: Int, now: Int64) -> [Answer] {
        guard let fact else { return dispatch(now: now) }
        let before = backends[backend].health.state
        backends[backend].health.note(fact, now: now)
        if backends[backend].health.state != before { updatePools(now: now) }
        return dispatch(now: now)
    }

    private mutating func fleetChanged(now: Int64) -> [Answer] {
        updatePools(now: now)
        return dispatch(now: now)
    }

    private mutating func updatePools(now: Int64) {
        for pool in pools.indices { updatePool(pool, now: now) }
    }

    /// Works out where the requests of a pool may go.
    ///
    /// A tier is used when nothing before it can serve. Loading is not serving: a fallback is there
    /// for just that.
    private mutating func updatePool(_ number: Int, now: Int64) {
        let pool = pools[number]
        let usable = pool.places.indices.filter { offset in
            let station = stations[pool.stations[offset]]
            return backends[station.backend].isUp && !station.isSuspended
        }
        let tier = usable.map { pool.places[$0].tier }.min()
        pools[number].open = usable.filter { pool.places[$0].tier == tier }
        pools[number].stall = usable.isEmpty ? stall(of: pool, now: now) : nil
    }

    /// Why nobody of a pool can go, and since when.
    private func stall(of pool: Pool, now: Int64) -> Stall {
        let isComing = pool.stations.contains { number in
            let backend = backends[stations[number].backend]
            switch backend.health.state {
            case .up: return backend.isPresent && stations[number].isSuspended
            case .loading: return backend.isPresent
            case .down: return false
            }
        }
        // The clock starts when the pool got into this state, not when one of its backends did.
        switch (isComing, pool.stall) {
        case (true, .loading(let since)?): return .loading(since: since)
        case (true, _): return .loading(since: now)
        case (false, .down(let since)?): return .down(since: since)
        case (false, _): return .down(since: now)
        }
    }

    private mutating func setSuspended(_ place: Place, _ isSuspended: Bool) {
        guard let backend = backendNumbers[place.backend] else { return }
        let station = stationNumber(of: place.model, on: backend)
        stations[station].isSuspended = isSuspended
        // The cure is to unload it.
        stations[station].isLoaded = false
    }

    private mutating func backendNumber(of name: String, now: Int64) -> Int {
        if let number = backendNumbers[name] { return number }
        backends.append(BackendRecord(name: name, now: now))
        backendNumbers[name] = backends.count - 1
        return backends.count - 1
    }

    /// The station of a model, made when it is asked for first. There are as many as the operator
    /// and the backends name models.
    private mutating func stationNumber(of model: String, on backend: Int) -> Int {
        if let number = backends[backend].stations[model] { return number }
        let lane = lane(for: backend)
        stations.append(Station(backend: backend, model: model, lane: lane))
        backends[backend].stations[model] = stations.count - 1
        return stations.count - 1
    }

    /// The lane of a new station: the backend's own, or a new one.
    private mutating func lane(for backend: Int) -> Int {
        let slots: Int?
        switch backends[backend].slots {
        case .perBackend(let count):
            if let other = backends[backend].stations.values.first { return stations[other].lane }
            slots = count
        case .perModel(let count): slots = count
        case .unlimited: slots = nil
        }
        lanes.append(Lane(slots: slots))
        return lanes.count - 1
    }

    /// Lays the lanes out anew, as the rules for slots may have changed, and seats those that run.
    private mutating func rebuildLanes() {
        lanes = []
        for backend in backends.indices {
            let known = backends[backend].stations
            backends[backend].stations = [:]
            backends[backend].running = 0
            for (model, number) in known {
                stations[number].lane = lane(for: backend)
                backends[backend].stations[model] = number
            }
        }
        for case .running(let running) in locations.values {
            let station = stations[running.station]
            lanes[station.lane].taken += need(running)
            backends[station.backend].running += need(running)
        }
    }

    /// The number of the pool with these places.
    mutating func poolNumber(of places: [Place], now: Int64) -> Int {
        // Requests for one model come with one array, so this seldom compares what is in it.
        if lastPool < pools.count, pools[lastPool].places == places { return lastPool }
        if let number = poolNumbers[places] {
            lastPool = number
            return number
        }
        let numbers = places.map { place in
            var backend = backendNumbers[place.backend]
            if backend == nil {
                // A reload took it away while the request was on its way here.
                backend = backendNumber(of: place.backend, now: now)
                if let backend { backends[backend].isPresent = false }
            }
            return stationNumber(of: place.model, on: backend ?? 0)
        }
        pools.append(Pool(places: places, stations: numbers))
        poolNumbers[places] = pools.count - 1
        lastPool = pools.count - 1
        updatePool(lastPool, now: now)
        return lastPool
    }
}
