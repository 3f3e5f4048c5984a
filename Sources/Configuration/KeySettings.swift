// Who may use Sluice, and how much of it.

/// One key and what its holder may do. `nil` limits are no limits.
public struct KeySettings: Sendable, Equatable {
    /// The name in logs and metrics; unique.
    public var name: String
    /// What the client sends as `Authorization: Bearer` or `x-api-key`.
    public var key: Secret
    /// The models it may use, as names or patterns with `*`.
    public var models: [String] = ["*"]
    /// Requests at one time.
    public var maxInFlight: Int?
    /// Requests in a minute.
    public var requestsPerMinute: Int?
    /// Tokens, in and out, in a day.
    public var tokensPerDay: Int?
    /// Which requests go first when a queue has formed.
    public var priority = KeyPriority.interactive
    /// Whether it may look at everybody's requests at `/ui`, and stop them; `nil` leaves it to
    /// `mayWatch`.
    public var ui: Bool?

    /// A key that may use everything.
    public init(name: String, key: Secret) {
        self.name = name
        self.key = key
    }

    /// Whether the holder may look at everybody's requests, and stop them. Who may not use every
    /// model should not see which others use, unless it is said.
    public var mayWatch: Bool { ui ?? models.contains("*") }

    /// Whether the holder may use, and see, the model that clients call `model`.
    public func allows(model: String) -> Bool {
        models.contains { matches(model, pattern: $0) }
    }
}

/// The classes of a queue. Within one, first come is first served.
public enum KeyPriority: String, Sendable, CaseIterable {
    /// Somebody is waiting for the answer.
    case interactive
    /// Nobody is: served when no interactive request waits.
    case batch
}
