// How single values are read and written: quantities, addresses, URLs.

import Configuration
import Testing

@Suite struct Quantities {
    @Test(arguments: [
        ("250ms", Duration.milliseconds(250), "250ms"), ("5s", .seconds(5), "5s"),
        ("90s", .seconds(90), "90s"), ("10m", .seconds(600), "10m"),
        ("1h", .seconds(3600), "1h"), ("75", .seconds(75), "75s"), ("0", .zero, "0s"),
        ("1500ms", .milliseconds(1500), "1500ms"), ("60m", .seconds(3600), "1h"),
        ("off", nil, "off"),
    ])
    func durationsAreReadAndWritten(_ text: String, _ value: Duration?, _ written: String) throws {
        #expect(try parseDuration(text) == value)
        #expect(durationText(value) == written)
        #expect(try parseDuration(written) == value)
    }

    @Test(arguments: ["", "5 s", "-5s", "1.5s", "5sec", "s", "1h30m", "never", "9999999999999999h"])
    func otherTextsAreNoDurations(_ text: String) {
        #expect(
            refusal { () throws(ValueError) in try parseDuration(text) }
                == "\"\(text)\" is not a duration; write it like 250ms, 5s, 10m or 1h")
    }

    @Test(arguments: [
        ("64KiB", 65_536, "64KiB"), ("16MiB", 16 << 20, "16MiB"), ("1GiB", 1 << 30, "1GiB"),
        ("1000", 1000, "1000"), ("1024", 1024, "1KiB"), ("12B", 12, "12"), ("0", 0, "0"),
    ])
    func sizesAreReadAndWritten(_ text: String, _ bytes: Int, _ written: String) throws {
        #expect(try parseSize(text) == bytes)
        #expect(sizeText(bytes) == written)
    }

    @Test(arguments: ["", "64KB", "64 KiB", "64k", "1.5MiB", "-1", "99999999999999GiB"])
    func otherTextsAreNoSizes(_ text: String) {
        #expect(
            refusal { () throws(ValueError) in try parseSize(text) }
                == "\"\(text)\" is not a size; write it like 512, 64KiB, 16MiB or 1GiB")
    }

    @Test func theLongestDurationsAreWrittenToo() throws {
        #expect(durationText(try parseDuration("9000000000000000")) == "9000000000000000s")
        #expect(durationText(.seconds(Int64.max)) == "9223372036854775807s")
    }

    @Test func aFoundValueIsShownShortAndPlain() {
        #expect(quoted("a\nb") == "\"a?b\"")
        #expect(quoted(String(repeating: "x", count: 61)).hasSuffix("x…\""))
        #expect(quoted(String(repeating: "x", count: 60)).hasSuffix("xx\""))
    }

    @Test func aSecretIsNeverShown() {
        let secret = Secret("hunter2")
        var dumped = ""
        dump(secret, to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), "\([secret])", dumped] {
            #expect(!text.contains("hunter2"))
        }
    }
}

@Suite struct Addresses {
    @Test(arguments: [
        ("127.0.0.1:8484", ListenAddress.tcp(host: "127.0.0.1", port: 8484), true),
        ("127.9.9.9:1", .tcp(host: "127.9.9.9", port: 1), true),
        ("[::1]:8484", .tcp(host: "::1", port: 8484), true),
        ("localhost:0", .tcp(host: "localhost", port: 0), true),
        ("0.0.0.0:80", .tcp(host: "0.0.0.0", port: 80), false),
        ("[::]:80", .tcp(host: "::", port: 80), false),
        ("127.0.0.1.example:80", .tcp(host: "127.0.0.1.example", port: 80), false),
        ("unix:/run/s.sock", .unix(path: "/run/s.sock"), true),
    ])
    func anAddressIsReadAndWritten(_ text: String, _ address: ListenAddress, _ local: Bool) throws {
        #expect(try ListenAddress(text) == address)
        #expect(address.description == text)
        #expect(address.isLocal == local)
    }

    @Test(arguments: [
        (
            ":8484",
            "names no host; write 127.0.0.1:8484 for this machine only, "
                + "0.0.0.0:8484 for every network"
        ),
        (
            "8484",
            "names no host; write 127.0.0.1:8484 for this machine only, "
                + "0.0.0.0:8484 for every network"
        ),
        (
            "127.0.0.1",
            "is not an address; write it like 127.0.0.1:8484, [::1]:8484 or "
                + "unix:/run/sluice.sock"
        ),
        ("unix:run/s.sock", "has no absolute path; write it like unix:/run/name.sock"),
    ])
    func aWrongAddressIsToldWhatIsRight(_ text: String, _ message: String) {
        #expect(
            refusal { () throws(ValueError) in try ListenAddress(text) } == "\"\(text)\" \(message)"
        )
    }

    @Test(arguments: [
        "", "host:", "host:65536", "host:-1", "host:+1", "a b:1", "::1:8484", "[::1]", "[]:1",
        "[x]:1",
        "http://a:1", "a/b:1", "-a:1", "unix:", "unix:/", "[::1:1", "a@b:1",
    ])
    func whatIsNoAddressIsRefused(_ text: String) {
        #expect(refusal { () throws(ValueError) in try ListenAddress(text) } != "")
    }

    @Test func aSocketPathHas107BytesAtMost() throws {
        let longest = "unix:/" + String(repeating: "s", count: 106)
        #expect(try ListenAddress(longest).description == longest)
        #expect(
            refusal { () throws(ValueError) in try ListenAddress(longest + "s") }
                .hasSuffix("is too long for a socket; its path may have 107 bytes"))
    }
}

@Suite struct BackendURLs {
    @Test(arguments: [
        ("http://127.0.0.1:8080", "127.0.0.1", 8080, "", "127.0.0.1:8080"),
        ("http://box", "box", 80, "", "box"),
        ("http://box:80", "box", 80, "", "box"),
        ("https://box", "box", 443, "", "box"),
        ("https://box:80", "box", 80, "", "box:80"),
        ("HTTP://box:1/", "box", 1, "", "box:1"),
        ("http://[::1]:8080", "::1", 8080, "", "[::1]:8080"),
        ("http://[::1]", "::1", 80, "", "[::1]"),
        ("https://box/llm/", "box", 443, "/llm", "box"),
        ("https://box/llm/v1", "box", 443, "/llm", "box"),
        ("https://box/v1/", "box", 443, "", "box"),
        ("https://box/llm//v1/", "box", 443, "/llm", "box"),
        ("https://box/@me", "box", 443, "/@me", "box"),
    ])
    func aURLIsTakenApart(
        _ text: String, _ host: String, _ port: Int, _ prefix: String, _ hostField: String
    ) throws {
        let url = try BackendURL(text)
        #expect(url.scheme == (text.hasPrefix("https") ? .https : .http))
        #expect((url.host, url.port) == (host, port))
        #expect((url.pathPrefix, url.hostField) == (prefix, hostField))
        #expect(try BackendURL(url.description) == url)
    }

    @Test func aSocketIsAURLToo() throws {
        let url = try BackendURL("unix:/run/llama.sock")
        #expect(url.scheme == .unix)
        #expect(url.socketPath == "/run/llama.sock")
        #expect(url.hostField == "localhost")
        #expect(url.description == "unix:/run/llama.sock")
    }

    @Test(arguments: [
        ("127.0.0.1:8080", "\"127.0.0.1:8080\" has no scheme; write http://127.0.0.1:8080"),
        ("box", "\"box\" has no scheme; write http://box"),
        (
            "ftp://box",
            "\"ftp://box\" is not a URL; write it like http://127.0.0.1:8080, https://… "
                + "or unix:/path"
        ),
        ("http://", "\"http://\" has no host and port; write it like http://127.0.0.1:8080"),
        (
            "http://box:99999",
            "\"http://box:99999\" has no host and port; write it like "
                + "http://127.0.0.1:8080"
        ),
        ("http://me:secret@box", "is a URL with a user or password; put the secret into key"),
        (
            "http://box/?a=1",
            "has a query or fragment; write only \"http://box/\""
        ),
        ("http://box/ä", "\"http://box/ä\" has characters that must be percent-encoded"),
    ])
    func aWrongURLIsToldWhatIsRight(_ text: String, _ message: String) {
        #expect(refusal { () throws(ValueError) in try BackendURL(text) } == message)
    }

    @Test(arguments: [
        "http://box:", "http://box:0", "http://a\r\nb", "http:///path", "http://[::1",
    ])
    func whatWouldSpoilARequestIsRefused(_ text: String) {
        #expect(refusal { () throws(ValueError) in try BackendURL(text) } != "")
    }

    @Test(arguments: [
        (nil, "http://127.0.0.1:11434"), (" \"box:9\" ", "http://box:9"),
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"), ("0.0.0.0:9", "http://127.0.0.1:9"),
        (":9", "http://127.0.0.1:9"), ("box", "http://box:11434"), ("box:9", "http://box:9"),
        ("http://box", "http://box"), ("https://box/x/", "https://box/x"),
        ("::", "http://[::1]:11434"), ("[::]:9", "http://[::1]:9"),
    ])
    func ollamaIsLookedForWhereItsVariableSays(_ variable: String?, _ url: String) throws {
        let backends = try Configuration.localBackends(ollamaHost: variable)
        #expect(backends.map(\.kind) == [.llamaServer, .ollama])
        #expect(backends[0].url.description == "http://127.0.0.1:8080")
        #expect(backends[1].url.description == url)
    }

    /// There it is set for clients of Ollama, which are to come to us.
    @Test(arguments: [
        ("127.0.0.1:8484", "http://127.0.0.1:11434"), ("localhost:8484", "http://127.0.0.1:11434"),
        ("0.0.0.0:8484", "http://127.0.0.1:11434"), (":9", "http://127.0.0.1:9"),
        ("box:8484", "http://box:8484"),
    ])
    func nobodyTakesItselfForAnOllama(_ variable: String, _ url: String) throws {
        let backends = try Configuration.localBackends(
            ollamaHost: variable, besides: [.standard, .unix(path: "/x")])
        #expect(backends[1].url.description == url)
    }

    @Test func aVariableThatIsNoAddressIsNamed() {
        #expect(
            refusal { () throws(ValueError) in try Configuration.localBackends(ollamaHost: "a b") }
                == "OLLAMA_HOST: \"a b\" is not an address; write it like 127.0.0.1:11434")
    }
}

@Suite struct NamesAndPatterns {
    @Test(arguments: [
        ("temparature", ["temperature", "top_p"], ["temperature"]),
        ("QWEN3", ["qwen3"], ["qwen3"]),
        ("qwen3", ["qwen3:8b", "qwen2", "gemma"], ["qwen2", "qwen3:8b"]),
        ("ab", ["ba", "cd", "a"], ["ba", "a"]),
        ("aaaa", ["aaab", "aaac", "aaad", "aaae"], ["aaab", "aaac", "aaad"]),
        ("llama", ["mistral", "gemma"], []),
        ("", ["a", ""], ["a"]),
        ("x", ["yz"], []),
    ])
    func theNearestNamesComeFirst(_ name: String, _ known: [String], _ nearest: [String]) {
        #expect(nearestNames(to: name, among: known) == nearest)
    }

    @Test func aVeryLongNameCostsNothing() {
        let long = String(repeating: "x", count: 100_000)
        #expect(nearestNames(to: long, among: [String](repeating: long + "y", count: 3)).count == 1)
        #expect(nearestNames(to: long, among: [String](repeating: "y" + long, count: 3)).isEmpty)
    }

    @Test(arguments: [
        ("", "", true), ("", "*", true), ("a", "", false), ("abc", "abc", true),
        ("abc", "a*", true), ("abc", "*c", true), ("abc", "a*c", true), ("abc", "*b*", true),
        ("abc", "a*b", false), ("abc", "**", true), ("aab", "a*ab", true), ("ab", "a*ab", false),
        ("Abc", "a*", false), ("a*c", "a*c", true), ("mississippi", "m*iss*p*i", true),
    ])
    func aStarStandsForAnything(_ text: String, _ pattern: String, _ expected: Bool) {
        #expect(matches(text, pattern: pattern) == expected)
    }

    @Test func aPatternOfManyStarsDoesNotStall() {
        let text = String(repeating: "a", count: 2000)
        #expect(!matches(text, pattern: String(repeating: "*a", count: 100) + "b"))
    }

    @Test func aKeyAllowsTheModelsOfItsPatterns() {
        var key = KeySettings(name: "alice", key: Secret("k"))
        #expect(key.allows(model: "anything"))
        key.models = ["qwen*", "gemma"]
        #expect(key.allows(model: "qwen3") && key.allows(model: "gemma"))
        #expect(!key.allows(model: "gemma2"))
    }
}
