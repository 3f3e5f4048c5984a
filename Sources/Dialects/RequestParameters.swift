// The fields of a request once the route's rules have been applied, for writers of every kind.

import Chat
import JSON

/// The top-level fields to be sent, each once.
struct RequestParameters {
    /// One field.
    struct Entry {
        let name: String
        var value: JSONText
        /// Which of the client's members this is or replaces; `nil` for a field the client did not
        /// send.
        let member: Int?
        /// Whether `value` is the client's own and so lies in its body.
        var isClients: Bool
        /// Whether the client or the rule wrote this field inside Ollama's `options`.
        let isOption: Bool

        /// The field's name as an error or a report writes it.
        var path: String { isOption ? "options.\(name)" : name }
    }

    private(set) var entries: [Entry] = []

    /// The names of one and the same thing: a rule for one is a rule for all.
    private static let groups: [Set<String>] = [
        ["max_tokens", "max_completion_tokens", "n_predict", "num_predict"],
        ["reasoning_effort", "think"],
    ]
    /// What no rule may touch: these decide how the proxy itself works.
    private static let ownFields: Set<String> = [
        "model", "messages", "prompt", "input", "encoding_format", "stream", "stream_options",
    ]

    /// Applies `target`'s rules to `request`. For Ollama, members of `options` are taken for
    /// fields.
    init(_ request: some CheckedRequest, _ target: RequestTarget) {
        let opensOptions = target.kind == .ollama
        entries.reserveCapacity(request.members.count)
        for (index, member) in request.members.enumerated() where request.isLast(index) {
            let name = request.names[index]
            // Null means absent. Where the client's bytes are sent on it stays in them; here it
            // would only hide an option.
            if opensOptions, member.value.isNull { continue }
            if opensOptions, name == "options", member.value.kind == .object {
                add(options: member.value, member: index)
            } else {
                entries.append(
                    Entry(
                        name: name, value: member.value, member: index, isClients: true,
                        isOption: false))
            }
        }
        if opensOptions { removeShadowedOptions() }
        if target.rules.isEmpty { return }
        apply(opensOptions ? target.rules.openingOptions() : target.rules)
    }

    /// The entry for `name`, unless its value is null.
    subscript(name: String) -> Entry? {
        for index in entries.indices
        where entries[index].name == name && !entries[index].value.isNull {
            return entries[index]
        }
        return nil
    }

    /// The fields that limit the number of tokens: null ones left out.
    var tokenLimits: [Entry] {
        entries.filter { Self.group(of: "max_tokens").contains($0.name) && !$0.value.isNull }
    }

    /// Takes the members of Ollama's `options` for fields, so that a rule reaches them too. The
    /// last duplicate counts.
    private mutating func add(options: JSONText, member: Int) {
        var seen: [String: Int] = [:]
        for option in options.members {
            guard let name = option.key.string else { continue }
            let entry = Entry(
                name: name, value: option.value, member: member, isClients: true, isOption: true)
            if let index = seen[name] {
                entries[index] = entry
            } else {
                seen[name] = entries.count
                entries.append(entry)
            }
        }
        entries.removeAll { $0.isOption && $0.value.isNull }
    }

    /// A field of OpenAI's API goes before an option of the same name.
    private mutating func removeShadowedOptions() {
        let names = Set(entries.filter { !$0.isOption }.map(\.name))
        entries.removeAll { $0.isOption && names.contains($0.name) }
    }

    /// All names of the thing that `name` is a name of.
    private static func group(of name: String) -> Set<String> {
        groups.first { $0.contains(name) } ?? [name]
    }
}

// The rules, in the order in which they apply.
extension RequestParameters {
    private mutating func apply(_ rules: ParameterRules) {
        for name in rules.drops where !Self.ownFields.contains(name) {
            remove(Self.group(of: name))
        }
        for setting in rules.defaults where !Self.ownFields.contains(setting.name) {
            let group = Self.group(of: setting.name)
            let isSent = entries.contains { group.contains($0.name) && !$0.value.isNull }
            if !isSent { put(setting) }
        }
        // A value that is set stands alone: the client's, under another name, must not outdo it.
        for setting in rules.sets where !Self.ownFields.contains(setting.name) {
            remove(Self.group(of: setting.name).subtracting([setting.name]))
            put(setting)
        }
        for setting in rules.caps where !Self.ownFields.contains(setting.name) {
            cap(setting)
        }
    }

    private mutating func remove(_ names: Set<String>) {
        entries.removeAll {
            names.contains($0.name) || $0.isOption && names.contains("options")
        }
    }

    /// Gives a field its value where it stands, or at the end.
    private mutating func put(_ setting: ParameterRules.Setting) {
        if let index = entries.firstIndex(where: { $0.name == setting.name }) {
            entries[index].value = setting.value
            entries[index].isClients = false
        } else {
            entries.append(
                Entry(
                    name: setting.name, value: setting.value, member: nil, isClients: false,
                    isOption: setting.isOption))
        }
    }

    /// Bounds a number. For tokens every name the limit goes by is bounded, since the backend may
    /// read any of them.
    private mutating func cap(_ setting: ParameterRules.Setting) {
        guard let bound = setting.value.double else { return }
        let group = Self.group(of: setting.name)
        let isTokenLimit = group.contains("max_tokens")
        var isBounded = false
        for index in entries.indices where group.contains(entries[index].name) {
            guard let value = entries[index].value.double else { continue }
            isBounded = true
            // No limit at all (-1) is over every bound.
            guard value > bound || isTokenLimit && value < 0 else { continue }
            entries[index].value = setting.value
            entries[index].isClients = false
        }
        if isTokenLimit, !isBounded { put(setting) }
    }
}

extension ParameterRules {
    /// The rules with the members of an `options` object as settings of their own.
    fileprivate func openingOptions() -> ParameterRules {
        func open(_ settings: [Setting]) -> [Setting] {
            settings.flatMap { setting in
                guard setting.name == "options", setting.value.kind == .object else {
                    return [setting]
                }
                return setting.value.members.map {
                    var option = Setting($0.key.string ?? "", $0.value)
                    option.isOption = true
                    return option
                }
            }
        }
        var rules = self
        rules.defaults = open(defaults)
        rules.sets = open(sets)
        rules.caps = open(caps)
        return rules
    }
}
