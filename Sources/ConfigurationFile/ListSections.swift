// The sections that hold many: backends, models and keys.

internal import Configuration

extension ConfigurationReader {
    mutating func backends(_ node: Node) -> [BackendSettings] {
        elements(node, "backends").compactMap { backend($0.node, $0.path) }
    }

    private mutating func backend(_ node: Node, _ path: String) -> BackendSettings? {
        let section = "backends[]"
        let entries = entries(node, path, section: section)
        require(entries, of: section, at: path, node.mark)
        var values: [String: Node] = [:]
        for entry in entries { values[entry.key] = entry.value }
        // Every value is read even if a required one is missing, so that all mistakes are found.
        let name = values["name"].flatMap { text($0, path + ".name") }
        let url = values["url"].flatMap { value($0, path + ".url", BackendURL.init) }
        let standIn = try? BackendURL("http://127.0.0.1")  // For a backend that is left out below.
        guard let place = url ?? standIn else { return nil }
        var backend = BackendSettings(name: name ?? "", url: place)
        for entry in entries { read(entry, path, &backend) }
        return name == nil || url == nil ? nil : backend
    }

    private mutating func read(
        _ entry: Entry, _ section: String, _ backend: inout BackendSettings
    ) {
        let path = join(section, entry.key)
        let node = entry.value
        switch entry.key {
        case "kind": set(&backend.kind, choice(node, path))
        case "key": backend.key = secret(node, path)
        case "ca": backend.ca = self.path(node, path)
        case "slots":
            let slots = value(node, path) { text throws(ValueError) -> Slots in
                if text == "auto" { return .auto }
                guard let count = try? parseCount(text) else {  // Its message does not know `auto`.
                    throw ValueError("\(quoted(text)) is not a number of slots; write auto or 4")
                }
                return .count(count)
            }
            set(&backend.slots, slots)
        case "models": backend.models = texts(node, path)
        case "developer_role": set(&backend.developerRole, choice(node, path))
        case "timeouts":
            backend.timeouts = entries(node, path, section: "backends[].timeouts")
                .compactMap { timeout($0, path) }
        default: break  // `name` and `url` were read before.
        }
    }

    mutating func models(_ node: Node) -> [ModelRule] {
        entries(node, "models").map { entry in
            let path = join("models", entry.key)
            var rule = ModelRule(name: entry.key)
            // A name without a rule is a model that is only to be known: `qwen3:`.
            guard !entry.value.isNull else { return rule }
            for part in entries(entry.value, path, section: "models.*") {
                read(part, path, &rule)
            }
            return rule
        }
    }

    private mutating func read(_ entry: Entry, _ section: String, _ rule: inout ModelRule) {
        let path = join(section, entry.key)
        let node = entry.value
        switch entry.key {
        case "backends": rule.backends = texts(node, path)
        case "model": rule.model = text(node, path)
        case "fallback": rule.fallback = texts(node, path)
        case "think_tags": set(&rule.thinkTags, flag(node, path))
        case "default": rule.defaults = fields(node, path)
        case "set": rule.set = fields(node, path)
        case "cap":
            rule.caps = entries(node, path).compactMap { entry in
                guard let json = jsonNumber(entry.value, join(path, entry.key)),
                    let limit = Double(json)
                else { return nil }
                return FieldCap(name: entry.key, limit: limit, json: json)
            }
        default: rule.drop = texts(node, path)
        }
    }

    private mutating func fields(_ node: Node, _ path: String) -> [JSONField] {
        entries(node, path).compactMap { entry in
            json(entry.value, join(path, entry.key)).map { JSONField(name: entry.key, json: $0) }
        }
    }

    mutating func keys(_ node: Node) -> [KeySettings] {
        elements(node, "keys").compactMap { element in
            let entries = entries(element.node, element.path, section: "keys[]")
            require(entries, of: "keys[]", at: element.path, element.node.mark)
            var key = KeySettings(name: "", key: Secret(""))
            for entry in entries { read(entry, element.path, &key) }
            return key
        }
    }

    private mutating func read(_ entry: Entry, _ section: String, _ key: inout KeySettings) {
        let path = join(section, entry.key)
        let node = entry.value
        switch entry.key {
        case "name": set(&key.name, text(node, path))
        case "key": set(&key.key, secret(node, path))
        case "models": key.models = texts(node, path)
        case "max_in_flight": key.maxInFlight = value(node, path, parseCount)
        case "requests_per_minute": key.requestsPerMinute = value(node, path, parseCount)
        case "tokens_per_day": key.tokensPerDay = value(node, path, parseCount)
        case "ui": set(&key.ui, flag(node, path))
        default: set(&key.priority, choice(node, path))
        }
    }

    /// Adds the keys of a keys file: one `name key` a line; empty lines and lines that begin with
    /// `#` say nothing.
    mutating func readKeysFile(_ file: String, into keys: inout [KeySettings]) {
        let bytes: [UInt8]
        do {
            bytes = try readFile(file)
        } catch {
            report(
                mark(of: "keys_file"), "keys_file",
                "\(quoted(file)) cannot be read: \(error); name a file of keys, or leave it out")
            return
        }
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            let isBlank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
            let words = line.split(whereSeparator: isBlank)
            guard let first = words.first, first.first != UInt8(ascii: "#") else { continue }
            let place = Mark(
                file: file, line: index + 1, column: first.startIndex - line.startIndex + 1)
            guard words.count == 2 else {
                // The line is not shown: one of its words is a key.
                report(
                    place, "keys_file", "has \(words.count) words in a line; write a name and a key"
                )
                continue
            }
            remember("keys[\(keys.count)]", place)
            keys.append(
                KeySettings(
                    name: String(decoding: words[0], as: UTF8.self),
                    key: Secret(String(decoding: words[1], as: UTF8.self))))
        }
    }
}
