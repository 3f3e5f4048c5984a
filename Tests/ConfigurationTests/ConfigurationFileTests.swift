// What a configuration file says, from text to settings.

import Configuration
import ConfigurationFile
import Testing

@Suite struct WholeFiles {
    @Test(arguments: [
        "", "\n", "# nothing\n", "---\n", "{}", "listen:\nbackends: ~\nlimits: null\n",
    ])
    func aFileThatSaysNothingIsAllDefaults(_ text: String) throws {
        #expect(try parse(text) == Configuration())
    }

    static let everything = """
        listen: ["[::1]:8484", unix:/run/sluice.sock]
        workers: 2
        backends:
          - name: gpu
            kind: llama-server
            url: https://gpu:8080
            key: file:/etc/sluice/gpu.key
            ca: ca.pem
            slots: 4
            models: [qwen3]
            developer_role: keep
            timeouts: {first_token: 20m, total: off}
          - {name: box, kind: ollama, url: "http://127.0.0.1:11434"}
        models:
          fast: {backends: [gpu, box], model: qwen3, fallback: [small], think_tags: true,
                 default: {temperature: 0.7, stop: ["a", 'b"c']}, set: {think: false},
                 cap: {max_tokens: 4096, temperature: 1.50}, drop: [logit_bias]}
          "gpt-*": {model: qwen3}
          small:
        default_model: fast
        keys:
          - {name: alice, key: "${ALICE_KEY}", models: ["qwen*"], max_in_flight: 4,
             requests_per_minute: 60, tokens_per_day: 1000000, priority: batch, ui: false}
        keys_file: keys
        state_file: /var/lib/sluice/state
        cors_origins: [https://chat.example.com]
        allowed_hosts: [sluice.lan]
        reasoning: both
        timeouts: {connect: 250ms, queue: off, idle: 90}
        keep_alive_interval: off
        limits: {body: 1MiB, queue: 0}
        tls: {certificate: tls/cert.pem, key: /etc/sluice/key.pem}
        log: {format: json, level: debug}
        ui: false
        """

    @Test func everySettingArrives() throws {
        let result = try parse(
            Self.everything, environment: ["ALICE_KEY": "a-${secret}"],
            files: [
                "/etc/sluice/gpu.key": "gpu-secret\r\n",
                "/etc/keys": "# people\n\nbob  b-secret\r\n",
            ])
        var expected = Configuration()
        expected.listen = [.tcp(host: "::1", port: 8484), .unix(path: "/run/sluice.sock")]
        expected.workers = 2
        expected.backends = try Self.backends()
        expected.models = Self.models()
        expected.defaultModel = "fast"
        expected.keys = Self.keys()
        expected.keysFile = "/etc/keys"
        expected.stateFile = "/var/lib/sluice/state"
        expected.corsOrigins = ["https://chat.example.com"]
        expected.allowedHosts = ["sluice.lan"]
        expected.reasoning = .both
        expected.timeouts.connect = .milliseconds(250)
        expected.timeouts.queue = nil
        expected.timeouts.idle = .seconds(90)
        expected.keepAliveInterval = nil
        expected.limits.body = 1 << 20
        expected.limits.queue = 0
        expected.tls = TLSSettings(certificate: "/etc/tls/cert.pem", key: "/etc/sluice/key.pem")
        expected.log.format = .json
        expected.log.level = .debug
        expected.ui = false
        #expect(result == expected)
        #expect(result.timeouts(for: result.backends[0]).firstToken == .seconds(1200))
        #expect(result.timeouts(for: result.backends[0]).connect == .milliseconds(250))
        #expect(result.timeouts(for: result.backends[1]).firstToken == .seconds(3600))
    }

    private static func backends() throws -> [BackendSettings] {
        var gpu = BackendSettings(
            name: "gpu", kind: .llamaServer, url: try BackendURL("https://gpu:8080"))
        gpu.key = Secret("gpu-secret")
        gpu.ca = "/etc/ca.pem"
        gpu.slots = .count(4)
        gpu.models = ["qwen3"]
        gpu.developerRole = .keep
        gpu.timeouts = [
            TimeoutOverride(.firstToken, .seconds(1200)), TimeoutOverride(.total, nil),
        ]
        let box = BackendSettings(
            name: "box", kind: .ollama, url: try BackendURL("http://127.0.0.1:11434"))
        return [gpu, box]
    }

    private static func models() -> [ModelRule] {
        var fast = ModelRule(name: "fast")
        fast.backends = ["gpu", "box"]
        fast.model = "qwen3"
        fast.fallback = ["small"]
        fast.thinkTags = true
        fast.defaults = [
            JSONField(name: "temperature", json: "0.7"),
            JSONField(name: "stop", json: #"["a","b\"c"]"#),
        ]
        fast.set = [JSONField(name: "think", json: "false")]
        fast.caps = [
            FieldCap(name: "max_tokens", limit: 4096, json: "4096"),
            FieldCap(name: "temperature", limit: 1.5, json: "1.50"),
        ]
        fast.drop = ["logit_bias"]
        var pattern = ModelRule(name: "gpt-*")
        pattern.model = "qwen3"
        return [fast, pattern, ModelRule(name: "small")]
    }

    private static func keys() -> [KeySettings] {
        // What a variable holds is taken as it is, even if it looks like a variable itself.
        var alice = KeySettings(name: "alice", key: Secret("a-${secret}"))
        alice.models = ["qwen*"]
        alice.maxInFlight = 4
        alice.requestsPerMinute = 60
        alice.tokensPerDay = 1_000_000
        alice.priority = .batch
        alice.ui = false
        return [alice, KeySettings(name: "bob", key: Secret("b-secret"))]
    }

    @Test func jsonIsYAMLToo() throws {
        let json =
            "{\"listen\":[\"127.0.0.1:1\",\"unix:\\/run\\/s\"],\n\t\"workers\":2,"
            + "\"backends\":[{\"name\":\"gpu\",\"url\":\"http://gpu\",\"slots\":8}],"
            + "\"models\":{\"fast\":{\"set\":{\"n\":1.5e3,\"s\":\"a\\u00e9\\n\",\"t\":true,"
            + "\"x\":null,\"o\":{\"k\":[]}}}},\"limits\":{\"body\":1024},\"ui\":false}"
        let result = try parse(json)
        #expect(result.listen == [.tcp(host: "127.0.0.1", port: 1), .unix(path: "/run/s")])
        #expect(result.workers == 2)
        #expect(result.backends.map(\.slots) == [.count(8)])
        #expect(
            result.models[0].set.map(\.json)
                == ["1.5e3", "\"aé\\n\"", "true", "null", "{\"k\":[]}"])
        #expect(result.limits.body == 1024)
        #expect(!result.ui)
    }

    @Test(arguments: [
        ("1", "1"), ("-0.5", "-0.5"), ("+7", "7"), ("007", "7"), (".5", "0.5"), ("1.", "1"),
        ("1e3", "1e3"), ("1E+3", "1e3"), ("-0", "-0"), ("1e999", "\"1e999\""),
        ("0x10", "\"0x10\""), ("1.2.3", "\"1.2.3\""), ("~", "null"), ("", "null"),
        ("NULL", "null"), ("True", "true"), ("false", "false"), ("'true'", "\"true\""),
        ("\"1\"", "\"1\""), ("low", "\"low\""), ("\"\\0\\e\"", "\"\\u0000\\u001b\""),
        ("[1, [a]]", "[1,[\"a\"]]"), ("{a: {b: 1}}", "{\"a\":{\"b\":1}}"),
        ("${N}", "5"), ("\"${N}\"", "\"5\""), ("|\n    two\n    lines", "\"two\\nlines\\n\""),
    ])
    func ruleValuesBecomeJSON(_ yaml: String, _ json: String) throws {
        let text = "models:\n m:\n  set:\n   f: \(yaml)\n"
        #expect(try parse(text, environment: ["N": "5"]).models[0].set.map(\.json) == [json])
    }

    @Test(arguments: [
        ("${A}", "x"), ("a${A}b${B_2}", "axby"), ("$A", "$A"), ("$${A}", "${A}"),
        ("${E}${A}", "$x"),
        ("$", "$"), ("100$", "100$"),
    ])
    func variablesAreReplaced(_ text: String, _ expected: String) throws {
        let environment = ["A": "x", "B_2": "y", "E": "$"]
        let result = try parse("default_model: \"\(text)\"", environment: environment)
        #expect(result.defaultModel == expected)
    }

    @Test func aVariableCanHoldAnyValueButNoStructure() throws {
        let text = "workers: ${N}\ncors_origins: [\"${O}\"]"
        let result = try parse(text, environment: ["N": "3", "O": "http://a"])
        #expect(result.workers == 3)
        #expect(
            messages(text, environment: ["N": "3", "O": "[a, b]"])
                == [
                    "s.yaml:2:16: cors_origins[0]: \"[a, b]\" is not an origin; write it like "
                        + "https://chat.example.com, without a path, or \"*\""
                ])
    }
}
