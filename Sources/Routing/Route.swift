// The answers of a route table.

public import Configuration

/// One way to serve a request.
public struct Route: Sendable, Equatable {
    /// The configured name of the backend.
    public var backend: String
    /// The name that backend knows the model by.
    public var upstreamModel: String
    /// The name the client asked for, or got by default: the `model` of its answer.
    public var clientModel: String
    /// How the request is to be changed.
    public var rule: ModelRule?
    /// 0 for the model that was asked for; n for the n-th of its fallbacks. Routes of one tier are
    /// a pool; a tier is for when those before it cannot serve.
    public var tier: Int

    /// A route from its parts.
    public init(
        backend: String, upstreamModel: String, clientModel: String, rule: ModelRule? = nil
    ) {
        self.backend = backend
        self.upstreamModel = upstreamModel
        self.clientModel = clientModel
        self.rule = rule
        tier = 0
    }
}

/// Where a request with a model name, or without one, can go.
public enum Resolution: Sendable, Equatable {
    /// To these, the best first; at least one.
    case routes([Route])
    /// Nobody has a model of this name. `nearest` are at most three that may have been meant.
    case unknownModel(name: String, nearest: [String])
    /// The request names no model, no default is configured, and there are several.
    case noModelNamed
    /// The model is known, but no backend that may serve it is up. `nil`: nothing is known at all.
    case noBackend(model: String?)
}

/// One entry of the merged list of models.
public struct ListedModel: Sendable, Equatable {
    /// The name clients can ask for.
    public var id: String
    /// When it was made or loaded, in seconds since 1970: the earliest time any of its backends
    /// tells.
    public var created: Int?
    /// Who a backend says owns it.
    public var ownedBy: String?
    /// The configured names of the backends that serve it now, fallbacks left out.
    public var backends: [String]
}
