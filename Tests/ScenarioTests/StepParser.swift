// Reads what clients and upstreams do and see.

private let methods = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"]

// MARK: - Clients

func clientStep(_ words: inout Words, _ more: [String]) throws(ScenarioError) -> ClientStep {
    if words.take("sees") { return try clientSees(&words, more) }
    for method in methods where words.take(method) {
        let target = repeated(try words.word())
        let body = words.isEmpty ? nil : Array(repeated(words.remainder()).utf8)
        return .request(method: method, target: target, fields: more.map(repeated), body: body)
    }
    if words.take("sends") { return try clientSends(&words, more) }
    if words.take("asks by message") { return clientAsksByMessage(&words, more) }
    if words.take("opens a WebSocket") {
        try words.expectEnd()
        return .openWebSocket(fields: more.map(repeated))
    }
    if words.take("messages") {
        let text = words.remainder() + more.joined()
        return .message(try unescaped(text, line: words.line))
    }
    if words.take("asks") { return clientAsks(&words, more) }
    if words.take("drips") {
        let text = try words.quoted()
        guard words.take("every") else { throw words.fail("'every' how long?") }
        return .drip(try unescaped(text, line: words.line), every: try words.duration())
    }
    if words.take("reads on") { return .readOn }
    if words.take("reads") { return .read(try words.size()) }
    let plain: [(String, ClientStep)] = [
        ("connects with small buffers", .connect(smallBuffers: true)),
        ("connects", .connect(smallBuffers: false)), ("closes", .close), ("resets", .reset),
        ("half-closes", .halfClose), ("stops reading", .stopReading), ("goes on", .goOn),
    ]
    for (phrase, step) in plain where words.take(phrase) {
        try words.expectEnd()
        return step
    }
    throw words.fail("'client \(words.rest)' is not understood")
}

private func clientSends(
    _ words: inout Words, _ more: [String]
) throws(ScenarioError) -> ClientStep {
    var pieces = 0
    if words.take("in pieces of") {
        guard let size = words.number() else { throw words.fail("pieces of how many bytes?") }
        pieces = size
    }
    let text = words.remainder() + more.joined()
    return .send(try unescaped(text, line: words.line), pieces: pieces)
}

private func clientAsksByMessage(_ words: inout Words, _ more: [String]) -> ClientStep {
    guard words.take("with") else { return .askByMessage(extra: "") }
    let extra = ([words.remainder()] + more).joined(separator: " ")
    return .askByMessage(extra: repeated(extra))
}

private func clientAsks(_ words: inout Words, _ more: [String]) -> ClientStep {
    let isWhole = words.take("for a whole answer")
    var extra = ""
    if words.take("with") { extra = repeated(([words.remainder()] + more).joined(separator: " ")) }
    return .ask(stream: !isWhole, extra: extra)
}

private func clientSees(_ words: inout Words, _ more: [String]) throws(ScenarioError) -> ClientStep
{
    if words.take("exactly") {
        return .sees(.events(([words.remainder()] + more).joined(separator: " ")), .init())
    }
    let window = try words.window()
    return .sees(try clientSight(&words), window)
}

private func clientSight(_ words: inout Words) throws(ScenarioError) -> ClientSight {
    var copy = words
    if let status = copy.number(), (100..<600).contains(status), copy.isEmpty {
        return .status(status)
    }
    if words.take("end of body") { return .endOfBody }
    if words.take("body cut off") { return .cutBody }
    if words.take("close with") {
        guard let code = words.number() else { throw words.fail("close with which code?") }
        return .closeFrame(code: code)
    }
    if words.take("ping") { return .ping }
    if words.take("close") { return .closed }
    if words.take("reset") { return .reset }
    if words.take("the whole flood") { return .wholeFlood }
    if words.take("its bytes taken") { return .bytesTaken }
    if words.take("error event") { return .errorEvent(try words.word()) }
    if words.take("no header") { return .noField(try words.word()) }
    if words.take("header") {
        let (name, value) = try field(&words)
        return .field(name, value: value)
    }
    if words.take("no json") { return .noJSON(path: try words.word()) }
    if words.take("json") {
        let (path, value) = try assignment(&words)
        return .json(path: path, value: value)
    }
    if words.take("no") { return .noText(repeated(words.remainder())) }
    guard !words.isEmpty else { throw words.fail("the client sees what?") }
    return .text(repeated(words.remainder()))
}

// MARK: - Upstreams

func upstreamStep(_ words: inout Words, _ more: [String]) throws(ScenarioError) -> UpstreamStep {
    if words.take("sees") {
        let window = try words.window()
        return .sees(try upstreamSight(&words), window)
    }
    if words.rest.hasPrefix("data:") || words.rest.hasPrefix("{") {
        return .event(repeated(([words.remainder()] + more).joined(separator: " ")))
    }
    if let status = words.number() { return try upstreamAnswer(status, &words, more) }
    if words.take("says") { return .says(repeated(try words.quoted())) }
    if words.take("thinks") { return .thinks(repeated(try words.quoted())) }
    if words.take("finishes") { return .finish(words.isEmpty ? "stop" : try words.quoted()) }
    if words.take("floods") { return .flood(try words.size()) }
    if words.take("sends chunk") {
        return .chunk(try unescaped(words.remainder() + more.joined(), line: words.line))
    }
    if words.take("sends") {
        return .send(try unescaped(words.remainder() + more.joined(), line: words.line))
    }
    let plain: [(String, UpstreamStep)] = [
        ("answers", .answer), ("ends", .end), ("closes", .close), ("resets", .reset),
        ("half-closes", .halfClose), ("stops reading", .stopReading), ("reads on", .readOn),
        ("dies", .die), ("comes back", .comeBack), ("begins to load", .load),
        ("gets ready", .beReady), ("accepts no more", .acceptNoMore),
    ]
    for (phrase, step) in plain where words.take(phrase) {
        try words.expectEnd()
        return step
    }
    throw words.fail("'upstream \(words.rest)' is not understood")
}

/// `200 text/event-stream` is a head with chunks to come; `503 {"error":…}` or `204` is a whole
/// answer.
private func upstreamAnswer(
    _ status: Int, _ words: inout Words, _ more: [String]
) throws(ScenarioError) -> UpstreamStep {
    guard (100..<1000).contains(status) else { throw words.fail("\(status) is no status") }
    if words.rest.first == "{" || words.rest.first == "<" {
        return .reply(status: status, fields: more, body: Array(repeated(words.remainder()).utf8))
    }
    if words.isEmpty { return .reply(status: status, fields: more, body: []) }
    let type = try words.word()
    try words.expectEnd()
    return .head(status: status, type: type, fields: more)
}

private func upstreamSight(_ words: inout Words) throws(ScenarioError) -> UpstreamSight {
    if words.take("close") { return .closed }
    if words.take("itself held up") { return .heldUp }
    if words.take("the whole flood taken") { return .floodSent }
    if words.take("no request") { return .requests(0) }
    if words.take("request") { return .request(method: "", target: "") }
    if words.take("no header") { return .noField(try words.word()) }
    if words.take("header") {
        let (name, value) = try field(&words)
        return .field(name, value: value)
    }
    if words.take("no json") { return .noJSON(path: try words.word()) }
    if words.take("json") {
        let (path, value) = try assignment(&words)
        return .json(path: path, value: value)
    }
    for method in methods where words.take(method) {
        return .request(method: method, target: try words.word())
    }
    if let count = words.number() {
        if words.take("connection") || words.take("connections") { return .connections(count) }
        if words.take("request") || words.take("requests") { return .requests(count) }
        throw words.fail("\(count) what?")
    }
    throw words.fail("'upstream sees \(words.rest)' is not understood")
}

// MARK: - Parts

/// `name` or `name: value`
private func field(_ words: inout Words) throws(ScenarioError) -> (String, String?) {
    let name = try words.word()
    guard name.last == ":" else { return (name, nil) }
    return (String(name.dropLast()), words.remainder())
}

/// `a.0.b = JSON`
private func assignment(_ words: inout Words) throws(ScenarioError) -> (String, String) {
    let path = try words.word()
    guard words.take("=") else { throw words.fail("write: json path = value") }
    return (path, words.remainder())
}
