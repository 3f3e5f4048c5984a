// Which of several places that could serve a request is the best: a pure comparison.

/// What is known of one place with a free slot.
public struct PlaceOption: Sendable, Equatable {
    /// Whether the model is loaded.
    public var isWarm: Bool
    /// How many of the request's first messages it has served; 0: none that tells conversations
    /// apart.
    public var prefixLength: Int
    /// The slots taken on the backend, all its models together.
    public var running: Int
    /// How many slots there are to take; `nil`: any number.
    public var slots: Int?
    /// The turn at which the backend was chosen last; turns count up, 0 is never.
    public var lastTurn: Int

    /// The facts about one place.
    public init(
        isWarm: Bool = true, prefixLength: Int = 0, load: (running: Int, slots: Int?) = (0, 1),
        lastTurn: Int = 0
    ) {
        self.isWarm = isWarm
        self.prefixLength = prefixLength
        (running, slots) = load
        self.lastTurn = lastTurn
    }

    /// What a server without a limit counts as when it is compared with one that has one.
    ///
    /// As infinite it would always look idle, and its neighbours would get nothing. Servers that
    /// batch (vLLM) run about so many before each of them slows down noticeably.
    public static let nominalSlots = 16

    /// Whether a request should go here rather than to `other`.
    ///
    /// A loaded model saves seconds to minutes; a known prefix saves its evaluation, on a busy
    /// backend too, for slots are separate; then the load is spread. Of equals the one chosen
    /// longest ago comes first, so equals take turns. If they are equal in this too, neither is
    /// better: the order of the ticket decides.
    public func isBetter(than other: PlaceOption) -> Bool {
        if isWarm != other.isWarm { return isWarm }
        if prefixLength != other.prefixLength { return prefixLength > other.prefixLength }
        // Compared as fractions, without dividing.
        let mine = running * max(other.slots ?? Self.nominalSlots, 1)
        let theirs = other.running * max(slots ?? Self.nominalSlots, 1)
        if mine != theirs { return mine < theirs }
        return lastTurn < other.lastTurn
    }
}

/// The index of the best of `options`; `nil` if there are none.
public func bestPlace(of options: [PlaceOption]) -> Int? {
    guard !options.isEmpty else { return nil }
    return options.indices.dropFirst().reduce(0) { best, index in
        options[index].isBetter(than: options[best]) ? index : best
    }
}
