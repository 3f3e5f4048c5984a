// How much a key may still ask for: requests at one time, in a minute, and tokens in a day.

public import Configuration

/// A moment by both clocks. Waiting is measured by one that never jumps, days by that of the wall.
public struct QuotaTime: Sendable, Equatable {
    /// Nanoseconds of a monotonic clock.
    public var nanoseconds: Int64
    /// Seconds since 1970 in UTC.
    public var wallSeconds: Int

    /// Joins the two readings.
    public init(nanoseconds: Int64, wallSeconds: Int) {
        self.nanoseconds = nanoseconds
        self.wallSeconds = wallSeconds
    }

    /// Days since 1970: the quota's day begins at midnight UTC.
    public var day: Int { wallSeconds / QuotaTime.secondsOfDay }

    fileprivate static let secondsOfDay = 86_400
    fileprivate var secondsToMidnight: Int { Self.secondsOfDay - wallSeconds % Self.secondsOfDay }
}

/// What one key has used of its limits. Whoever counts for all workers holds one for each key.
public struct KeyQuota: Sendable, Equatable {
    /// The limits, by the names of their settings.
    public enum Limit: String, Sendable, CaseIterable {
        case maxInFlight = "max_in_flight"
        case requestsPerMinute = "requests_per_minute"
        case tokensPerDay = "tokens_per_day"
    }

    /// Why a request has to wait, and how long.
    public struct Refusal: Error, Equatable {
        /// The limit that was reached; of several, the one that holds longest.
        public let limit: Limit
        /// What the limit is set to.
        public let value: Int
        /// When to ask again; at least 1.
        public let retryAfterSeconds: Int
    }

    private var maxInFlight: Int?
    private var requestsPerMinute: Int?
    /// The `tokens_per_day` of the key.
    public private(set) var tokensPerDay: Int?

    /// Requests that have been let in and have not ended.
    public private(set) var inFlight = 0
    private var tokens = 0
    private var day = 0
    /// When the bucket would be full again, in nanoseconds. The bucket holds a minute's worth of
    /// requests and fills evenly, so one number tells all about it (this form of the token bucket
    /// is known as GCRA, from ITU-T I.371). A list of the last minute's requests would be exact to
    /// the request but grow with the limit; this lets at most twice the limit through in the
    /// worst minute, when a key has rested before.
    private var fullAt = Int64.min
    /// How often each limit was reached, in the order of `Limit.allCases`.
    private var refusals = [UInt64](repeating: 0, count: Limit.allCases.count)

    private static let minute: Int64 = 60_000_000_000

    /// Begins with nothing used.
    public init(_ key: KeySettings) { setLimits(key) }

    /// Takes other limits. What has been used stays used.
    public mutating func setLimits(_ key: KeySettings) {
        maxInFlight = key.maxInFlight
        requestsPerMinute = key.requestsPerMinute
        tokensPerDay = key.tokensPerDay
    }

    /// Whether there is anything to ask before a request is let in.
    public static func hasLimits(_ key: KeySettings) -> Bool {
        key.maxInFlight != nil || key.requestsPerMinute != nil || key.tokensPerDay != nil
    }

    /// See `hasLimits(_:)`.
    public var hasLimits: Bool {
        maxInFlight != nil || requestsPerMinute != nil || tokensPerDay != nil
    }

    /// Lets a request in, or says why not. Each that is let in has to be released.
    ///
    /// One that is refused uses nothing up: a client that asks again and again gets in as soon as
    /// one that waits.
    public mutating func admit(at now: QuotaTime) throws(Refusal) {
        turnDay(at: now)
        if let tokensPerDay, tokens >= tokensPerDay {
            throw refusal(.tokensPerDay, tokensPerDay, now.secondsToMidnight)
        }
        var next = fullAt
        if let requestsPerMinute {
            next = max(fullAt, now.nanoseconds) + Self.minute / Int64(max(1, requestsPerMinute))
            let wait = next - Self.minute - now.nanoseconds
            if wait > 0 { throw refusal(.requestsPerMinute, requestsPerMinute, Self.seconds(wait)) }
        }
        // Nobody knows when a request will end, but it may be soon.
        if let maxInFlight, inFlight >= maxInFlight { throw refusal(.maxInFlight, maxInFlight, 1) }
        fullAt = next
        inFlight += 1
    }

    /// A request that was let in has ended, however it did, and has used so many tokens.
    public mutating func release(tokens used: Int, at now: QuotaTime) {
        inFlight = max(0, inFlight - 1)
        spend(tokens: used, at: now)
    }

    /// Counts tokens. They are known when an answer has ended, so requests that run while the limit
    /// is reached may pass it.
    public mutating func spend(tokens used: Int, at now: QuotaTime) {
        turnDay(at: now)
        // The counts are an upstream's, which may say anything.
        let (sum, isTooMuch) = tokens.addingReportingOverflow(max(0, used))
        tokens = isTooMuch ? .max : sum
    }

    /// The tokens of today.
    public mutating func tokensToday(at now: QuotaTime) -> Int {
        turnDay(at: now)
        return tokens
    }

    /// How often the limits that are set were reached.
    public var refused: [(limit: Limit, count: UInt64)] {
        zip(Limit.allCases, refusals).filter { isSet($0.0) }.map { (limit: $0.0, count: $0.1) }
    }

    private func isSet(_ limit: Limit) -> Bool {
        switch limit {
        case .maxInFlight: maxInFlight != nil
        case .requestsPerMinute: requestsPerMinute != nil
        case .tokensPerDay: tokensPerDay != nil
        }
    }

    private mutating func turnDay(at now: QuotaTime) {
        guard now.day != day else { return }
        day = now.day
        tokens = 0
    }

    private mutating func refusal(_ limit: Limit, _ value: Int, _ seconds: Int) -> Refusal {
        if let place = Limit.allCases.firstIndex(of: limit) { refusals[place] &+= 1 }
        return Refusal(limit: limit, value: value, retryAfterSeconds: seconds)
    }

    /// Whole seconds, rounded up: who waits that long is not refused again for having come early.
    private static func seconds(_ nanoseconds: Int64) -> Int {
        max(1, Int((nanoseconds + 999_999_999) / 1_000_000_000))
    }
}
