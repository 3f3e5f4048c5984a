// The sections of the configuration file, from nodes to settings.

internal import Configuration

extension ConfigurationReader {
    /// The whole file.
    mutating func configuration(_ root: Node) -> Configuration {
        var result = Configuration()
        for entry in entries(root, "", section: "") {
            let node = entry.value
            switch entry.key {
            case "listen": result.listen = listen(node)
            case "workers": set(&result.workers, value(node, "workers", parseCount))
            case "backends": result.backends = backends(node)
            case "models": result.models = models(node)
            case "default_model": result.defaultModel = text(node, "default_model")
            case "keys": result.keys = keys(node)
            case "keys_file": result.keysFile = path(node, "keys_file")
            case "state_file": result.stateFile = path(node, "state_file")
            case "cors_origins": result.corsOrigins = texts(node, "cors_origins")
            case "allowed_hosts": result.allowedHosts = texts(node, "allowed_hosts")
            case "reasoning": set(&result.reasoning, choice(node, "reasoning"))
            case "timeouts": readTimeouts(node, &result.timeouts)
            case "keep_alive_interval":
                set(&result.keepAliveInterval, value(node, entry.key, parseDuration))
            case "limits": readLimits(node, &result.limits)
            case "tls": result.tls = tls(node)
            case "log": readLog(node, &result.log)
            case "ui": set(&result.ui, flag(node, "ui"))
            default: preconditionFailure("a setting of the table that is not read: \(entry.key)")
            }
        }
        // After `keys`, wherever in the file they stand, so that the order of the list is known.
        if let file = result.keysFile { readKeysFile(file, into: &result.keys) }
        return result
    }

    /// Sets what could be read; what could not was reported.
    func set<Value>(_ property: inout Value, _ value: Value?) {
        if let value { property = value }
    }

    mutating func choice<Choice>(_ node: Node, _ path: String) -> Choice?
    where Choice: RawRepresentable<String> & CaseIterable {
        value(node, path) { text throws(ValueError) in try parseChoice(text, as: Choice.self) }
    }

    private mutating func listen(_ node: Node) -> [ListenAddress] {
        if case .scalar = node.content {
            remember("listen", node.mark)
            return value(node, "listen", ListenAddress.init).map { [$0] } ?? []
        }
        return elements(node, "listen").compactMap { element in
            value(element.node, element.path, ListenAddress.init)
        }
    }

    private mutating func readTimeouts(_ node: Node, _ timeouts: inout Timeouts) {
        for entry in entries(node, "timeouts", section: "timeouts") {
            guard let override = timeout(entry, "timeouts") else { continue }
            timeouts[override.timeout] = override.limit
        }
    }

    /// One time limit under `timeouts` or `backends[].timeouts`.
    mutating func timeout(_ entry: Entry, _ section: String) -> TimeoutOverride? {
        let path = join(section, entry.key)
        guard let timeout = Timeout(rawValue: entry.key) else { return nil }
        return value(entry.value, path) { text throws(ValueError) in
            let limit = try parseDuration(text)
            guard limit != nil || timeout.mayBeOff else {
                let range = SettingType.duration(timeout.range, mayBeOff: false).range
                throw ValueError("off is not possible here; write \(range)")
            }
            return TimeoutOverride(timeout, limit)
        }
    }

    private mutating func readLimits(_ node: Node, _ limits: inout Limits) {
        for entry in entries(node, "limits", section: "limits") {
            guard let limit = Limit(rawValue: entry.key) else { continue }
            let number = value(entry.value, join("limits", entry.key)) {
                text throws(ValueError) in
                try limit.isSize ? parseSize(text) : parseCount(text)
            }
            if let number { limits[limit] = number }
        }
    }

    private mutating func tls(_ node: Node) -> TLSSettings? {
        let entries = entries(node, "tls", section: "tls")
        require(entries, of: "tls", at: "tls", node.mark)
        var files: [String: String] = [:]
        for entry in entries { files[entry.key] = path(entry.value, join("tls", entry.key)) }
        guard let certificate = files["certificate"], let key = files["key"] else { return nil }
        return TLSSettings(certificate: certificate, key: key)
    }

    private mutating func readLog(_ node: Node, _ log: inout LogSettings) {
        for entry in entries(node, "log", section: "log") {
            let path = join("log", entry.key)
            switch entry.key {
            case "format": set(&log.format, choice(entry.value, path))
            default: set(&log.level, choice(entry.value, path))
            }
        }
    }
}
