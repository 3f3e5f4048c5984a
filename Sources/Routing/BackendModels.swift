// What is known of the backends: the facts a route table is made from.

public import Configuration

/// One backend and the models it was found to have.
public struct BackendModels: Sendable, Equatable {
    /// Its configured name.
    public var name: String
    /// What it speaks; never `auto` once it has answered.
    public var kind: BackendKind
    /// Whether requests can be sent to it. The models of a backend that is down are still known.
    public var isUp: Bool
    /// The models it listed last, in its order; replaced by a fixed list in the configuration.
    public var models: [ModelInfo]

    /// The facts about one backend.
    public init(name: String, kind: BackendKind, isUp: Bool, models: [ModelInfo]) {
        self.name = name
        self.kind = kind
        self.isUp = isUp
        self.models = models
    }

    /// The id under which this backend serves what a client calls `name`; `nil` if it does not.
    ///
    /// Ollama adds `:latest` to a name without a tag, so for it the two are one name.
    func exactID(of name: String) -> String? {
        if models.contains(where: { $0.id == name }) { return name }
        guard kind == .ollama else { return nil }
        let twin = ollamaTwin(of: name)
        return models.contains { $0.id == twin } ? twin : nil
    }

    /// The id of the model that has `name` among its aliases.
    func aliasedID(of name: String) -> String? {
        models.first { $0.aliases.contains(name) }?.id
    }
}

/// The other spelling of a name whose tag is `latest`: Ollama reads a name without a tag so.
func ollamaTwin(of name: String) -> String {
    name.hasSuffix(":latest") ? String(name.dropLast(7)) : name + ":latest"
}

/// One model as a backend lists it.
public struct ModelInfo: Sendable, Equatable {
    /// The name the backend knows it by.
    public var id: String
    /// When it was made or loaded, in seconds since 1970, if the backend says so.
    public var created: Int?
    /// Who the backend says owns it: `llamacpp`, `library`.
    public var ownedBy: String?
    /// Further names the backend lists for it.
    public var aliases: [String]

    /// The facts about one model.
    public init(id: String, created: Int? = nil, ownedBy: String? = nil, aliases: [String] = []) {
        self.id = id
        self.created = created
        self.ownedBy = ownedBy
        self.aliases = aliases
    }
}
