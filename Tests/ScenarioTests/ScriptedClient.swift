// A client that does what a script says.

import EventLoop

@testable import HTTPTransport

/// One client connection. It connects when it first has something to say.
final class ScriptedClient {
    private let loop: Loop
    private let address: SocketAddress
    private(set) var wire: Wire?
    private(set) var reader = ResponseReader()
    /// The answer that is being looked at.
    private var current: Int?
    private var drip: (bytes: [UInt8], every: Duration, timer: Timer)?
    /// How many events of a flood were seen whole.
    private(set) var floodEvents = 0

    init(on loop: Loop, to address: SocketAddress) {
        self.loop = loop
        self.address = address
    }

    @discardableResult
    func connect(smallBuffers: Bool = false) throws -> Wire {
        if let wire { return wire }
        let made = try Wire(on: loop, to: address, smallBuffers: smallBuffers)
        made.arrived = { [unowned self] bytes in reader.feed(bytes, at: loop.now) }
        wire = made
        return made
    }

    // MARK: - Doing

    /// Sends a whole request.
    func request(_ method: String, _ target: String, _ fields: [String], _ body: [UInt8]?) throws {
        var head = "\(method) \(target) HTTP/1.1\r\nHost: \(address.description)\r\n"
        if let body {
            head += "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n"
        }
        head += fields.map { $0 + "\r\n" }.joined() + "\r\n"
        reader.methods.append(method)
        try connect().send(Array(head.utf8) + (body ?? []))
    }

    /// Asks for a chat in the usual form.
    func ask(stream: Bool, extra: String) throws {
        try request("POST", "/v1/chat/completions", [], chat(stream: stream, extra: extra))
    }

    /// The usual chat.
    func chat(stream: Bool, extra: String) -> [UInt8] {
        let body =
            #"{"model":"tiny","stream":\#(stream),"messages":[{"role":"user","content":"hi"}]"#
            + (extra.isEmpty ? "" : "," + extra) + "}"
        return Array(body.utf8)
    }

    /// Asks for a WebSocket with the key of RFC 6455, section 1.3.
    func openWebSocket(_ fields: [String]) throws {
        let handshake = [
            "Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
        try request("GET", "/v1/chat/completions", handshake + fields, nil)
    }

    /// Sends a text message in one masked frame.
    func message(_ text: [UInt8]) throws {
        try connect().send(WebSocketBytes.text(text))
    }

    /// Sends bytes as they are. Between pieces the loop has a turn, so that each is a read of its
    /// own.
    func send(_ bytes: [UInt8], pieces: Int) throws {
        // An answer to HEAD can be read only by who knows of the request.
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\r\n") {
            let words = line.split(separator: " ")
            if words.count == 3, words[2].hasPrefix("HTTP/1") {
                reader.methods.append(String(words[0]))
            }
        }
        let wire = try connect()
        guard pieces > 0 else { return wire.send(bytes) }
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            wire.send(Array(bytes[start..<min(bytes.count, start + pieces)]))
            loop.runReady()
        }
    }

    /// Sends the same bytes again and again until the connection ends.
    func drip(_ bytes: [UInt8], every interval: Duration) throws {
        try connect()
        let timer = Timer(on: loop) { [unowned self] in dripOnce() }
        drip = (bytes, interval, timer)
        timer.arm(after: interval)
    }

    private func dripOnce() {
        guard let drip, let wire, wire.end == nil else { return }
        wire.send(drip.bytes)
        drip.timer.arm(after: drip.every)
    }

    func close() {
        drip?.timer.cancel()
        wire?.close()
    }

    // MARK: - Seeing

    /// Moves on to the next answer, if it has come.
    func nextResponse() -> ReceivedResponse? {
        let next = current.map { $0 + 1 } ?? 0
        guard next < reader.responses.count else { return nil }
        current = next
        return response
    }

    /// The answer that is being looked at: the first one, until another is asked for.
    var response: ReceivedResponse? {
        if current == nil, !reader.responses.isEmpty { current = 0 }
        guard let current else { return nil }
        var response = reader.responses[current]
        response.searchedUpTo = searched[current] ?? 0
        // A body without a length ends with the connection.
        if response.completedAt == nil, let end = wire?.end, end.how == .closed,
            response.value("content-length") == nil, response.value("transfer-encoding") == nil
        {
            response.completedAt = end.at
        }
        return response
    }
    private var searched: [Int: Int] = [:]

    /// Looks for a text behind what was found before; says when it came.
    func find(_ text: [UInt8]) -> Instant? {
        guard let response, let current,
            let end = position(after: text, in: response.body, from: response.searchedUpTo)
        else { return nil }
        searched[current] = end
        return response.arrival(of: end)
    }

    /// Looks for a frame of this kind behind the one found before; says when it came, and its data.
    func findFrame(_ opcode: UInt8) -> (data: [UInt8], at: Instant)? {
        guard let response, response.status == 101 else { return nil }
        let frames = WebSocketBytes.frames(in: response.body)
        guard
            let found = frames[min(seenFrames, frames.count)...].firstIndex(where: {
                $0.opcode == opcode
            })
        else { return nil }
        seenFrames = found + 1
        return (frames[found].data, response.arrival(of: frames[found].end))
    }
    private var seenFrames = 0

    /// Counts the events of a flood that have come whole and in order.
    func countFloodEvents() {
        guard let body = response?.body else { return }
        while true {
            let mark = Array(#""content":"\#(floodEvents):"#.utf8)
            guard let start = position(after: mark, in: body, from: floodPosition),
                let end = position(after: Flood.filler, in: body, from: start),
                end == start + Flood.filler.count
            else { return }
            floodEvents += 1
            floodPosition = end
        }
    }
    private var floodPosition = 0
}

/// What an upstream sends when it floods: events of about 16 KiB, each with its number.
enum Flood {
    static let filler = [UInt8](repeating: UInt8(ascii: "x"), count: 16 << 10)
}
