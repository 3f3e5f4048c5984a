// A chat request as the client wrote it: checked once, then read in place.

public import JSON

/// The body of `POST /v1/chat/completions`, known to be well formed and of the right types.
///
/// Nothing is converted: fields are views into the client's bytes, so that a writer can send on
/// what it does not change. Values mean what OpenAI's reference says; `null` means absent, and of
/// duplicate keys the last one counts.
public final class ChatRequest: CheckedRequest {
    /// The whole body.
    public let json: JSONText
    /// The top-level members in the client's order, duplicates included.
    public let members: [JSONText.Member]
    /// The names of `members`, escapes undone.
    public let names: [String]
    /// Where each message stands in the body; never empty.
    public let messageRanges: [Range<Int>]
    /// Where a message's role is `"developer"`: the value with its quotes.
    public let developerRoles: [Range<Int>]
    /// What llama-server could not read in the messages, and what says the same there.
    public let repairs: [MessageRepair]
    /// Whether any message has an image part.
    public let hasImages: Bool
    /// Whether any message has a sound part.
    public let hasAudio: Bool

    /// Whether a name stands there twice; for most requests no.
    private let hasDuplicates: Bool
    /// By name, if there are so many members that looking through them would take long.
    private let lastIndex: [String: Int]?

    /// The most top-level fields a body may have. OpenAI's reference knows 37, llama-server some 70
    /// more; a body full of one-byte fields would cost twenty times its size.
    public static let fieldLimit = 1000

    /// How deep a body may be nested.
    public static let depthLimit = 128

    /// Checks `body`: JSON, UTF-8, depth, and the type of every field OpenAI knows.
    ///
    /// - Throws: `invalid_json`, `missing_field` or `invalid_value`, the latter two with `param`.
    public init(reading body: [UInt8]) throws(APIError) {
        let scan = try RequestScan(body)
        json = scan.json
        members = scan.members
        names = scan.names
        hasDuplicates = scan.hasDuplicates
        lastIndex =
            names.count <= RequestScan.fewMembers
            ? nil
            : Dictionary(zip(names, names.indices), uniquingKeysWith: { _, later in later })
        messageRanges = scan.messages.messages
        developerRoles = scan.messages.developerRoles
        repairs = scan.messages.repairs
        hasImages = scan.messages.hasImages
        hasAudio = scan.messages.hasAudio
        if scan.hasFaultyField { try checkFields() }
    }

    /// Throws for the first field, in the alphabet's order, that is not of its type.
    private func checkFields() throws(APIError) {
        var first: (name: String, fault: APIError)?
        for (index, name) in names.enumerated() {
            guard let place = Self.fieldNames.place(of: name), isLast(index) else { continue }
            let field = Self.fields[place]
            let value = members[index].value
            guard !value.isNull, first.map({ field.name < $0.name }) ?? true else { continue }
            do { try field.check(value) } catch { first = (field.name, error) }
        }
        if let first { throw first.fault }
    }

    /// The value of a top-level field; `nil` if it is absent or null.
    public subscript(field: String) -> JSONText? {
        guard let index = index(of: field) else { return nil }
        let value = members[index].value
        return value.isNull ? nil : value
    }

    /// Whether the member at `index` is the one that counts for its name.
    public func isLast(_ index: Int) -> Bool {
        !hasDuplicates || self.index(of: names[index]) == index
    }

    private func index(of name: String) -> Int? {
        if let lastIndex { return lastIndex[name] }
        return names.lastIndex(of: name)
    }
}

// What routing, the session and the answer need to know.
extension ChatRequest {
    /// The model asked for; `nil` leaves it to `default_model`.
    public var model: String? { self["model"]?.string }

    /// Whether the answer is to be a stream of events. OpenAI's default is no.
    public var isStream: Bool { self["stream"]?.bool ?? false }

    /// Whether a stream is to end with a chunk that carries the usage.
    public var includesUsage: Bool { self["stream_options"]?["include_usage"]?.bool ?? false }

    /// How many choices are asked for (`n`): 1 or more. Each takes a slot.
    public var choiceCount: Int { self["n"]?.int ?? 1 }

    /// Whether each token's log probability is asked for.
    public var wantsLogprobs: Bool { self["logprobs"]?.bool ?? false }

    /// Whether the model may call tools: some are declared, and `tool_choice` is not `"none"`.
    public var hasTools: Bool {
        guard self["tools"]?.elements.isEmpty == false else { return false }
        return self["tool_choice"]?.isString("none") != true
    }

    /// OpenAI's `service_tier`, such as `"priority"` or `"flex"`.
    public var serviceTier: String? { self["service_tier"]?.string }

    /// The most tokens the answer may have; `nil` without a limit. Of two limits the smaller one
    /// holds.
    public var tokenLimit: Int? {
        ["max_tokens", "max_completion_tokens"].compactMap { self[$0]?.int }.filter { $0 > 0 }
            .min()
    }

    /// The messages: an array of at least one object with a `role`.
    public var messages: JSONText? { self["messages"] }
}
