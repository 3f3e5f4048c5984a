// What somebody reads whose configuration file is well written but does not fit together.

import Configuration
import ConfigurationFile
import Testing

@Suite struct MistakesInMeaning {
    static let mistakes: [(String, String)] = [
        ("workers: 0", "s.yaml:1:10: workers: 0 is too small; write 1 to 256"),
        (
            "timeouts: {token: 1ms}",
            "s.yaml:1:19: timeouts.token: 1ms is too short; write 10ms to 24h"
        ),
        (
            "timeouts: {token: 48h}",
            "s.yaml:1:19: timeouts.token: 48h is too long; write 10ms to 24h"
        ),
        (
            "limits: {stream_buffer: 1KiB}",
            "s.yaml:1:25: limits.stream_buffer: 1KiB is too small; write 16KiB to 64MiB"
        ),
        (
            "limits:\n  body: 2GiB",
            """
            s.yaml:2:3: limits.bodies: 1GiB for all bodies is less than limits.body (2GiB) for \
            one; write 2GiB or more
            """
        ),
        (
            "limits: {request_line: 128KiB}",
            """
            s.yaml:1:9: limits.head: 64KiB is less than limits.request_line (128KiB), which is a \
            part of it; write 128KiB or more
            """
        ),
        (
            "keep_alive_interval: 0",
            "s.yaml:1:22: keep_alive_interval: 0s is too short; write 10ms to 1h"
        ),
        (
            "listen: []",
            "s.yaml:1:9: listen: is empty; name at least one address, like 127.0.0.1:8484"
        ),
        (
            "listen: [a:1, a:1]",
            "s.yaml:1:15: listen[1]: a:1 stands twice; leave one out"
        ),
        (
            "backends:\n- {name: a, url: http://a}\n- {name: a, url: http://b}",
            """
            s.yaml:3:10: backends[1].name: "a" is already the name of another backend; choose \
            another
            """
        ),
        (
            "backends: [{name: \"a b\", url: http://a}]",
            """
            s.yaml:1:19: backends[0].name: "a b" is not a plain name; write 1 to 64 letters, \
            digits, dots, dashes or underscores
            """
        ),
        (
            "backends: [{name: a, url: http://a, ca: /ca}]",
            """
            s.yaml:1:41: backends[0].ca: has no use without TLS; write an https:// url, or leave \
            it out
            """
        ),
        (
            "backends: [{name: a, url: http://a, models: []}]",
            """
            s.yaml:1:45: backends[0].models: is a list without names; name the models, or leave \
            it out to ask the server
            """
        ),
        (
            "backends: [{name: a, url: http://a, key: \"\"}]",
            "s.yaml:1:42: backends[0].key: is empty; write the key, \"${VARIABLE}\" or file:/path"
        ),
        (
            "backends: [{name: gpu, url: http://a}]\nmodels: {m: {backends: [gpuu]}}",
            "s.yaml:2:25: models.m.backends[0]: \"gpuu\" is not a backend; did you mean gpu?"
        ),
        (
            "models: {m: {backends: [gpu]}}",
            """
            s.yaml:1:25: models.m.backends[0]: "gpu" is not a backend; there are none under \
            backends
            """
        ),
        (
            "models: {a: {model: b}, b: {model: c}}",
            "s.yaml:1:21: models.a.model: \"b\" is itself an alias; write c"
        ),
        (
            "models: {a.b: {fallback: [c, a.b]}}",
            "s.yaml:1:30: models.a.b.fallback[1]: \"a.b\" falls back to itself; name another model"
        ),
        (
            "models: {a: {set: {stream: false}}}",
            "s.yaml:1:19: models.a.set: stream is written by Sluice itself; leave it out"
        ),
        (
            "models: {a: {set: {x: 1}, drop: [x]}}",
            "s.yaml:1:33: models.a.drop: x is also under set; leave one of the two out"
        ),
        (
            "models: {a: {default: {n: 5}, cap: {n: 4}}}",
            "s.yaml:1:36: models.a.cap: n is capped at 4, but set to 5"
        ),
        (
            "models: {a: {cap: {max_tokens: 0}}}",
            "s.yaml:1:19: models.a.cap: max_tokens of 0 lets no answer through; write 1 or more"
        ),
        (
            "default_model: \"*\"",
            "s.yaml:1:16: default_model: \"*\" is not a name; write one model's"
        ),
        (
            "keys: [{name: a, key: k}, {name: b, key: k}]",
            "s.yaml:1:42: keys[1].key: is the same as that of \"a\"; make a new one"
        ),
        (
            "keys: [{name: a, key: k k}]",
            """
            s.yaml:1:23: keys[0].key: has spaces, controls or non-ASCII characters, which no \
            header can carry
            """
        ),
        (
            "keys: [{name: a, key: k, max_in_flight: 0}]",
            "s.yaml:1:41: keys[0].max_in_flight: 0 is too small; write 1 to 1000000"
        ),
        (
            "cors_origins: [https://a/b]",
            """
            s.yaml:1:16: cors_origins[0]: "https://a/b" is not an origin; write it like \
            https://chat.example.com, without a path, or "*"
            """
        ),
        (
            "allowed_hosts: [a:80]",
            """
            s.yaml:1:17: allowed_hosts[0]: "a:80" is not a host name; write it like sluice.lan, \
            without scheme and port
            """
        ),
    ]

    @Test(arguments: mistakes)
    func theyAreToldWhereTheyStand(_ yaml: String, _ message: String) {
        #expect(messages(yaml) == [message])
    }

    @Test func aDoubledNameInTheKeysFileIsToldThere() {
        let found = messages(
            "keys: [{name: a, key: k}]\nkeys_file: /keys", files: ["/keys": "\nb x\na y\n"])
        #expect(
            found == [
                "/keys:3:1: keys[2].name: \"a\" is already the name of another key; choose another"
            ])
    }

    @Test func aliasesInACircleAreToldAtEachOfThem() {
        #expect(
            messages("models: {a: {model: b}, b: {model: a}}") == [
                "s.yaml:1:21: models.a.model: \"b\" leads back to \"a\"; write the upstream's name",
                "s.yaml:1:36: models.b.model: \"a\" leads back to \"b\"; write the upstream's name",
            ])
    }

    @Test func namesThatStandInForEachOtherAreNoMistake() {
        #expect(messages("models: {a: {fallback: [b]}, b: {fallback: [a]}}") == [])
    }

    @Test func aModelThatIsItsOwnTargetIsNoAlias() {
        #expect(messages("models: {a: {model: b}, b: {model: b}}") == [])
    }

    @Test func theDefaultsAreWithoutFaults() {
        #expect(Configuration().faults() == [])
        #expect(Configuration().exposureFault() == nil)
    }
}
