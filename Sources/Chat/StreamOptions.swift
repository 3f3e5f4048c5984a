// What the caller decides about one streamed answer before its first byte.

/// The members under which a model's thoughts leave.
public enum ReasoningField: String, Sendable, Equatable, CaseIterable {
    /// `reasoning_content`, as llama-server and DeepSeek say.
    case reasoningContent = "reasoning_content"
    /// `reasoning`, as OpenRouter and newer vLLM say.
    case reasoning
    /// Both members, with the same text.
    case both
    /// Neither: thoughts are dropped.
    case none
}

/// What the normalised stream of one answer looks like.
public struct StreamOptions: Sendable {
    /// The `id` of every chunk unless the upstream gives one: `chatcmpl-` and more.
    public var id: String
    /// The `id` of every chunk, whatever the upstream gives: the one by which the client tells its
    /// requests apart. `nil` where it has none.
    public var clientID: String?
    /// The `created` of every chunk unless the upstream gives one, in Unix seconds.
    public var created: Int
    /// The `model` of every chunk: the name the client asked for.
    public var model: String
    /// Whether the client asked for the usage chunk (`stream_options.include_usage`), or needs it
    /// because a completion is assembled from the chunks.
    public var includeUsage = false
    /// How many choices the client asked for (`n`).
    public var choiceCount = 1
    /// Under which member thoughts leave.
    public var reasoning = ReasoningField.reasoningContent
    /// Whether a leading `<think>…</think>` inside the content becomes reasoning.
    public var thinkTags = false
    /// Whether the upstream is llama-server, asked for usage. It then puts the closing `timings`
    /// into the usage chunk (wire notes of llama-server, section 2); a client that did not ask for
    /// that chunk gets them in the finish chunk, where llama-server itself would put them.
    public var isLlamaServer = false
    /// The most tokens the answer may have, where the answer does not tell that this was its end.
    public var tokenLimit: Int?
    /// The size in bytes above which an event is cut into several deltas. Readers on aiohttp refuse
    /// lines of 512 KiB, older ones of 128 KiB.
    public var eventSplit = Self.defaultEventSplit

    /// 256 KiB.
    public static let defaultEventSplit = 256 * 1024

    /// Makes options with the default of every other field.
    public init(id: String, created: Int, model: String) {
        self.id = id
        self.created = created
        self.model = model
    }
}
