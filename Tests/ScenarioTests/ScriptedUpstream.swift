// An upstream that does what a script says: it listens, takes calls, and speaks its dialect.

import EventLoop

@testable import HTTPTransport

/// One scripted server behind Sluice.
final class ScriptedUpstream {
    let settings: Scenario.UpstreamSettings
    private let loop: Loop
    private(set) var door: Door?
    private var otherDoor: Door?
    /// Whether probes are told that it loads its model.
    var isLoading = false
    /// The connections it has taken, in their order.
    private(set) var calls: [ScriptedCall] = []
    /// The one whose request a script has looked at last.
    var current = 0
    var readsNothing = false

    init(on loop: Loop, _ settings: Scenario.UpstreamSettings) throws {
        self.loop = loop
        self.settings = settings
        try open(Door.Manner(settings.manner))
        guard let other = settings.otherAddress else { return }
        otherDoor = try Door(on: loop, Door.Manner(other)) { $0.close() }
    }

    private func open(_ manner: Door.Manner, port: Int = 0) throws {
        door = try Door(on: loop, manner, port: port) { [unowned self] wire in
            if readsNothing { wire.stopReading() }
            let call = ScriptedCall(on: loop, wire, settings)
            calls.append(call)
            guard settings.answersProbes else { return }
            call.answersProbe = { [unowned self] in answer(to: $0) }
            wire.hasRead = { [unowned call] in call.parse() }
        }
    }

    /// Killed: nobody listens, and what was connected breaks off.
    func die() {
        door?.close()
        for call in calls { call.wire.reset() }
    }

    func comeBack() throws { try open(.accepting, port: address?.port ?? 0) }

    func acceptNoMore() throws { try door?.acceptNoMore() }

    /// What it says to probes; `nil` if that is for the script.
    private func answer(to request: ScriptedCall.Request) -> (status: Int, body: String)? {
        guard request.method == "GET" else { return nil }
        if isLoading {
            return (503, #"{"error":{"message":"Loading model","type":"unavailable_error"}}"#)
        }
        let ids = settings.models
        switch request.target {
        case "/health": return (200, #"{"status":"ok"}"#)
        case "/api/version": return (200, #"{"version":"0.33.0"}"#)
        case "/v1/models":
            return (200, #"{"data":[\#(ids.map { #"{"id":"\#($0)"}"# }.joined(separator: ","))]}"#)
        case "/api/tags":
            return (
                200, #"{"models":[\#(ids.map { #"{"name":"\#($0)"}"# }.joined(separator: ","))]}"#
            )
        case "/api/ps":
            let loaded = (settings.loaded ?? []).map { #"{"name":"\#($0)"}"# }
            return (200, #"{"models":[\#(loaded.joined(separator: ","))]}"#)
        default: return (404, "{}")
        }
    }

    var address: SocketAddress? { door?.address }
    /// All that Sluice is told, in the order in which it is to try them.
    var addresses: [SocketAddress] { [otherDoor, door].compactMap { $0?.address } }

    /// The call a step speaks of: the one it names, else the last one that was looked at, else the
    /// first.
    func call(_ number: Int?) -> ScriptedCall? {
        let place = number.map { $0 - 1 } ?? current
        return place < calls.count ? calls[place] : nil
    }

    func close() {
        door?.close()
        otherDoor?.close()
        calls.forEach { $0.wire.close() }
    }
}

/// One connection from Sluice to a scripted upstream.
final class ScriptedCall {
    let wire: Wire
    private let loop: Loop
    private let isOllama: Bool
    private let pieces: Int
    private var tokens = 0
    private(set) var floodTotal = 0
    private var floodSent = 0

    init(on loop: Loop, _ wire: Wire, _ settings: Scenario.UpstreamSettings) {
        self.loop = loop
        self.wire = wire
        isOllama = settings.kind == "ollama"
        pieces = settings.pieces
    }

    // MARK: - The request

    struct Request {
        var method: String
        var target: String
        var fields: [(name: String, value: String)]
        var body: [UInt8]
    }

    /// The requests that have come whole; several, if Sluice uses the connection again.
    private(set) var requests: [Request] = []
    /// How many of them a script has looked at.
    var seenRequests = 0
    private var parsedBytes = 0
    /// Answers what is asked by a probe; returns `nil` for the rest.
    var answersProbe: (Request) -> (status: Int, body: String)? = { _ in nil }

    /// Takes out of what has come every request that is whole.
    func parse() {
        while let request = next() {
            guard let answer = answersProbe(request) else {
                requests.append(request)
                continue
            }
            reply(answer.status, [], Array(answer.body.utf8))
        }
    }

    private func next() -> Request? {
        let received = wire.received
        guard let headEnd = position(after: Array("\r\n\r\n".utf8), in: received, from: parsedBytes)
        else { return nil }
        let head = String(decoding: received[parsedBytes..<headEnd], as: UTF8.self)
        let lines = head.split(separator: "\r\n")
        let words = lines[0].split(separator: " ")
        let fields = lines.dropFirst().map { line in
            let name = line.prefix { $0 != ":" }
            return (String(name), String(line.dropFirst(name.count + 1).trimmed))
        }
        let length =
            fields.first { $0.0.lowercased() == "content-length" }.flatMap { Int($0.1) } ?? 0
        guard received.count >= headEnd + length else { return nil }
        parsedBytes = headEnd + length
        return Request(
            method: String(words[0]), target: words.count > 1 ? String(words[1]) : "",
            fields: fields, body: Array(received[headEnd..<parsedBytes]))
    }

    // MARK: - The answer

    func send(_ bytes: [UInt8]) {
        guard pieces > 0 else { return wire.send(bytes) }
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            wire.send(Array(bytes[start..<min(bytes.count, start + pieces)]))
            loop.runReady()
        }
    }

    func send(_ text: String) { send(Array(text.utf8)) }

    func chunk(_ bytes: [UInt8]) { send(Self.framed(bytes)) }

    private static func framed(_ bytes: [UInt8]) -> [UInt8] {
        Array((String(bytes.count, radix: 16) + "\r\n").utf8) + bytes + [13, 10]
    }

    /// The head of a streamed answer, as the real servers send it.
    func answer() {
        send(
            isOllama
                ? head(200, "application/x-ndjson", [])
                : head(
                    200, "text/event-stream",
                    ["X-Accel-Buffering: no", "Keep-Alive: timeout=5, max=100"]))
    }

    func head(_ status: Int, _ type: String, _ fields: [String]) -> String {
        let lines = [
            "HTTP/1.1 \(status) OK", "Content-Type: \(type)", "Transfer-Encoding: chunked",
        ]
        return (lines + fields).map { $0 + "\r\n" }.joined() + "\r\n"
    }

    func reply(_ status: Int, _ fields: [String], _ body: [UInt8]) {
        var lines = ["HTTP/1.1 \(status) Whatever"]
        if !body.isEmpty, !fields.contains(where: { $0.lowercased().hasPrefix("content-type") }) {
            lines.append("Content-Type: application/json; charset=utf-8")
        }
        if status != 204 { lines.append("Content-Length: \(body.count)") }
        send(Array(((lines + fields).map { $0 + "\r\n" }.joined() + "\r\n").utf8) + body)
    }

    /// One event: an SSE line for llama-server, a record for Ollama.
    func event(_ text: String) {
        chunk(Array((text + (text.hasPrefix("data:") ? "\n\n" : "\n")).utf8))
    }

    func says(_ text: String) {
        tokens += 1
        event(isOllama ? record(#""content":"\#(text)""#) : delta(#"{"content":"\#(text)"}"#))
    }

    func thinks(_ text: String) {
        tokens += 1
        event(
            isOllama
                ? record(#""content":"","thinking":"\#(text)""#)
                : delta(#"{"reasoning_content":"\#(text)"}"#))
    }

    /// Ends the answer with its reason, its counts (10 tokens of prompt) and the end of the body.
    /// llama-server closes the connection after every stream, Ollama keeps it (wire notes of both).
    func finish(_ reason: String) {
        guard !isOllama else {
            event(
                #"{"model":"tiny","created_at":"2026-08-21T10:00:00Z","message":{"role":"assistant","content":""},"#
                    + #""done":true,"done_reason":"\#(reason)","total_duration":5000000,"load_duration":1000000,"#
                    + #""prompt_eval_count":10,"prompt_eval_duration":1000000,"eval_count":\#(tokens),"eval_duration":2000000}"#
            )
            return end()
        }
        event(delta("{}", finish: "\"\(reason)\""))
        event(
            #"data: {"choices":[],"created":1795176265,"id":"chatcmpl-up","model":"tiny","object":"chat.completion.chunk","#
                + #""usage":{"completion_tokens":\#(tokens),"prompt_tokens":10,"total_tokens":\#(10 + tokens)}}"#
        )
        event("data: [DONE]")
        end()
        wire.close()
    }

    func end() { send("0\r\n\r\n") }

    private func delta(_ delta: String, finish: String = "null") -> String {
        #"data: {"choices":[{"finish_reason":\#(finish),"index":0,"delta":\#(delta)}],"created":1795176265,"#
            + #""id":"chatcmpl-up","model":"tiny","system_fingerprint":"b0-unknown","object":"chat.completion.chunk"}"#
    }

    private func record(_ members: String) -> String {
        #"{"model":"tiny","created_at":"2026-08-21T10:00:00Z","message":{"role":"assistant",\#(members)},"done":false}"#
    }

    // MARK: - Floods

    /// Sends numbered events of 16 KiB, as fast as they are taken.
    func flood(_ bytes: Int) {
        floodTotal = max(1, bytes / Flood.filler.count)
        wire.source = { [unowned self] in
            guard floodSent < floodTotal else { return nil }
            defer { floodSent += 1 }
            let text = "\(floodSent):\u{1}"
            let event =
                isOllama
                ? record(#""content":"\#(text)""#) + "\n"
                : delta(#"{"content":"\#(text)"}"#) + "\n\n"
            let parts = event.utf8.split(separator: 1).map(Array.init)
            return Self.framed(parts[0] + Flood.filler + parts[1])
        }
        wire.write()
    }

    var isFloodSent: Bool { floodSent == floodTotal && wire.unsentBytes == 0 }
}

extension Door.Manner {
    init(_ manner: Scenario.UpstreamSettings.Manner) {
        self =
            switch manner {
            case .accepting: .accepting
            case .refusing: .refusing
            case .silent: .silent
            }
    }
}
