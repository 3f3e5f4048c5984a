// What does not fit in backends, model rules and keys.

extension Configuration {
    func check(
        _ backend: BackendSettings, at path: String, earlier: ArraySlice<BackendSettings>,
        _ faults: inout FaultList
    ) {
        faults.check(path + ".name", name: backend.name)
        if earlier.contains(where: { $0.name == backend.name }) {
            faults.add(
                path + ".name",
                "\(quoted(backend.name)) is already the name of another backend; choose another")
        }
        if let key = backend.key { faults.check(path + ".key", key: key) }
        if backend.ca != nil, backend.url.scheme != .https {
            faults.add(
                path + ".ca", "has no use without TLS; write an https:// url, or leave it out")
        }
        if case .count(let slots) = backend.slots {
            faults.check(path + ".slots", slots, in: Ranges.slots)
        }
        if let models = backend.models, models.isEmpty || models.contains("") {
            faults.add(
                path + ".models",
                "is a list without names; name the models, or leave it out to ask the server")
        }
        for override in backend.timeouts {
            let timeout = override.timeout
            faults.check(
                "\(path).timeouts.\(timeout.rawValue)", override.limit, in: timeout.range)
        }
    }

    func check(
        _ key: KeySettings, at path: String, earlier: ArraySlice<KeySettings>,
        _ faults: inout FaultList
    ) {
        faults.check(path + ".name", name: key.name)
        faults.check(path + ".key", key: key.key)
        for other in earlier {
            if other.name == key.name {
                faults.add(
                    path + ".name",
                    "\(quoted(key.name)) is already the name of another key; choose another")
            }
            // Which of the two is used could not be told, nor counted.
            if other.key == key.key {
                faults.add(
                    path + ".key", "is the same as that of \(quoted(other.name)); make a new one")
            }
        }
        if key.models.isEmpty || key.models.contains("") {
            faults.add(path + ".models", "is a list without names; write [\"*\"] for all models")
        }
        faults.check(path + ".max_in_flight", key.maxInFlight, in: Ranges.quota)
        faults.check(path + ".requests_per_minute", key.requestsPerMinute, in: Ranges.quota)
        faults.check(path + ".tokens_per_day", key.tokensPerDay, in: Ranges.tokens)
    }

    func checkModels(_ faults: inout FaultList) {
        let names = backends.map(\.name)
        for (index, rule) in models.enumerated() {
            let path = "models.\(rule.name)"
            if rule.name.isEmpty {
                faults.add("models", "has an entry without a name; name the model clients ask for")
            }
            if models[..<index].contains(where: { $0.name == rule.name }) {
                faults.add(path, "stands twice; join the two entries")
            }
            for (index, backend) in rule.backends.enumerated() where !names.contains(backend) {
                faults.add(
                    "\(path).backends[\(index)]",
                    "\(quoted(backend)) is not a backend; " + Self.suggestion(backend, names))
            }
            checkTarget(of: rule, at: path, &faults)
            checkFields(of: rule, at: path, &faults)
        }
    }

    private static func suggestion(_ name: String, _ known: [String]) -> String {
        if let nearest = nearestNames(to: name, among: known).first {
            return "did you mean \(nearest)?"
        }
        return known.isEmpty ? "there are none under backends" : "there is \(alternatives(known))"
    }

    /// `model` and `fallback` must lead somewhere, and not round in a circle.
    private func checkTarget(of rule: ModelRule, at path: String, _ faults: inout FaultList) {
        if let target = rule.model {
            if target.isEmpty || target.contains("*") {
                faults.add(
                    path + ".model", "\(quoted(target)) is not a name; write the upstream's name")
            } else if target != rule.name,
                let other = models.first(where: { $0.name == target }),
                let further = other.model, further != target
            {
                // `model` is the upstream's name. Following aliases of aliases would allow circles,
                // and leave it open whose parameter rules hold.
                faults.add(
                    path + ".model",
                    further == rule.name
                        ? "\(quoted(target)) leads back to \(quoted(rule.name)); write the upstream's name"
                        : "\(quoted(target)) is itself an alias; write \(further)")
            }
        }
        for (index, name) in rule.fallback.enumerated() {
            let place = "\(path).fallback[\(index)]"
            if name == rule.name {
                faults.add(place, "\(quoted(name)) falls back to itself; name another model")
            } else if name.isEmpty || name.contains("*") {
                faults.add(place, "\(quoted(name)) is not a name; write one model's")
            }
        }
    }

    /// The fields a rule may not touch: Sluice writes them itself, or would not be able to serve
    /// the request.
    private static let ownFields = ["model", "messages", "stream", "stream_options"]

    private static let tokenLimits = ["max_tokens", "max_completion_tokens", "num_predict"]

    private func checkFields(of rule: ModelRule, at path: String, _ faults: inout FaultList) {
        let groups = [
            ("default", rule.defaults.map(\.name)), ("set", rule.set.map(\.name)),
            ("cap", rule.caps.map(\.name)), ("drop", rule.drop),
        ]
        for (group, names) in groups {
            for name in names where Self.ownFields.contains(name) {
                faults.add(
                    "\(path).\(group)", "\(name) is written by Sluice itself; leave it out")
            }
        }
        for name in rule.drop where rule.set.contains(where: { $0.name == name }) {
            faults.add("\(path).drop", "\(name) is also under set; leave one of the two out")
        }
        for cap in rule.caps {
            if Self.tokenLimits.contains(cap.name), cap.limit < 1 {
                faults.add(
                    "\(path).cap",
                    "\(cap.name) of \(cap.json) lets no answer through; write 1 or more")
            }
            for field in rule.defaults + rule.set where field.name == cap.name {
                if let value = Double(field.json), value > cap.limit {
                    faults.add(
                        "\(path).cap",
                        "\(cap.name) is capped at \(cap.json), but set to \(field.json)")
                }
            }
        }
    }
}
