// A client's reading of HTTP answers, written apart from the server's own parsers so that it can
// contradict them.

import EventLoop

@testable import HTTPTransport

/// One answer as it has come so far.
struct ReceivedResponse {
    var status = 0
    var version = ""
    var fields: [(name: String, value: String)] = []
    /// The body without its framing.
    var body: [UInt8] = []
    /// How much of the body had come at which moment.
    var arrivals: [(count: Int, at: Instant)] = []
    var headAt = Instant(nanoseconds: 0)
    /// When the last byte of its framing came.
    var completedAt: Instant?
    /// What breaks a rule of HTTP.
    var fault: String?
    /// Where the next search in the body begins.
    var searchedUpTo = 0

    var text: String { String(decoding: body, as: UTF8.self) }

    func value(_ name: String) -> String? {
        fields.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    /// When the byte before `count` came.
    func arrival(of count: Int) -> Instant {
        arrivals.first { $0.count >= count }?.at ?? headAt
    }
}

/// Cuts a connection's bytes into answers.
struct ResponseReader {
    private enum State {
        case head
        case length(Int)
        case chunkSize, chunk(Int), chunkEnd, trailers
        case untilClose
    }

    /// All answers so far, the last one possibly unfinished.
    private(set) var responses: [ReceivedResponse] = []
    private var state = State.head
    private var buffer: [UInt8] = []
    private var position = 0
    /// The methods of the requests that were sent, in order: an answer to HEAD has no body.
    var methods: [String] = []

    mutating func feed(_ bytes: Span<UInt8>, at now: Instant) {
        buffer.append(bytes: bytes)
        while step(now) {}
        buffer.removeFirst(position)
        position = 0
    }

    /// The connection is over: that ends a body without a length.
    mutating func closed(at now: Instant) {
        if case .untilClose = state, !responses.isEmpty { complete(now) }
    }

    var isInMiddleOfResponse: Bool {
        if case .head = state { position < buffer.count } else { true }
    }

    private mutating func step(_ now: Instant) -> Bool {
        switch state {
        case .head: return head(now)
        case .length(let left): return body(left, now) { .length($0) }
        case .chunk(let left): return body(left, now) { .chunk($0) }
        case .untilClose: return body(.max, now) { _ in .untilClose }
        case .chunkSize:
            guard let line = line() else { return false }
            guard let size = Int(line, radix: 16) else { return fail("chunk size '\(line)'") }
            state = size == 0 ? .trailers : .chunk(size)
        case .chunkEnd:
            guard let line = line() else { return false }
            guard line.isEmpty else { return fail("'\(line)' after a chunk") }
            state = .chunkSize
        case .trailers:
            guard let line = line() else { return false }
            if line.isEmpty { complete(now) }
        }
        return true
    }

    private mutating func head(_ now: Instant) -> Bool {
        guard let end = buffer[position...].firstRange(of: Array("\r\n\r\n".utf8)) else {
            return false
        }
        let text = String(decoding: buffer[position..<end.lowerBound], as: UTF8.self)
        position = end.upperBound
        var lines = text.split(separator: "\r\n", omittingEmptySubsequences: false).map(String.init)
        let words = lines.removeFirst().split(separator: " ", maxSplits: 2)
        var response = ReceivedResponse()
        response.headAt = now
        response.version = String(words.first ?? "")
        response.status = words.count > 1 ? Int(words[1]) ?? 0 : 0
        response.fields = lines.map { line in
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            return (String(parts[0]), String((parts.last ?? "").drop { $0 == " " }))
        }
        responses.append(response)
        beginBody(of: response, now)
        return true
    }

    private mutating func beginBody(of response: ReceivedResponse, _ now: Instant) {
        // What follows is another protocol, up to the end of the connection.
        if response.status == 101 { return state = .untilClose }
        if response.status < 200 { return complete(now, isInterim: true) }
        let method = methods.isEmpty ? "GET" : methods.removeFirst()
        if method == "HEAD" || response.status == 204 || response.status == 304 {
            return complete(now)
        }
        if let coding = response.value("transfer-encoding") {
            guard coding == "chunked" else { return _ = fail("coding \(coding)") }
            state = .chunkSize
        } else if let length = response.value("content-length") {
            guard let count = Int(length) else { return _ = fail("length \(length)") }
            if count == 0 { return complete(now) }
            state = .length(count)
        } else {
            state = .untilClose
        }
    }

    private mutating func body(_ left: Int, _ now: Instant, _ next: (Int) -> State) -> Bool {
        let count = min(left, buffer.count - position)
        guard count > 0 else { return false }
        let last = responses.count - 1
        responses[last].body += buffer[position..<position + count]
        responses[last].arrivals.append((responses[last].body.count, now))
        position += count
        guard left == count else {
            state = next(left - count)
            return true
        }
        if case .chunk = state { state = .chunkEnd } else { complete(now) }
        return true
    }

    private mutating func complete(_ now: Instant, isInterim: Bool = false) {
        responses[responses.count - 1].completedAt = now
        state = .head
    }

    private mutating func line() -> String? {
        guard let end = buffer[position...].firstRange(of: [13, 10]) else { return nil }
        defer { position = end.upperBound }
        return String(decoding: buffer[position..<end.lowerBound], as: UTF8.self)
    }

    private mutating func fail(_ fault: String) -> Bool {
        responses[responses.count - 1].fault = fault
        position = buffer.count
        state = .untilClose
        return false
    }
}
