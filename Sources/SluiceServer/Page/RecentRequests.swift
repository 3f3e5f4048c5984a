// The requests that have ended last, and the speed of the last minutes: both of a fixed size.

internal import Observability

/// A request that has ended.
struct RecentRequest: Sendable {
    let time: WallTime
    let record: RequestRecord
}

/// The last requests, so many and no more, each of bounded size.
struct RecentRequests: Sendable {
    private let limit: Int
    /// The oldest first, once it has gone round from `oldest` on.
    private var requests: [RecentRequest] = []
    private var oldest = 0
    /// How many there have been in all: the number of the last one.
    private(set) var last: UInt64 = 0

    init(limit: Int) { self.limit = limit }

    var count: Int { requests.count }

    mutating func append(_ request: consuming RecentRequest) {
        last += 1
        guard requests.count == limit else { return requests.append(request) }
        requests[oldest] = request
        oldest = (oldest + 1) % limit
    }

    /// Those that came after the one with this number, as far as they are still known; the oldest
    /// first.
    func after(_ number: UInt64) -> [RecentRequest] {
        let wanted = Int(min(last - min(number, last), UInt64(requests.count)))
        return (requests.count - wanted..<requests.count).map {
            requests[(oldest + $0) % requests.count]
        }
    }
}

extension RequestRecord {
    /// The same with texts of at most 128 bytes: what clients sent may be as long as a request.
    var clipped: RequestRecord {
        let isShort =
            id.isShort && client.isShort && key?.isShort ?? true && path.isShort
            && model?.isShort ?? true && backend?.isShort ?? true
        if isShort { return self }
        var record = self
        record.id = id.clipped
        record.client = client.clipped
        record.key = key?.clipped
        record.path = path.clipped
        record.model = model?.clipped
        record.backend = backend?.clipped
        return record
    }

    /// Whether it was for a model, or tried to be: lists, health checks and the page's own requests
    /// would push those out.
    var isOfInterest: Bool { model != nil || method == "POST" && !path.hasPrefix("/ui/") }
}

extension String {
    fileprivate static let clippedLength = 128

    fileprivate var isShort: Bool { utf8.count <= Self.clippedLength }

    /// The text, or its beginning with a mark that something is missing.
    var clipped: String {
        guard utf8.count > Self.clippedLength else { return self }
        var end = utf8.index(utf8.startIndex, offsetBy: Self.clippedLength - 3)
        // Never into the middle of a character.
        while end.samePosition(in: unicodeScalars) == nil { end = utf8.index(before: end) }
        return String(self[..<end]) + "…"
    }
}

/// Tokens per second, a number for each second in which somebody looked.
struct PaceHistory: Sendable {
    private let limit: Int
    private(set) var points: [Double] = []
    private var before: (tokens: UInt64, at: Int64)?

    init(limit: Int) { self.limit = limit }

    /// Takes note of how many tokens there have been up to now. A gap in which nobody looked begins
    /// a new history: nobody knows what was in it.
    mutating func note(tokens: UInt64, at now: Int64) {
        guard let before, now - before.at < 5_000_000_000 else {
            points = []
            return before = (tokens, now)
        }
        // Looks may come close together; a second is the least that says something.
        guard now - before.at >= 900_000_000 else { return }
        let seconds = Double(now - before.at) / 1e9
        // An attempt that is made again counts from the start again.
        points.append(Double(tokens - min(tokens, before.tokens)) / seconds)
        if points.count > limit { points.removeFirst() }
        self.before = (tokens, now)
    }
}
