// The table of settings against the code, the example file and the documentation.

import Configuration
import ConfigurationFile
import Testing

@Suite struct TableOfSettings {
    @Test func everySettingStandsOnceAndSaysSomething() {
        let names = Setting.all.map(\.name)
        #expect(Set(names).count == names.count)
        for setting in Setting.all {
            #expect(setting.meaning.hasSuffix("."), "\(setting.name)")
            #expect(!setting.meaning.contains("|"), "\(setting.name) would break the table")
            #expect(Setting.named(setting.name) == setting)
        }
    }

    @Test func theDefaultsAreThoseThatWerePromised() {
        let promised = [
            "listen": "127.0.0.1:8484", "workers": "1", "timeouts.connect": "5s",
            "timeouts.queue": "10m", "timeouts.head_grace": "10s", "timeouts.first_token": "1h",
            "timeouts.token": "5m", "timeouts.total": "off", "timeouts.load_wait": "10m",
            "timeouts.request_head": "10s", "timeouts.request_body": "30s",
            "timeouts.request_total": "10m", "timeouts.idle": "75s", "timeouts.client_stall": "1m",
            "timeouts.drain": "30s", "keep_alive_interval": "10s", "limits.request_line": "8KiB",
            "limits.head": "64KiB", "limits.head_fields": "100", "limits.body": "64MiB",
            "limits.bodies": "1GiB", "limits.event": "16MiB", "limits.completion": "64MiB",
            "limits.upstream_head": "64KiB", "limits.stream_buffer": "256KiB",
            "limits.connections": "10000", "limits.queue": "256", "log.format": "text",
            "log.level": "info", "ui": "true", "reasoning": "reasoning_content",
            "cors_origins": "[]", "allowed_hosts": "[]", "backends[].kind": "auto",
            "backends[].slots": "auto", "backends[].developer_role": "system",
        ]
        for (name, value) in promised { #expect(Setting.named(name)?.standard == value) }
    }

    @Test func aDefaultThatIsWrittenDownChangesNothing() throws {
        // For settings of the top level; those of lists are compared in the example file.
        for setting in Setting.all where !setting.name.contains("[]") && !setting.name.contains("*")
        {
            guard let standard = setting.standard else { continue }
            let parts = setting.name.split(separator: ".")
            let yaml =
                parts.count == 1
                ? "\(parts[0]): \(standard)"
                : "\(parts[0]): {\(parts[1]): \(standard)}"
            #expect(try parse(yaml) == Configuration(), "\(setting.name)")
        }
    }

    @Test func aBareBackendRuleOrKeyHasTheDefaultsOfTheTable() throws {
        let bare = try parse(
            "backends: [{name: a, url: http://a}]\nmodels: {m: {}}\nkeys: [{name: a, key: k}]")
        for setting in Setting.all {
            guard let standard = setting.standard else { continue }
            let key = setting.name.split(separator: ".").last ?? ""
            let yaml: String
            if setting.name.hasPrefix("backends[]") {
                yaml =
                    "backends: [{name: a, url: http://a, \(key): \(standard)}]\n"
                    + "models: {m: {}}\nkeys: [{name: a, key: k}]"
            } else if setting.name.hasPrefix("models.*") {
                yaml =
                    "backends: [{name: a, url: http://a}]\nmodels: {m: {\(key): \(standard)}}\n"
                    + "keys: [{name: a, key: k}]"
            } else if setting.name.hasPrefix("keys[]") {
                yaml =
                    "backends: [{name: a, url: http://a}]\nmodels: {m: {}}\n"
                    + "keys: [{name: a, key: k, \(key): \(standard)}]"
            } else {
                continue
            }
            #expect(try parse(yaml) == bare, "\(setting.name)")
        }
    }

    @Test(arguments: Setting.all)
    func aValueOutsideTheRangeIsRefused(_ setting: Setting) throws {
        // Each setting with a range, with a value just outside it at either end.
        let outside: [String]
        switch setting.type {
        case .count(let range): outside = ["\(range.lowerBound - 1)", "\(range.upperBound + 1)"]
        case .size(let range): outside = ["\(range.lowerBound - 1)", "\(range.upperBound + 1)"]
        case .duration(let range, _):
            outside = [durationText(range.upperBound + .milliseconds(1))]
        case .choice, .flag: outside = ["nonsense"]
        case .text, .path, .secret, .other: return
        }
        for value in outside {
            let found = messages(Self.yaml(setting, value))
            #expect(found.contains { $0.contains(": \(Self.path(setting)): ") }, "\(found)")
        }
    }

    static func path(_ setting: Setting) -> String {
        setting.name.replacing("[]", with: "[0]").replacing("*", with: "m")
    }

    /// A file that sets one setting, and what its section requires.
    static func yaml(_ setting: Setting, _ value: String) -> String {
        let parts = setting.name.split(separator: ".").map(String.init)
        switch (parts[0], parts.count) {
        case ("backends[]", 2): return "backends: [{name: a, url: http://a, \(parts[1]): \(value)}]"
        case ("backends[]", _):
            return "backends: [{name: a, url: http://a, timeouts: {\(parts[2]): \(value)}}]"
        case ("keys[]", _): return "keys: [{name: a, key: k, \(parts[1]): \(value)}]"
        case ("models", _): return "models: {m: {\(parts[2]): \(value)}}"
        case (_, 1): return "\(parts[0]): \(value)"
        default: return "\(parts[0]): {\(parts[1]): \(value)}"
        }
    }
}

@Suite struct ExampleFile {
    @Test func asItStandsItIsAllDefaults() throws {
        #expect(try parse(projectFile("config/sluice.example.yaml")) == Configuration())
    }

    @Test func withEverythingTakenInEverySettingStandsThereWithItsDefault() throws {
        let text = uncommented(try projectFile("config/sluice.example.yaml"))
        let root = try #require(
            try parseYAML(Array(text.utf8), file: "example", depthLimit: 32))
        for setting in Setting.all {
            let node = try #require(find(setting.name, in: root), "\(setting.name) is missing")
            if let standard = setting.standard {
                #expect(flow(node) == standard, "\(setting.name)")
            }
        }
    }

    @Test func withEverythingTakenInItIsValid() throws {
        let text = uncommented(try projectFile("config/sluice.example.yaml"))
        let files = ["/etc/sluice/gpu.key": "secret", "/etc/sluice/keys": "bob other"]
        let result = try parse(text, environment: ["ALICE_KEY": "a"], files: files)
        #expect(result.backends.count == 2)
        #expect(result.keys.count == 2)
        #expect(result.models.count == 1)
        // The limits of the first backend are written as the general ones.
        #expect(result.timeouts(for: result.backends[0]) == Timeouts())
    }

    @Test func aRemarkGoesBeforeEverySetting() throws {
        // On the line itself, or somewhere above it in the same paragraph.
        var isExplained = false
        for line in try projectFile("config/sluice.example.yaml").split(
            separator: "\n", omittingEmptySubsequences: false)
        {
            let text = line.trimmingPrefix { $0 == " " }
            if text.isEmpty { isExplained = false }
            if line.contains("# ") { isExplained = true }
            let isSection = ["timeouts:", "limits:", "log:"].contains(String(line))
            #expect(isExplained || text.isEmpty || isSection, "\(line)")
        }
    }

    /// The example with the settings that are absent by default; see the rule at its top.
    private func uncommented(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            let isRemark = line.hasPrefix("# ") && !line.hasPrefix("#  ")
            return isRemark || !line.hasPrefix("#") ? line : line.dropFirst()
        }
        .joined(separator: "\n")
    }

    /// The node at a path of the table: of lists the first element, of maps of names the first
    /// entry.
    private func find(_ name: String, in root: Node) -> Node? {
        var node = root
        for part in name.split(separator: ".") {
            guard case .map(let entries) = node.content else { return nil }
            let key = part.replacing("[]", with: "")
            guard let entry = key == "*" ? entries.first : entries.first(where: { $0.key == key })
            else { return nil }
            node = entry.value
            if part.hasSuffix("[]") {
                guard case .list(let nodes) = node.content, let first = nodes.first else {
                    return nil
                }
                node = first
            }
        }
        return node
    }

    /// A value in one line, as the table writes it.
    private func flow(_ node: Node) -> String {
        switch node.content {
        case .scalar(let text, let isPlain): isPlain ? text : "\"\(text)\""
        case .list(let nodes): "[" + nodes.map(flow).joined(separator: ", ") + "]"
        case .map(let entries):
            "{" + entries.map { "\($0.key): \(flow($0.value))" }.joined(separator: ", ") + "}"
        }
    }
}

@Suite struct SettingsPage {
    @Test func itsTableIsTheTable() throws {
        let rows = try projectFile("docs/SETTINGS.md").split(separator: "\n").map(String.init)
            .filter { $0.hasPrefix("| `") }
        let expected = Setting.all.map(Self.row)
        for row in expected where !rows.contains(row) { Issue.record("missing: \(row)") }
        for row in rows where !expected.contains(row) { Issue.record("not a setting: \(row)") }
        #expect(rows.count == expected.count, "a row stands twice")
    }

    /// A setting as a row: name, default, type and range, meaning.
    static func row(_ setting: Setting) -> String {
        let standard = setting.standard.map { "`\($0)`" } ?? (setting.isRequired ? "required" : "–")
        let range = setting.type.range
        let values = range.isEmpty ? setting.type.title : "\(setting.type.title): \(range)"
        return "| `\(setting.name)` | \(standard) | \(values) | \(setting.meaning) |"
    }
}
