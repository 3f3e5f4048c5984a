// How much a backend can do at once, and how many models it holds.

public import Configuration

/// How many requests a backend may have at once.
public enum SlotRule: Sendable, Hashable {
    /// So many, whatever their models.
    case perBackend(Int)
    /// So many of each model.
    case perModel(Int)
    /// Any number: the server has a queue of its own that we trust.
    case unlimited

    /// The rule for a backend by its kind.
    ///
    /// `discovered` is what the server says of itself: `total_slots` of llama-server's `/props`.
    /// Ollama's `OLLAMA_NUM_PARALLEL` holds for each model and cannot be asked for; its default
    /// is 1 (wire notes on Ollama, section 3).
    public init(_ kind: BackendKind, _ slots: Slots, discovered: Int? = nil) {
        switch (kind, slots) {
        case (.ollama, .auto): self = .perModel(1)
        case (.ollama, .count(let count)): self = .perModel(max(count, 1))
        case (_, .count(let count)): self = .perBackend(max(count, 1))
        case (.llamaServer, .auto):
            self = discovered.map { .perBackend(max($0, 1)) } ?? .unlimited
        case (.openai, .auto), (.auto, .auto): self = .unlimited
        }
    }
}

/// One backend as the admission sees it.
public struct BackendCapacity: Sendable, Equatable {
    /// Its configured name.
    public var name: String
    /// How many requests it may have at once.
    public var slots: SlotRule
    /// How many models it can hold at once, if it swaps them; `nil`: it does not, or nobody knows.
    /// Requests are grouped by model only where this is known.
    public var residentModels: Int?
    /// How long one waits for a model that it loads, in nanoseconds; `nil`: as for all.
    public var loadWait: Int64?

    /// A backend that holds all its models.
    public init(name: String, slots: SlotRule, residentModels: Int? = nil) {
        self.name = name
        self.slots = slots
        self.residentModels = residentModels
    }
}

/// Learns from lists of loaded models (`/api/ps`, the router's `/v1/models`) whether a server swaps
/// them, for it depends on memory and nobody configures it.
public struct Residency: Sendable, Equatable {
    /// How many models the server seems to hold at once; `nil` as long as it was not seen to swap.
    public private(set) var limit: Int?
    /// The models of the last list that had any.
    private var loaded: Set<String> = []
    /// Whether nothing at all was loaded since then.
    private var wasEmpty = false

    /// Nothing seen yet.
    public init() {}

    /// Takes a list.
    ///
    /// A model that is gone when another has come was put out for it. One that is gone alone has
    /// only expired, or makes room and is not followed yet: an empty list says nothing. Should a
    /// model expire and another come by chance, the limit is too low until more models are seen
    /// together, and costs no more than that requests are grouped; a limit that is known is not
    /// lowered by such a chance.
    public mutating func observe(_ models: [String]) {
        let now = Set(models)
        guard !now.isEmpty else {
            wasEmpty = true
            return
        }
        let hasSwapped = !loaded.subtracting(now).isEmpty && !now.subtracting(loaded).isEmpty
        let isSure = hasSwapped && (!wasEmpty || limit == nil)
        if isSure || limit != nil { limit = max(now.count, isSure ? 1 : limit ?? 1) }
        (loaded, wasEmpty) = (now, false)
    }
}
