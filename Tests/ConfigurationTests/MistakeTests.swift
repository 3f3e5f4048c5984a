// What somebody reads whose configuration file is wrong: the exact words, with the exact place.

import Configuration
import ConfigurationFile
import Testing

@Suite struct MistakesInWriting {
    static let mistakes: [(String, String)] = [
        (
            "lissten: 127.0.0.1:1",
            "s.yaml:1:1: lissten: unknown key; did you mean listen?"
        ),
        (
            "first_token: 5s",
            "s.yaml:1:1: first_token: unknown key; it belongs under backends[].timeouts or timeouts"
        ),
        (
            "timeouts: {head: 5s}",
            """
            s.yaml:1:12: timeouts.head: unknown key; did you mean head_grace, or is it for limits?
            """
        ),
        (
            "log: {colour: red}",
            "s.yaml:1:7: log.colour: unknown key; known here: format, level"
        ),
        (
            "timeouts:\n  connect: 5 sec",
            """
            s.yaml:2:12: timeouts.connect: "5 sec" is not a duration; write it like 250ms, 5s, \
            10m or 1h
            """
        ),
        (
            "timeouts: {connect: off}",
            "s.yaml:1:21: timeouts.connect: off is not possible here; write 10ms to 1h"
        ),
        (
            "limits: {body: 64MB}",
            """
            s.yaml:1:16: limits.body: "64MB" is not a size; write it like 512, 64KiB, 16MiB or \
            1GiB
            """
        ),
        ("workers: many", "s.yaml:1:10: workers: \"many\" is not a whole number"),
        ("workers: [1]", "s.yaml:1:10: workers: is a list, but must be a single value"),
        (
            "cors_origins: http://a",
            "s.yaml:1:15: cors_origins: is a single value, but must be a list, like [a, b]"
        ),
        (
            "limits: 5",
            "s.yaml:1:9: limits: is a single value, but must be a map, like {name: value}"
        ),
        ("- a", "s.yaml:1:1: is a list, but must be a map, like {name: value}"),
        ("ui: yes", "s.yaml:1:5: ui: \"yes\" is not known; write true or false"),
        (
            "reasoning: all",
            """
            s.yaml:1:12: reasoning: "all" is not known; write reasoning_content, reasoning, both \
            or none
            """
        ),
        (
            "listen: 8484",
            """
            s.yaml:1:9: listen: "8484" names no host; write 127.0.0.1:8484 for this machine \
            only, 0.0.0.0:8484 for every network
            """
        ),
        (
            "backends:\n- {name: gpu, ur: http://a}",
            "s.yaml:2:3: backends[0].url: is missing; write url: and its value"
        ),
        (
            "backends:\n- {name: gpu, url: \"a:1\"}",
            "s.yaml:2:20: backends[0].url: \"a:1\" has no scheme; write http://a:1"
        ),
        (
            "backends:\n- {name: g, url: http://a, slots: few}",
            "s.yaml:2:35: backends[0].slots: \"few\" is not a number of slots; write auto or 4"
        ),
        (
            "backends:\n- {name: g, url: http://a, timeouts: {queue: 1s}}",
            """
            s.yaml:2:39: backends[0].timeouts.queue: unknown key; it belongs under timeouts or \
            limits
            """
        ),
        (
            "models:\n  fast: {cap: {max_tokens: \"9\"}}",
            """
            s.yaml:2:28: models.fast.cap.max_tokens: "9" is not a number; write one like 4096 \
            or 0.7
            """
        ),
        (
            "models: {m: {set: {think: on}}}",
            """
            s.yaml:1:27: models.m.set.think: on may be a word or a truth value; write true, false \
            or "on"
            """
        ),
        (
            "models: {m: {set: {t: [.inf]}}}",
            "s.yaml:1:24: models.m.set.t[0]: .inf is no number in JSON; write a finite one"
        ),
        ("keys: [{name: a}]", "s.yaml:1:8: keys[0].key: is missing; write key: and its value"),
        (
            "tls: {key: /k}",
            "s.yaml:1:6: tls.certificate: is missing; write certificate: and its value"
        ),
        (
            "keys: [{name: a, key: \"${KEY}\"}]",
            """
            s.yaml:1:23: keys[0].key: the environment variable KEY is not set; set it, or write \
            the value itself
            """
        ),
        (
            "default_model: ${A",
            """
            s.yaml:1:16: default_model: "${" has no closing }; write ${NAME}, or $${ for the \
            text itself
            """
        ),
        (
            "default_model: ${A B}",
            """
            s.yaml:1:16: default_model: ${A B} names no variable; write letters, digits and _ \
            only, or $${ for the text itself
            """
        ),
        (
            "keys: [{name: a, key: \"file:a.key\"}]",
            """
            s.yaml:1:23: keys[0].key: "/etc/a.key" cannot be read: No such file or directory; \
            name a file that holds the key
            """
        ),
        (
            "keys_file: keys",
            """
            s.yaml:1:12: keys_file: "/etc/keys" cannot be read: No such file or directory; name \
            a file of keys, or leave it out
            """
        ),
    ]

    @Test(arguments: mistakes)
    func theFirstMistakeIsToldExactly(_ yaml: String, _ message: String) {
        #expect(messages(yaml).first == message)
    }

    @Test func allMistakesAreToldAtOnceFromTheTopDown() {
        let yaml = """
            wokers: 2
            limits: {boddy: 1, head: x}
            backends:
              - {name: gpu, knd: ollama, url: x:1, slots: -1}
              - {}
            """
        #expect(
            messages(yaml).map { String($0.prefix { $0 != ";" }) } == [
                "s.yaml:1:1: wokers: unknown key",
                "s.yaml:2:10: limits.boddy: unknown key",
                "s.yaml:2:26: limits.head: \"x\" is not a size",
                "s.yaml:4:17: backends[0].knd: unknown key",
                "s.yaml:4:35: backends[0].url: \"x:1\" has no scheme",
                "s.yaml:4:47: backends[0].slots: \"-1\" is not a number of slots",
                "s.yaml:5:5: backends[1].name: is missing",
                "s.yaml:5:5: backends[1].url: is missing",
            ])
    }

    @Test func aLineOfTheKeysFileIsToldWithoutShowingIt() {
        let found = messages(
            "keys_file: keys", files: ["/etc/keys": "alice top secret\n bob\ncarol ok\n"])
        #expect(
            found == [
                "keys:1:1: keys_file: has 3 words in a line; write a name and a key",
                "keys:2:2: keys_file: has 1 words in a line; write a name and a key",
            ])
    }

    @Test func noMessageShowsASecret() {
        let yaml = """
            backends: [{name: gpu, url: "http://me:hunter2@gpu", key: "hunter2 \\n"}]
            keys: [{name: a, key: hunter2}, {name: b, key: hunter2}, {name: c, key: "hunter2 "}]
            """
        #expect(!messages(yaml).isEmpty)
        #expect(!messages(yaml).joined().contains("hunter2"))
        let plain = yaml.replacing("me:hunter2@", with: "")
        #expect(messages(plain).count == 3)
        #expect(!messages(plain).joined().contains("hunter2"))
    }
}

@Suite struct MistakesInYAML {
    static let mistakes: [(String, String)] = [
        (
            "log:\n\tformat: text",
            """
            s.yaml:2:1: not YAML: found character that cannot start any token; the line begins \
            with a tab, indent it with spaces
            """
        ),
        (
            "workers: 1\nui: true\nworkers: 2",
            "s.yaml:3:1: workers: stands twice, first in line 1; leave one out"
        ),
        (
            "workers: 1\n---\nworkers: 2",
            "s.yaml:2:1: a second document begins; write everything into one"
        ),
        (
            "log: &x {}\n",
            "s.yaml:1:6: anchors and tags are not supported; write only the value"
        ),
        (
            "workers: !!int 1",
            "s.yaml:1:10: anchors and tags are not supported; write only the value"
        ),
        ("log: *x", "s.yaml:1:6: aliases are not supported; write the value out"),
        (
            "{[a]: 1}",
            "s.yaml:1:2: a key must be a single word; quote it if it is none"
        ),
        (
            "listen: [::1]:8484",
            """
            s.yaml:1:10: not YAML: did not find expected node content; an IPv6 address must stand in \
            quotes, like "[::1]:8484"
            """
        ),
        (
            "default_model: a: b",
            """
            s.yaml:1:17: not YAML: mapping values are not allowed in this context; a text with \
            ": " in it must stand in quotes
            """
        ),
        (
            "default_model: @a",
            """
            s.yaml:1:16: not YAML: found character that cannot start any token; a text that \
            begins with this character must stand in quotes
            """
        ),
        (
            "ui: \"true\nworkers: 1\n",
            """
            s.yaml:3:1: not YAML: found unexpected end of stream; look for a wrong indentation, or \
            a missing quote or bracket, here or above
            """
        ),
        (
            "models: {a: {set: {b: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
            "s.yaml:1:51: lists and maps are nested deeper than 32; make it flatter"
        ),
    ]

    @Test(arguments: mistakes)
    func theyAreToldWithWhatIsUsuallyBehindThem(_ yaml: String, _ message: String) {
        #expect(messages(yaml) == [message])
    }

    @Test func bytesThatAreNotUTF8AreFoundWhereTheyStand() {
        let bytes = Array("ui: true\n# é ".utf8) + [0xFF, 0x0A]
        do throws(ConfigurationError) {
            _ = try parseConfiguration(yaml: bytes, file: "s.yaml")
            Issue.record("accepted")
        } catch {
            #expect(
                error.description
                    == "s.yaml:2:5: not YAML: invalid leading UTF-8 octet; save the file as UTF-8")
        }
    }

    @Test func everyDuplicateIsTold() {
        #expect(messages("ui: true\nui: true\nlog: {level: info, level: info}").count == 2)
    }

    @Test func noBrokenTextGivesMoreThanAnError() {
        // Every beginning of a file, and the file with each byte replaced, parses or fails; nothing else.
        let text = Array(WholeFiles.everything.utf8)
        for index in text.indices {
            var broken = text
            broken[index] = [0x00, 0x0A, 0x22, 0x7B, 0xC3][index % 5]
            for bytes in [Array(text[..<index]), broken] {
                do throws(ConfigurationError) {
                    _ = try parseConfiguration(yaml: bytes, file: "s.yaml") {
                        path throws(FileError) in throw FileError("none")
                    }
                } catch {
                    #expect(!error.problems.isEmpty)
                }
            }
        }
    }
}

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

    @Test func theDefaultsAreWithoutFaults() {
        #expect(Configuration().faults() == [])
        #expect(Configuration().exposureFault() == nil)
    }
}
