// Hands free slots to those who wait.
//
// Grouping by model: a server that holds fewer models than are asked for must put one out to load
// another, which takes as long as many answers. On such a server a request whose model is not
// loaded may be overtaken by requests for models that are, but by no more than
// `Admission.overtakingLimit` and for no longer than `Admission.overtakingTime`. After that the
// running ones end, nobody joins them, and the models are swapped. It works both ways: now the
// others are those that may be overtaken.

extension Admission {
    /// How a place stands to a request that would go there.
    private enum Access {
        /// It may.
        case free
        /// No slot, or one that an older request has claimed.
        case taken
        /// There is a slot, but another model would have to be put out, and it is not yet time.
        case needsSwap
    }

    /// Grants whatever can be granted.
    mutating func dispatch(now: Int64) -> [Answer] {
        guard !crowded.isEmpty else { return [] }
        var answers: [Answer] = []
        // A request that let others go first is served itself if none of them went after all; so
        // a second pass may follow, and rarely a third.
        while runPass(now, &answers) {}
        return answers
    }

    /// Asks the heads of all queues in the order of their ranks. Returns whether somebody waited
    /// for others who then did not go.
    private mutating func runPass(_ now: Int64, _ answers: inout [Answer]) -> Bool {
        pass += 1
        var heads = gatherHeads()
        while roomyLanes > 0, let pool = heads.popFirst()?.pool {
            guard let seat = head(of: pool), let offset = choosePlace(seat, now) else { continue }
            answers.append(.granted(grant(seat, offset, now)))
            guard let next = head(of: pool) else { continue }
            heads.insert(RankedPool(rank: room.rank(next), pool: pool))
        }
        return findIdleDeferrals()
    }

    /// The heads of the queues for which there is room somewhere; counts the lanes that have it.
    private mutating func gatherHeads() -> RankedPools {
        var heads: [RankedPool] = []
        roomyLanes = 0
        for pool in crowded {
            var hasRoom = false
            for offset in pools[pool].open {
                let lane = stations[pools[pool].stations[offset]].lane
                guard lanes[lane].hasRoom(for: 1) else { continue }
                hasRoom = true
                if lanes[lane].counted != pass {
                    lanes[lane].counted = pass
                    roomyLanes += 1
                }
            }
            guard hasRoom, let seat = head(of: pool) else { continue }
            heads.append(RankedPool(rank: room.rank(seat), pool: pool))
        }
        return RankedPools(heads)
    }

    /// Nobody who is asked later in this pass gets anything in this lane.
    private mutating func claim(_ lane: Int) {
        guard lanes[lane].claim != pass else { return }
        lanes[lane].claim = pass
        if lanes[lane].hasRoom(for: 1) { roomyLanes -= 1 }
    }

    /// Finds backends on which someone let others go first, of whom none went, and nothing runs
    /// that could end: the next pass must not wait for anything there.
    private mutating func findIdleDeferrals() -> Bool {
        var found = false
        for index in backends.indices
        where backends[index].swapClaim.pass == pass && backends[index].lastOvertaking != pass
            && backends[index].running == 0 && backends[index].mustSwap != pass - 1
        {
            backends[index].mustSwap = pass
            found = true
        }
        return found
    }

    /// Grants a request that has not queued what it can have now; `nil` if it must wait.
    mutating func grantAtOnce(_ waiter: Waiter, _ now: Int64) -> Grant? {
        pass += 1
        var swaps: [Int] = []
        guard let offset = freePlace(for: waiter, now, &swaps) else { return nil }
        return grant(waiter, offset, now)
    }

    /// The best place for the request at `seat`, as an offset in its ticket; `nil` if it must wait,
    /// and then what it waits for is claimed.
    private mutating func choosePlace(_ seat: Int, _ now: Int64) -> Int? {
        guard let waiter = room[seat] else { return nil }
        var swaps: [Int] = []
        if let offset = freePlace(for: waiter, now, &swaps) { return offset }
        let pool = pools[waiter.pool]
        for offset in pool.open {
            let station = pool.stations[offset]
            guard swaps.contains(offset) else {
                claim(stations[station].lane)
                continue
            }
            // Not the lane: requests for the loaded models may have it.
            let backend = stations[station].backend
            guard backends[backend].swapClaim.pass != pass else { continue }
            backends[backend].swapClaim = (pass, seat)
            room.noteDeferred(seat, now: now)
        }
        return nil
    }

    /// The best place that a request may go to now, as an offset in its ticket. Those where a model
    /// would have to be put out for it are added to `swaps`.
    private mutating func freePlace(
        for waiter: Waiter, _ now: Int64, _ swaps: inout [Int]
    ) -> Int? {
        var first: Int?
        var others: [Int] = []
        for offset in pools[waiter.pool].open {
            switch access(waiter, pools[waiter.pool].stations[offset], now) {
            case .free:
                if first == nil { first = offset } else { others.append(offset) }
            case .taken: break
            case .needsSwap: swaps.append(offset)
            }
        }
        guard let first, !others.isEmpty else { return first }
        let free = [first] + others
        return bestPlace(of: options(free, pools[waiter.pool], waiter.ticket)).map { free[$0] }
    }

    /// What there is to know of places with a free slot, for choosing among them.
    private func options(_ offsets: [Int], _ pool: Pool, _ ticket: Ticket) -> [PlaceOption] {
        let known = affinity.places(for: ticket.prefixes)
        return offsets.map { offset in
            let number = pool.stations[offset]
            let station = stations[number]
            let backend = backends[station.backend]
            let lane = lanes[station.lane]
            return PlaceOption(
                isWarm: !backend.tellsLoaded || station.isLoaded,
                prefixLength: known.first { $0.place == number }?.length ?? 0,
                load: (backend.running, lane.slots), lastTurn: backend.lastTurn)
        }
    }

    // MARK: - Models that are swapped

    /// Whether a request may go to a station now. Slots come first: who finds none needs no swap.
    private mutating func access(_ waiter: Waiter, _ number: Int, _ now: Int64) -> Access {
        let lane = stations[number].lane
        guard lanes[lane].claim != pass, lanes[lane].hasRoom(for: waiter.ticket.weight) else {
            return .taken
        }
        guard let limit = backends[stations[number].backend].residentModels else { return .free }
        let station = stations[number]
        // From here on the server swaps models.
        let isSwap = needsSwap(station, limit)
        let claim = backends[station.backend].swapClaim
        if claim.pass == pass, let older = room[claim.seat] {
            // Who needs a swap too waits behind the one who waits for it already.
            if isSwap { return .needsSwap }
            return mayOvertake(older, waiter.ticket, now) ? .free : .taken
        }
        guard isSwap else { return .free }
        let models = backends[station.backend].stations.values
        let busy = models.count { stations[$0].running > 0 }
        if busy >= limit { return .needsSwap }
        let mustSwap = backends[station.backend].mustSwap == pass - 1
        return !mustSwap && letsOthersFirst(waiter, station, now) ? .needsSwap : .free
    }

    /// Whether a model would have to be put out for this one.
    private func needsSwap(_ station: Station, _ limit: Int) -> Bool {
        guard station.running == 0 else { return false }
        let models = backends[station.backend].stations.values
        // What others run is what is loaded now, or will be before anybody new gets there: until it
        // was known that the server swaps, requests for more models than it holds were sent.
        if models.count(where: { stations[$0].running > 0 }) >= limit { return true }
        return !station.isLoaded
            && models.count { stations[$0].isLoaded || stations[$0].running > 0 } >= limit
    }

    /// Whether a request may go before an older one whose model is not loaded.
    private func mayOvertake(_ older: Waiter, _ ticket: Ticket, _ now: Int64) -> Bool {
        // A batch request never goes before somebody who waits for the answer.
        guard older.ticket.priority == .batch || ticket.priority == .interactive else {
            return false
        }
        return older.overtaken < Self.overtakingLimit
            && now - (older.deferredSince ?? now) < Self.overtakingTime
    }

    /// Whether another waits, behind `waiter`, for a model that is loaded on the backend of
    /// `station`, and may go first.
    private func letsOthersFirst(_ waiter: Waiter, _ station: Station, _ now: Int64) -> Bool {
        crowded.contains { number in
            guard number != waiter.pool, let seat = head(of: number), let other = room[seat],
                mayOvertake(waiter, other.ticket, now)
            else { return false }
            let pool = pools[number]
            return pool.open.contains { offset in
                let candidate = stations[pool.stations[offset]]
                let lane = lanes[candidate.lane]
                return candidate.backend == station.backend && candidate.isLoaded
                    && lane.claim != pass && lane.hasRoom(for: other.ticket.weight)
            }
        }
    }

    // MARK: - Coming and going

    /// Takes the request out of its queue and gives it slots at a place of its ticket.
    private mutating func grant(_ seat: Int, _ offset: Int, _ now: Int64) -> Grant {
        guard let waiter = removeWaiter(at: seat) else { preconditionFailure("an empty seat") }
        return grant(waiter, offset, now)
    }

    private mutating func grant(_ waiter: Waiter, _ offset: Int, _ now: Int64) -> Grant {
        let number = pools[waiter.pool].stations[offset]
        let backend = stations[number].backend
        if backends[backend].swapClaim.pass == pass {
            // It goes before the one who claims the swap.
            room.noteOvertaken(backends[backend].swapClaim.seat)
            backends[backend].lastOvertaking = pass
        }
        load(number)
        turn += 1
        (backends[backend].lastTurn, stations[number].lastTurn) = (turn, turn)
        let running = Running(
            ticket: waiter.ticket, rank: waiter.rank, arrived: waiter.arrived, station: number,
            granted: now, retries: waiter.retries)
        locations[waiter.ticket.id] = .running(running)
        occupy(running, by: 1)
        if !lanes[stations[number].lane].hasRoom(for: 1) { roomyLanes -= 1 }
        let isReturning =
            !waiter.ticket.prefixes.isEmpty
            && affinity.places(for: waiter.ticket.prefixes).contains { $0.place == number }
        if let whole = waiter.ticket.prefixes.last { affinity.remember(whole, at: number) }
        return Grant(
            id: waiter.ticket.id, place: pools[waiter.pool].places[offset],
            waited: now - waiter.arrived, isReturning: isReturning)
    }

    /// Gives the slots back.
    mutating func leave(_ running: Running) {
        occupy(running, by: -1)
        if running.hasAnswered { backends[stations[running.station].backend].answering -= 1 }
    }

    func need(_ running: Running) -> Int {
        lanes[stations[running.station].lane].need(running.ticket.weight)
    }

    private mutating func occupy(_ running: Running, by sign: Int) {
        let slots = sign * need(running)
        let (lane, backend) = (stations[running.station].lane, stations[running.station].backend)
        stations[running.station].running += sign
        lanes[lane].taken += slots
        backends[backend].running += slots
    }

    /// The model will be loaded by the request that goes to it now; the one that was used longest
    /// ago is put out, as servers do.
    private mutating func load(_ number: Int) {
        stations[number].isLoaded = true
        guard let limit = backends[stations[number].backend].residentModels else { return }
        let backend = backends[stations[number].backend]
        let loaded = backend.stations.values.filter { stations[$0].isLoaded }
        guard loaded.count > limit else { return }
        var idle = loaded.filter { $0 != number && stations[$0].running == 0 }
        idle.sort { stations[$0].lastTurn < stations[$1].lastTurn }
        for other in idle.prefix(loaded.count - limit) { stations[other].isLoaded = false }
    }
}
