// What a worker has to show on the live page, as JSON: figures of requests, never their words.

internal import EventLoop
internal import JSON
internal import Observability
internal import Relay

/// One worker's share of the page. Rows are written where they are known, so the worker that puts
/// them together only has to copy.
struct PageSight: Sendable {
    /// Its requests in flight as JSON objects with commas between them, at most as many as asked.
    var rows: [UInt8] = []
    /// How many there are, listed or not.
    var inFlight = 0
    /// Tokens of all its answers so far, ended ones included.
    var tokens: UInt64 = 0
    /// What its streams do a second, on their own average.
    var tokensPerSecond = 0.0
    /// What has ended since the last time, and the number of the last of it.
    var recent: [RecentRequest] = []
    var lastRecent: UInt64 = 0
}

extension Worker {
    /// What there is to show now.
    func sight(since number: UInt64, limit: Int) -> PageSight {
        let now = loop.now
        var sight = PageSight()
        sight.inFlight = sessions.count
        sight.tokens = page.endedTokens
        var oldest: [(began: Instant, session: ChatSession)] = []
        oldest.reserveCapacity(sessions.count)
        for session in sessions.values {
            sight.tokens += UInt64(session.tokensSoFar)
            sight.tokensPerSecond += session.tokensPerSecond(now: now) ?? 0
            oldest.append((session.began, session))
        }
        oldest.sort { $0.began < $1.began }
        // About what rows take, so that they are not copied as they grow.
        sight.rows.reserveCapacity(384 * min(limit, oldest.count))
        for (_, session) in oldest.prefix(limit) {
            if !sight.rows.isEmpty { sight.rows.append(UInt8(ascii: ",")) }
            session.appendSight(to: &sight.rows, now: now)
        }
        sight.recent = page.recent.after(number)
        sight.lastRecent = page.recent.last
        return sight
    }
}

extension ChatSession {
    /// Since its first token; `nil` before there are two.
    func tokensPerSecond(now: Instant) -> Double? {
        guard let firstToken = record.firstTokenMilliseconds, tokensSoFar > 1 else { return nil }
        let waited = (record.queueMilliseconds ?? 0) + firstToken
        let milliseconds = began.milliseconds(to: now) - waited
        guard milliseconds > 0 else { return nil }
        return Double(tokensSoFar - 1) * 1000 / Double(milliseconds)
    }

    fileprivate func appendSight(to json: inout [UInt8], now: Instant) {
        json.append(#"{"id":""#)
        json.append(decimal: DeskIDs.worker(of: ticketID))
        json.append("-")
        json.append(decimal: Int(ticketID & PageID.numbers))
        json.append(UInt8(ascii: "\""))
        json.appendField("request_id", record.id.clipped)
        json.appendField("client", record.client)
        json.appendField("key", record.key)
        json.appendField("path", record.path.clipped)
        json.appendField("model", record.model?.clipped)
        json.appendField("backend", record.backend)
        json.appendField("phase", deadlines.phase.word)
        json.appendField("tokens", tokensSoFar)
        json.appendField("tokens_per_second", tokensPerSecond(now: now))
        json.appendField("queue_ms", record.queueMilliseconds)
        json.appendField("first_token_ms", record.firstTokenMilliseconds)
        json.appendField("total_ms", began.milliseconds(to: now))
        json.append("}")
    }
}

extension Deadlines.Phase {
    /// The word for it under /ui/api.
    var word: String {
        switch self {
        case .queued: "queued"
        case .connecting: "connecting"
        case .awaitingFirstEvent: "waiting"
        case .streaming: "streaming"
        case .paused: "paused"
        case .delivering: "delivering"
        }
    }
}

extension RecentRequest {
    /// Also of an answer that was broken off, which the upstream has not counted: its events are.
    private var tokensPerSecond: Double? {
        var record = record
        record.completionTokens = record.completionTokens ?? record.events
        return record.tokensPerSecond
    }

    func append(to json: inout [UInt8]) {
        json.append(#"{"time":""#)
        json.append(text: time.description)
        json.append(UInt8(ascii: "\""))
        json.appendField("request_id", record.id)
        json.appendField("client", record.client)
        json.appendField("key", record.key)
        json.appendField("path", record.path)
        json.appendField("model", record.model)
        json.appendField("backend", record.backend)
        json.appendField("status", record.status)
        json.appendField("ending", record.ending.rawValue)
        json.appendField("prompt_tokens", record.promptTokens)
        json.appendField("tokens", record.completionTokens ?? record.events)
        json.appendField("tokens_per_second", tokensPerSecond)
        json.appendField("queue_ms", record.queueMilliseconds)
        json.appendField("first_token_ms", record.firstTokenMilliseconds)
        json.appendField("total_ms", record.totalMilliseconds)
        json.append("}")
    }
}

/// How a request in flight is named under /ui/api: by its worker and its number there. Its own id
/// may be one that a client has made up twice.
struct PageID: Equatable {
    let ticket: UInt64

    init(_ ticket: UInt64) { self.ticket = ticket }

    init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let worker = UInt64(parts[0]), let number = UInt64(parts[1]),
            worker < 1 << 16, number < 1 << 48
        else { return nil }
        ticket = worker << 48 | number
    }

    /// The bits of a ticket's number; those above are its worker's.
    static let numbers: UInt64 = 1 << 48 - 1

    var text: String { "\(DeskIDs.worker(of: ticket))-\(ticket & Self.numbers)" }
}

extension [UInt8] {
    mutating func append(text: String) { append(contentsOf: text.utf8) }

    private mutating func appendName(_ name: StaticString) {
        append(#",""#)
        append(name)
        append(#"":"#)
    }

    /// `,"name":"text"`, or nothing.
    mutating func appendField(_ name: StaticString, _ text: String?) {
        guard let text else { return }
        appendName(name)
        appendJSONString(text)
    }

    /// `,"name":1`, or nothing.
    mutating func appendField(_ name: StaticString, _ number: Int?) {
        guard let number else { return }
        appendName(name)
        append(decimal: number)
    }

    /// `,"name":1.5`, or nothing.
    mutating func appendField(_ name: StaticString, _ number: Double?) {
        guard let number else { return }
        appendName(name)
        append(tenths: number)
    }

    /// With one digit after the point.
    mutating func append(tenths number: Double) {
        let tenths = Int(Swift.min(Swift.max(number, 0), 1e15) * 10 + 0.5)
        append(decimal: tenths / 10)
        append(UInt8(ascii: "."))
        append(decimal: tenths % 10)
    }
}
