// Whether an upstream sees what a scenario says it sees.

import EventLoop

extension UpstreamSight {
    /// How long a flood must have stood still to count as held up.
    private static let standstill = Duration.milliseconds(30)

    /// Looks once.
    func look(_ upstream: ScriptedUpstream, _ call: Int?, now: Instant) -> Sight {
        switch self {
        case .request(let method, let target):
            return lookForRequest(method, target, upstream, call, now)
        case .requests(let count):
            upstream.calls.forEach { $0.parse() }
            let found = upstream.calls.reduce(0) { $0 + $1.requests.count }
            return found == count ? .seen(at: now) : .failed("it has seen \(found)")
        case .connections(let count):
            let found = upstream.calls.count
            if found < count { return .pending("it has taken \(found)") }
            return found == count ? .seen(at: now) : .failed("it has taken \(found)")
        case .closed, .heldUp, .floodSent, .json, .noJSON, .field, .noField:
            guard let call = upstream.call(call) else { return .pending("it was not called") }
            return look(call, now)
        }
    }

    private func lookForRequest(
        _ method: String, _ target: String, _ upstream: ScriptedUpstream, _ call: Int?,
        _ now: Instant
    ) -> Sight {
        upstream.calls.forEach { $0.parse() }
        let places = call.map { [$0 - 1] } ?? Array(upstream.calls.indices)
        let found = places.first { place in
            guard place < upstream.calls.count else { return false }
            return upstream.calls[place].seenRequests < upstream.calls[place].requests.count
        }
        guard let found else {
            let bytes = upstream.calls.map(\.wire.received.count)
            return .pending("it has taken \(bytes.count) connections, with \(bytes) bytes")
        }
        let taken = upstream.calls[found]
        let request = taken.requests[taken.seenRequests]
        if !method.isEmpty, request.method != method || request.target != target {
            return .failed("the request is \(request.method) \(request.target)")
        }
        taken.seenRequests += 1
        upstream.current = found
        return .seen(at: taken.wire.lastArrival ?? now)
    }

    private func look(_ call: ScriptedCall, _ now: Instant) -> Sight {
        switch self {
        case .closed:
            return call.wire.end.map { .seen(at: $0.at) } ?? .pending("the connection is open")
        case .heldUp:
            if call.isFloodSent {
                return .failed("everything was taken: \(call.wire.sentBytes) bytes")
            }
            guard let since = call.wire.stuckSince, now - since >= Self.standstill else {
                return .pending("\(call.wire.sentBytes) bytes were taken, and it goes on")
            }
            return .seen(at: since)
        case .floodSent:
            return call.isFloodSent
                ? .seen(at: now) : .pending("\(call.wire.sentBytes) bytes of it were taken")
        case .json, .noJSON, .field, .noField:
            call.parse()
            guard let request = call.requests.prefix(max(1, call.seenRequests)).last else {
                return .pending("the request is not whole")
            }
            return look(request, now)
        case .request, .requests, .connections: return .pending("")
        }
    }

    private func look(_ request: ScriptedCall.Request, _ now: Instant) -> Sight {
        func field(_ name: String) -> String? {
            request.fields.first { $0.name.lowercased() == name.lowercased() }?.value
        }
        switch self {
        case .json(let path, let wanted):
            let found = value(at: path, in: request.body)
            return isSame(found, wanted)
                ? .seen(at: now) : .failed("it is \(found?.description ?? "absent")")
        case .noJSON(let path):
            return value(at: path, in: request.body).map { .failed("it is \($0)") }
                ?? .seen(at: now)
        case .field(let name, let wanted):
            guard let found = field(name) else { return .failed("there is no such field") }
            return wanted == nil || wanted == found ? .seen(at: now) : .failed("it is '\(found)'")
        case .noField(let name):
            return field(name).map { .failed("it is there: \($0)") } ?? .seen(at: now)
        case .request, .requests, .connections, .closed, .heldUp, .floodSent: return .pending("")
        }
    }
}
