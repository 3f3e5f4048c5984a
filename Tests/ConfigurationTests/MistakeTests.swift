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
        (
            "workers: many",
            "s.yaml:1:10: workers: \"many\" is not a whole number; write digits only"
        ),
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
        // Beginnings of a file, and the file with a byte replaced, parse or fail; nothing else.
        let text = Array(WholeFiles.everything.utf8)
        for index in text.indices where index % 3 == 0 {
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
