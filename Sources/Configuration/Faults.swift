// What does not fit in a configuration whose parts are each well formed: ranges and relations.

internal import Text

/// Something in a configuration that must be mended before it can be used.
public struct Fault: Error, Equatable, Sendable, CustomStringConvertible {
    /// The path of the setting: `backends[1].name`, `models.fast.cap`.
    public let path: String
    /// What is wrong, and what would be right.
    public let message: String

    /// `path: message`.
    public var description: String { path.isEmpty ? message : "\(path): \(message)" }

    /// A fault at a path.
    public init(_ path: String, _ message: String) {
        self.path = path
        self.message = message
    }
}

extension Configuration {
    /// Everything that is wrong within the configuration, in the order of the table of settings.
    public func faults() -> [Fault] {
        var faults = FaultList()
        checkListen(&faults)
        faults.check("workers", workers, in: Ranges.workers)
        for (index, backend) in backends.enumerated() {
            check(backend, at: "backends[\(index)]", earlier: backends[..<index], &faults)
        }
        checkModels(&faults)
        for (index, key) in keys.enumerated() {
            check(key, at: "keys[\(index)]", earlier: keys[..<index], &faults)
        }
        checkAccess(&faults)
        for timeout in Timeout.allCases {
            faults.check("timeouts.\(timeout.rawValue)", timeouts[timeout], in: timeout.range)
        }
        faults.check("keep_alive_interval", keepAliveInterval, in: Ranges.keepAlive)
        checkLimits(&faults)
        if let tls {
            if tls.certificate.isEmpty {
                faults.add("tls.certificate", "is empty; name a PEM file")
            }
            if tls.key.isEmpty { faults.add("tls.key", "is empty; name a PEM file") }
        }
        return faults.list
    }

    /// Set if the network could use this Sluice without a key and nobody said that it may.
    ///
    /// Apart from `faults()`, because the command line has the last word on it.
    public func exposureFault() -> Fault? {
        guard keys.isEmpty, !insecureNoAuth,
            let address = listen.first(where: { !$0.isLocal })
        else { return nil }
        return Fault(
            "listen",
            "\(address) can be reached from other machines, and there are no keys; set keys or "
                + "keys_file, listen on 127.0.0.1, or start with --insecure-no-auth")
    }

    private func checkListen(_ faults: inout FaultList) {
        if listen.isEmpty {
            faults.add("listen", "is empty; name at least one address, like 127.0.0.1:8484")
        }
        for (index, address) in listen.enumerated() where listen[..<index].contains(address) {
            faults.add("listen[\(index)]", "\(address) stands twice; leave one out")
        }
    }

    private func checkAccess(_ faults: inout FaultList) {
        for (index, origin) in corsOrigins.enumerated() where !Self.isOrigin(origin) {
            faults.add(
                "cors_origins[\(index)]",
                "\(quoted(origin)) is not an origin; write it like https://chat.example.com, "
                    + "without a path, or \"*\"")
        }
        for (index, host) in allowedHosts.enumerated() {
            if let (_, port) = splitHostAndPort(host), port == nil { continue }
            faults.add(
                "allowed_hosts[\(index)]",
                "\(quoted(host)) is not a host name; write it like sluice.lan, without scheme and port"
            )
        }
        if let defaultModel, defaultModel.isEmpty || defaultModel.contains("*") {
            faults.add("default_model", "\(quoted(defaultModel)) is not a name; write one model's")
        }
    }

    private func checkLimits(_ faults: inout FaultList) {
        for limit in Limit.allCases {
            let path = "limits.\(limit.rawValue)"
            if limit.isSize {
                faults.check(path, size: limits[limit], in: limit.range)
            } else {
                faults.check(path, limits[limit], in: limit.range)
            }
        }
        if limits.bodies < limits.body {
            faults.add(
                "limits.bodies",
                "\(sizeText(limits.bodies)) for all bodies is less than limits.body "
                    + "(\(sizeText(limits.body))) for one; write \(sizeText(limits.body)) or more")
        }
        if limits.head < limits.requestLine {
            faults.add(
                "limits.head",
                "\(sizeText(limits.head)) is less than limits.request_line "
                    + "(\(sizeText(limits.requestLine))), which is a part of it; write "
                    + "\(sizeText(limits.requestLine)) or more")
        }
    }

    /// Whether it is an origin as browsers send it (RFC 6454, section 6.2), or `*`.
    private static func isOrigin(_ text: String) -> Bool {
        if text == "*" { return true }
        guard let separator = text.firstRange(of: "://") else { return false }
        let host = text[separator.upperBound...]
        return separator.lowerBound > text.startIndex && !host.isEmpty
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } && !host.contains("/")
    }
}

/// Collects faults.
struct FaultList {
    private(set) var list: [Fault] = []

    mutating func add(_ path: String, _ message: String) { list.append(Fault(path, message)) }

    mutating func check(_ path: String, _ value: Int?, in range: ClosedRange<Int>) {
        guard let value, !range.contains(value) else { return }
        let problem = value < range.lowerBound ? "too small" : "too large"
        add(path, "\(value) is \(problem); write \(SettingType.count(range).range)")
    }

    mutating func check(_ path: String, size: Int, in range: ClosedRange<Int>) {
        guard !range.contains(size) else { return }
        let problem = size < range.lowerBound ? "too small" : "too large"
        add(path, "\(sizeText(size)) is \(problem); write \(SettingType.size(range).range)")
    }

    mutating func check(_ path: String, _ value: Duration?, in range: ClosedRange<Duration>) {
        guard let value, !range.contains(value) else { return }
        let problem = value < range.lowerBound ? "too short" : "too long"
        let right = SettingType.duration(range, mayBeOff: false).range
        add(path, "\(durationText(value)) is \(problem); write \(right)")
    }

    /// Names go into log lines, labels of metrics and header fields, so they are kept plain.
    mutating func check(_ path: String, name: String) {
        guard !hasPlainCharacters(name) || name.isEmpty || name.utf8.count > 64 else { return }
        add(
            path,
            "\(quoted(name)) is not a plain name; write 1 to 64 letters, digits, dots, dashes "
                + "or underscores")
    }

    /// A key goes into a header field as it is (RFC 6750, section 2.1, is narrower; real keys are
    /// not).
    mutating func check(_ path: String, key: Secret) {
        if key.text.isEmpty {
            add(path, "is empty; write the key, \"${VARIABLE}\" or file:/path")
        } else if !key.text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) {
            add(path, "has spaces, controls or non-ASCII characters, which no header can carry")
        }
    }
}
