// Who may go where, and who waits: slots, queues and priorities of all requests of one Sluice.
//
// The rules, and why they are so:
//
// Requests with the same list of places form a pool and wait in one queue, ordered by rank: the
// time of their coming, for batch requests `batchPatience` later. Pools can overlap, for a model
// that is on one backend and another that is on two share slots. So there is one order for all:
// when something becomes free, the heads of the queues are asked in the order of their ranks, and
// the first that can use it gets it. A head that cannot go claims what is free at its places, so a
// request that needs two slots is not overtaken for ever by those that need one. With this no
// request ever takes a slot that an older one of its class waits for, whatever pools they are in;
// nothing starves, since ranks never change and every newer request has a greater one. The one
// exception is the grouping by model, which is bounded; see `AdmissionDispatch.swift`.
//
// Only heads are looked at: behind a head that cannot go are requests with the same places and less
// right to them. A decision costs as much as there are queues with somebody in them, however long
// they are.

/// Owns all slots and queues. It lives on one thread; the others send it messages.
///
/// Times are nanoseconds of one monotonic clock and never go back. Every call returns what is to be
/// told to whom, in order. `nextWake` says when `wake` is due at the latest.
public struct Admission: Sendable {
    /// How long a batch request lets interactive ones go first. Behind those that came until then
    /// it has its turn, so batches do not starve. Longer than most answers take, so people do not
    /// notice batches in bursts; a tenth of the default `queue` deadline, so batches survive them.
    public static let batchPatience: Int64 = 60_000_000_000
    /// How long those who wait keep their places when all their backends are down: a server that is
    /// restarted listens again within that. New requests are refused meanwhile, at once.
    public static let restartGrace: Int64 = 5_000_000_000
    /// The bounds of grouping by model: how many may go before a request that needs another model
    /// loaded, and for how long. A swap of models takes seconds to half a minute: with these it
    /// takes a share of the time that bears thinking of, and who needs it waits at most about as
    /// long as the swap itself takes.
    public static let overtakingLimit = 16
    /// See `overtakingLimit`.
    public static let overtakingTime: Int64 = 30_000_000_000
    /// How many ends of requests are remembered to lead conversations back: some hours of a busy
    /// Sluice, in about a megabyte.
    public static let affinityCapacity = 16_384

    /// What the operator decides.
    public struct Settings: Sendable, Equatable {
        /// How many may wait in one queue: `limits.queue`.
        public var queueLimit: Int
        /// How long one waits for a loading model, in nanoseconds: `load_wait`.
        public var loadWait: Int64

        /// Both bounds, from the configuration.
        public init(queueLimit: Int, loadWait: Int64) {
            self.queueLimit = queueLimit
            self.loadWait = loadWait
        }
    }

    /// May be changed at any time; those who wait already go on waiting.
    public var settings: Settings

    var backends: [BackendRecord] = []
    var backendNumbers: [String: Int] = [:]
    var stations: [Station] = []
    var lanes: [Lane] = []
    var pools: [Pool] = []
    var poolNumbers: [[Place]: Int] = [:]
    /// The pool of the request that came last: mostly it is the next one's, too.
    var lastPool = 0
    /// The pools with somebody waiting.
    var crowded: [Int] = []
    var room = WaitingRoom()
    var locations: [UInt64: Location] = [:]
    var affinity = Affinity(capacity: Self.affinityCapacity)
    var lastSequence: UInt64 = 0
    /// Counts grants.
    var turn = 0
    /// Counts passes over the queues.
    var pass = 0
    /// The lanes with room that nobody has claimed, in the pass that is under way.
    var roomyLanes = 0

    /// An admission without backends; `setFleet` names them.
    public init(_ settings: Settings) { self.settings = settings }

    // MARK: - Requests

    /// Takes a new request. One of the answers is for it.
    public mutating func request(_ ticket: Ticket, now: Int64) -> [Answer] {
        precondition(locations[ticket.id] == nil, "the id of a ticket is not unique")
        let pool = poolNumber(of: ticket.places, now: now)
        if case .down = pools[pool].stall {
            return [.refused(id: ticket.id, .noBackend(retryAfterSeconds: recovery(pool, now)))]
        }
        lastSequence += 1
        let delay = ticket.priority == .batch ? Self.batchPatience : 0
        let waiter = Waiter(
            ticket: ticket, rank: Rank(time: now + delay, sequence: lastSequence), arrived: now,
            pool: pool)
        // Where nobody waits there is no order to keep: who can go at once need not queue.
        if crowded.isEmpty, let grant = grantAtOnce(waiter, now) { return [.granted(grant)] }
        enqueue(waiter)
        var answers = isHead(ticket.id) ? dispatch(now: now) : []
        guard case .waiting(let seat)? = locations[ticket.id] else { return answers }
        if pools[pool].count > settings.queueLimit {
            removeWaiter(at: seat)
            let pause = queueSeconds(pool)
            answers.append(.refused(id: ticket.id, .queueFull(retryAfterSeconds: pause)))
        } else {
            let (position, visits) = position(atSeat: seat)
            room.note(visits: visits)
            answers.append(.queued(id: ticket.id, position: position))
        }
        return answers
    }

    /// A request is no longer wanted, wherever it is. If it waits, this takes the same short time
    /// whatever the length of the queue. An unknown id is no error: it may have been refused
    /// meanwhile.
    public mutating func cancel(_ id: UInt64, now: Int64) -> [Answer] {
        guard case .waiting(let seat)? = locations[id] else {
            return release(id, nil, now: now)
        }
        // Behind a head that is gone there may be one that can go.
        let wasHead = isHead(id)
        removeWaiter(at: seat)
        return wasHead ? dispatch(now: now) : []
    }

    /// A request gives its slot back. `fact` is what it tells of the backend's health; `nil` if its
    /// client left, and the like.
    public mutating func release(_ id: UInt64, _ fact: HealthFact?, now: Int64) -> [Answer] {
        guard case .running(let running)? = locations[id] else { return [] }
        locations[id] = nil
        leave(running)
        let backend = stations[running.station].backend
        // How long a refused connect took says nothing of how long others will take.
        if fact == nil || fact == .succeeded {
            backends[backend].noteHold(now - running.granted)
        }
        return note(fact, backend, now: now)
    }

    /// A request gives its slot back and wants another, at one of `places`. It keeps its rank, so
    /// it goes before all who came after it, and is not refused for want of room.
    public mutating func retry(
        _ id: UInt64, at places: [Place], _ fact: HealthFact?, now: Int64
    ) -> [Answer] {
        guard case .running(let running)? = locations[id] else { return [] }
        leave(running)
        var ticket = running.ticket
        ticket.places = places
        enqueue(
            Waiter(
                ticket: ticket, rank: running.rank, arrived: running.arrived,
                pool: poolNumber(of: places, now: now), retries: running.retries))
        return note(fact, stations[running.station].backend, now: now)
    }

    /// A request that waits may use other places from now on, as after a reload. It keeps its rank.
    public mutating func reroute(_ id: UInt64, to places: [Place], now: Int64) -> [Answer] {
        guard case .waiting(let seat)? = locations[id], let waiter = room[seat],
            pools[waiter.pool].places != places
        else { return [] }
        removeWaiter(at: seat)
        var ticket = waiter.ticket
        ticket.places = places
        enqueue(
            Waiter(
                ticket: ticket, rank: waiter.rank, arrived: waiter.arrived,
                pool: poolNumber(of: places, now: now), retries: waiter.retries))
        return dispatch(now: now)
    }

    /// The place of a request in its queue, 1 for the next; `nil` if it does not wait. Takes as
    /// many steps as there are before it or behind it, whichever are fewer.
    public func position(of id: UInt64) -> Int? {
        guard case .waiting(let seat)? = locations[id] else { return nil }
        return position(atSeat: seat).position
    }

    /// Where a request has a slot; `nil` if it has none. `mutating` as `nextWake` is.
    public mutating func place(of id: UInt64) -> Place? {
        guard case .running(let running)? = locations[id] else { return nil }
        let station = stations[running.station]
        return Place(backend: backends[station.backend].name, model: station.model)
    }

    /// Whether a request waits because none of its backends can serve now: what is not down is
    /// loading.
    public func isStalled(_ id: UInt64) -> Bool {
        guard case .waiting(let seat)? = locations[id], let waiter = room[seat] else {
            return false
        }
        return pools[waiter.pool].stall != nil
    }

    /// How many wait.
    public var waitingCount: Int { crowded.reduce(0) { $0 + pools[$1].count } }

    /// How many slots are taken on a backend.
    public func running(on backend: String) -> Int {
        backendNumbers[backend].map { backends[$0].running } ?? 0
    }

    /// How many wait for a backend, alone or among others.
    public func waiting(for backend: String) -> Int {
        guard let number = backendNumbers[backend] else { return 0 }
        return crowded.reduce(0) { sum, pool in
            let concerns = pools[pool].open.contains {
                stations[pools[pool].stations[$0]].backend == number
            }
            return sum + (concerns ? pools[pool].count : 0)
        }
    }
}

// MARK: - Queues

extension Admission {
    mutating func enqueue(_ waiter: Waiter) {
        let pool = waiter.pool
        if pools[pool].count == 0 { crowded.append(pool) }
        let seat =
            switch waiter.ticket.priority {
            case .interactive: room.insert(waiter, into: &pools[pool].interactive)
            case .batch: room.insert(waiter, into: &pools[pool].batch)
            }
        locations[waiter.ticket.id] = .waiting(seat: seat)
    }

    @discardableResult
    mutating func removeWaiter(at seat: Int) -> Waiter? {
        guard let waiter = room[seat] else { return nil }
        let pool = waiter.pool
        switch waiter.ticket.priority {
        case .interactive: _ = room.remove(seat, from: &pools[pool].interactive)
        case .batch: _ = room.remove(seat, from: &pools[pool].batch)
        }
        locations[waiter.ticket.id] = nil
        if pools[pool].count == 0, let index = crowded.firstIndex(of: pool) {
            crowded.swapAt(index, crowded.count - 1)
            crowded.removeLast()
        }
        return waiter
    }

    /// The seat of the one of a pool who goes next.
    func head(of pool: Int) -> Int? {
        guard let first = pools[pool].interactive.head else { return pools[pool].batch.head }
        guard let other = pools[pool].batch.head, room.rank(other) < room.rank(first) else {
            return first
        }
        return other
    }

    func isHead(_ id: UInt64) -> Bool {
        guard case .waiting(let seat)? = locations[id], let waiter = room[seat] else {
            return false
        }
        return head(of: waiter.pool) == seat
    }

    private func position(atSeat seat: Int) -> (position: Int, visits: Int) {
        guard let waiter = room[seat] else { return (0, 0) }
        let pool = pools[waiter.pool]
        let first = room.countAhead(of: waiter.rank, in: pool.interactive)
        let second = room.countAhead(of: waiter.rank, in: pool.batch)
        return (first.count + second.count + 1, first.visits + second.visits)
    }
}
