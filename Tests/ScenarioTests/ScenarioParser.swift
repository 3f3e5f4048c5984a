// Reads scenario files: lines to steps, with the line in every complaint.

extension Scenario {
    /// Reads a file's text.
    init(reading text: String) throws(ScenarioError) {
        for line in Self.logicalLines(text) { try take(line) }
        guard !title.isEmpty else {
            throw ScenarioError(line: 1, message: "the first line says 'scenario: what happens'")
        }
    }

    /// A line with the indented ones below it.
    struct Line {
        var number: Int
        var text: Substring
        var more: [String] = []

        /// Everything as one text.
        var joined: String { ([String(text)] + more).joined(separator: " ") }
    }

    private static func logicalLines(_ text: String) -> [Line] {
        var lines: [Line] = []
        for (i, raw) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let trimmed = raw.trimmed
            if trimmed.isEmpty || trimmed.hasPrefix("#") { continue }
            if raw.first == " ", !lines.isEmpty {
                lines[lines.count - 1].more.append(String(trimmed))
            } else {
                lines.append(Line(number: i + 1, text: trimmed))
            }
        }
        return lines
    }

    private mutating func take(_ line: Line) throws(ScenarioError) {
        var words = Words(line.text, line: line.number)
        if words.take("scenario:") { return takeTitle(words.remainder()) }
        if words.take("expected to fail:") {
            expectedFailure = words.remainder()
            return
        }
        if words.take("set") {
            settings.options.append((try words.word(), words.remainder(), line.number))
            return
        }
        if try declareUpstream(line) { return }
        let action = try action(line)
        steps.append(Step(line: line.number, text: String(line.text), action: action))
    }

    /// `what happens     ending: word, word`
    private mutating func takeTitle(_ text: String) {
        guard let mark = text.firstRange(of: "ending:") else { return title = text }
        title = String(text[..<mark.lowerBound].trimmed)
        endings = Self.list(text[mark.upperBound...]).filter { $0 != "none" }
    }

    static func list(_ text: Substring) -> [String] {
        text.split(separator: ",").map { String($0.trimmed) }
    }

    // MARK: - Declarations

    /// What an upstream is, rather than what it does. `false` if the line says no such thing.
    private mutating func declareUpstream(_ line: Line) throws(ScenarioError) -> Bool {
        var words = Words(line.joined, line: line.number)
        guard words.take("upstream") else { return false }
        let number = words.smallNumber() ?? 1
        var upstream = settings.upstreams[number] ?? UpstreamSettings()
        if words.take("is down") {
            upstream.isUp = false
        } else if words.take("is not known yet") {
            upstream.isDiscovered = true
            upstream.kind = "auto"
        } else if words.take("answers probes") {
            upstream.answersProbes = true
        } else if words.take("is") {
            upstream.kind = try words.word()
            if words.take("and serves") { upstream.models = Self.list(words.remainder()[...]) }
        } else if words.take("has a silent address first") {
            upstream.otherAddress = .silent
        } else if words.take("has a refusing address first") {
            upstream.otherAddress = .refusing
        } else if words.take("has loaded") {
            upstream.loaded = Self.list(words.remainder()[...])
        } else if words.take("has"), let slots = words.number() {
            upstream.slots = slots
            guard words.take("slots") || words.take("slot") else {
                throw words.fail("it has \(slots) what?")
            }
        } else if words.take("serves") {
            upstream.models = Self.list(words.remainder()[...])
        } else if words.take("refuses connections") {
            upstream.manner = .refusing
        } else if words.take("accepts no connection") {
            upstream.manner = .silent
        } else if words.take("writes") {
            upstream.pieces = try words.size()
            _ = words.take("at a time")
        } else {
            return false
        }
        try words.expectEnd()
        guard steps.isEmpty else {
            throw words.fail("what an upstream is stands before the first step")
        }
        settings.upstreams[number] = upstream
        return true
    }

    // MARK: - Steps

    private func action(_ line: Line) throws(ScenarioError) -> Action {
        var words = Words(line.text, line: line.number)
        if words.take("client") {
            let number = words.smallNumber() ?? 1
            return .client(number, try clientStep(&words, line.more))
        }
        if words.take("upstream") {
            let number = words.smallNumber() ?? 1
            var call: Int?
            if words.take("call") {
                call = words.smallNumber()
                guard call != nil else { throw words.fail("which call?") }
            }
            return .upstream(number, call: call, try upstreamStep(&words, line.more))
        }
        if words.take("server") { return .server(try serverStep(&words)) }
        if words.take("quiet for") {
            let duration = try words.duration()
            try words.expectEnd()
            return .quiet(duration)
        }
        if words.take("time goes on by") {
            let duration = try words.duration()
            try words.expectEnd()
            return .time(duration)
        }
        if words.take("after") {
            return .after(try afterChecks(Words(line.joined, line: line.number)))
        }
        throw words.fail(
            "a step begins with client, upstream, server, quiet, time, after, set, or is a title")
    }

    private func serverStep(_ words: inout Words) throws(ScenarioError) -> ServerStep {
        if words.take("drains") { return .drain }
        if words.take("stops sessions") { return .stopSessions }
        if words.take("reloads with upstream"), let number = words.number() {
            return .reload(.withUpstream(number))
        }
        if words.take("reloads without upstream"), let number = words.number() {
            return .reload(.withoutUpstream(number))
        }
        if words.take("reloads with") {
            return .reload(.with(option: try words.word(), value: words.remainder()))
        }
        if words.take("knows its upstreams") { return .knowsUpstreams }
        if words.take("holds at most") {
            let size = try words.size()
            if words.take("unsent") { return .holdsUnsent(atMost: size) }
            if words.take("of request bodies") { return .holdsBodies(atMost: size) }
        }
        throw words.fail("'server \(words.rest)' is not understood")
    }

    private func afterChecks(_ words: Words) throws(ScenarioError) -> [AfterCheck] {
        var checks: [AfterCheck] = []
        let text = words.rest.dropFirst("after".count)
        for part in text.split(separator: "·") {
            var words = Words(part, line: words.line)
            if words.take("descriptors as before") {
                checks.append(.nothingLeft)
            } else if words.take("ending") {
                checks.append(.endings(Self.list(words.remainder()[...])))
            } else if words.take("no retry") {
                checks.append(.noRetry)
            } else if words.take("log has no") {
                checks.append(.notInLog(words.remainder()))
            } else if words.take("log has") {
                checks.append(.log(words.remainder()))
            } else {
                throw words.fail("'\(words.rest)' is not understood")
            }
            try words.expectEnd()
        }
        return checks
    }
}

extension Words {
    /// The number of a client, upstream or call. Three digits are a status.
    mutating func smallNumber() -> Int? {
        var copy = self
        guard let number = copy.number(), (1..<100).contains(number) else { return nil }
        self = copy
        return number
    }
}
