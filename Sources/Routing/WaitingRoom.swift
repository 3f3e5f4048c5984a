// Where requests wait: lines that a request can leave from the middle of, at no cost for the
// others.

/// The order of requests: the lesser goes first.
struct Rank: Comparable, Sendable {
    /// When the request came, for a batch request put off by `Admission.batchPatience`.
    var time: Int64
    /// Tells requests of one moment apart.
    var sequence: UInt64

    static func < (first: Rank, second: Rank) -> Bool {
        (first.time, first.sequence) < (second.time, second.sequence)
    }
}

/// One request that waits.
struct Waiter: Sendable {
    let ticket: Ticket
    let rank: Rank
    /// When it came, in nanoseconds.
    let arrived: Int64
    /// The pool in whose queue it is.
    let pool: Int
    /// What has failed so far.
    var retries = RetryPolicy()
    /// How many went before it because their model was loaded.
    var overtaken = 0
    /// Since when others may have gone before it for that.
    var deferredSince: Int64?
}

/// Requests in the order of their ranks.
struct Line: Sendable {
    fileprivate(set) var head: Int?
    fileprivate(set) var tail: Int?
    fileprivate(set) var count = 0
}

/// The seats of all lines. A request keeps its seat as long as it waits, so its id leads to it
/// directly.
struct WaitingRoom: Sendable {
    private struct Seat: Sendable {
        var waiter: Waiter?
        /// The waiter's, where it can be compared without looking at the rest.
        var rank = Rank(time: 0, sequence: 0)
        var previous: Int?
        var next: Int?
    }

    private var seats: [Seat] = []
    private var freeSeats: [Int] = []
    /// How many waiters were looked at so far: what the operations cost, for the tests of that.
    private(set) var visits = 0

    subscript(seat: Int) -> Waiter? { seats[seat].waiter }

    func rank(_ seat: Int) -> Rank { seats[seat].rank }

    mutating func noteDeferred(_ seat: Int, now: Int64) {
        if seats[seat].waiter?.deferredSince == nil { seats[seat].waiter?.deferredSince = now }
    }

    mutating func noteOvertaken(_ seat: Int) { seats[seat].waiter?.overtaken += 1 }

    /// Seats a waiter in a line by its rank.
    ///
    /// The way to its place is walked from both ends: a new request belongs at the tail, one that
    /// comes back from a dead backend near the head.
    mutating func insert(_ waiter: Waiter, into line: inout Line) -> Int {
        var (fromHead, fromTail) = (line.head, line.tail)
        var previous: Int?
        var next: Int? = line.head
        while let back = fromTail, let front = fromHead {
            visits += 1
            if rank(back) < waiter.rank {
                (previous, next) = (back, seats[back].next)
                break
            }
            if waiter.rank < rank(front) {
                (previous, next) = (seats[front].previous, front)
                break
            }
            (fromHead, fromTail) = (seats[front].next, seats[back].previous)
        }
        let seat = freeSeat()
        seats[seat] = Seat(
            waiter: waiter, rank: waiter.rank, previous: previous, next: next)
        if let previous { seats[previous].next = seat } else { line.head = seat }
        if let next { seats[next].previous = seat } else { line.tail = seat }
        line.count += 1
        return seat
    }

    /// Takes the waiter at `seat` out of its line, wherever in it.
    mutating func remove(_ seat: Int, from line: inout Line) -> Waiter? {
        let (previous, next) = (seats[seat].previous, seats[seat].next)
        guard let waiter = seats[seat].waiter else { return nil }
        visits += 1
        if let previous { seats[previous].next = next } else { line.head = next }
        if let next { seats[next].previous = previous } else { line.tail = previous }
        seats[seat] = Seat()
        freeSeats.append(seat)
        line.count -= 1
        return waiter
    }

    /// How many in `line` go before `rank`, and how many were looked at to know it: no more than
    /// go before it or after it, whichever are fewer.
    func countAhead(of rank: Rank, in line: Line) -> (count: Int, visits: Int) {
        var (front, back) = (line.head, line.tail)
        var steps = 0
        while let first = front, let last = back {
            let (least, greatest) = (self.rank(first), self.rank(last))
            if rank <= least { return (steps, steps + 1) }
            if greatest < rank { return (line.count - steps, steps + 1) }
            if greatest == rank { return (line.count - steps - 1, steps + 1) }
            (front, back) = (seats[first].next, seats[last].previous)
            steps += 1
        }
        return (steps, steps)
    }

    mutating func note(visits more: Int) { visits += more }

    private mutating func freeSeat() -> Int {
        if let seat = freeSeats.popLast() { return seat }
        seats.append(Seat())
        return seats.count - 1
    }
}
