// The state of one choice in a stream, and the pieces an upstream event becomes for it.

internal import JSON

/// One choice of an answer: what of it has left, and what is held back.
struct StreamChoice: Sendable {
    /// The choice's number.
    let index: Int
    /// Whether its first chunk, the one with the role, has left.
    var hasRole = false
    /// Whether its `finish_reason` came. Nothing of it leaves after that.
    private(set) var isFinished = false
    private var content = TextCarry()
    private var reasoning = TextCarry()
    private var calls = ToolCallNormaliser()
    private var thinkTags: ThinkTagSplitter?

    init(index: Int, thinkTags: Bool) {
        self.index = index
        self.thinkTags = thinkTags ? ThinkTagSplitter() : nil
    }

    /// What made ids of calls begin with; empty until it is set.
    var callIDPrefix: [UInt8] {
        get { calls.idPrefix }
        set { calls.idPrefix = newValue }
    }

    /// Whether plain text may leave as it comes: nothing is held back, nothing is looked for.
    var isSteady: Bool {
        hasRole && !isFinished && content.isEmpty && reasoning.isEmpty && thinkTags == nil
    }

    /// Whether arguments of the upstream's call `index` may leave as they come.
    func isSteady(call index: Int) -> Bool { isSteady && calls.isSteady(index) }

    /// Notes arguments of a steady call that left as they came.
    mutating func note(arguments: Span<UInt8>, call index: Int) {
        calls.note(arguments: arguments, index: index)
    }

    /// The pieces of one event, in order; empty if the event adds nothing.
    mutating func pieces(
        of delta: ChoiceDelta, _ writer: PieceWriter
    ) throws(MalformedText) -> [ChunkPiece] {
        guard !isFinished else { return [] }
        var texts = try textDeltas(of: delta, writer)
        if delta.finish != nil { texts += closingDeltas(writer) }
        let addsMembers = !delta.otherMembers.isEmpty
        // Log probabilities may come for a token whose text is held back, and members of other
        // names alone: they need a chunk to stand in. A finish chunk can carry the former.
        if texts.isEmpty, addsMembers || delta.logprobs != nil && delta.finish == nil {
            texts.append(Array(#"{"content":""}"#.utf8))
        }
        if addsMembers { texts[0].insertMembers(delta.otherMembers) }
        // Other choices' first chunks leave with the first event; a choice that nobody announced
        // has its own here.
        var pieces: [ChunkPiece] = []
        pieces.reserveCapacity(texts.count + 2)
        if !hasRole { pieces.append(ChunkPiece(delta, Self.roleDelta)) }
        let first = pieces.count
        hasRole = true
        for text in texts { pieces.append(ChunkPiece(delta, text)) }
        if let finish = delta.finish {
            var last = ChunkPiece(delta, Self.emptyDelta)
            // Ollama says "stop" also after calls, and so do some servers of the OpenAI kind;
            // agents run their calls only on "tool_calls".
            last.finish = finish == .stop && calls.hasCalls ? .toolCalls : finish
            pieces.append(last)
            isFinished = true
        }
        if pieces.count > first { pieces[first].logprobs = delta.logprobs }
        return pieces
    }

    /// The delta of a chunk that says something else.
    static let emptyDelta = Array("{}".utf8)

    /// The first delta of every choice.
    static let roleDelta = Array(#"{"role":"assistant","content":""}"#.utf8)

    /// The deltas of what came: thoughts, then text, then calls, each in chunks of its own, so that
    /// a client sees one kind at a time.
    private mutating func textDeltas(
        of delta: ChoiceDelta, _ writer: PieceWriter
    ) throws(MalformedText) -> [[UInt8]] {
        var deltas: [[UInt8]] = []
        let thoughts = try reasoning.join(delta.reasoning, isRepaired: delta.isRepaired)
        writer.appendReasoning(thoughts, to: &deltas)
        let text = try content.join(delta.content, isRepaired: delta.isRepaired)
        appendContent(text, writer, to: &deltas)
        for fragment in delta.toolCalls {
            guard let normal = try calls.take(fragment) else { continue }
            writer.appendToolCall(normal, to: &deltas)
        }
        return deltas
    }

    /// What must leave before the finish: unfinished characters, unfinished tags, empty arguments.
    private mutating func closingDeltas(_ writer: PieceWriter) -> [[UInt8]] {
        var deltas = heldDeltas(writer)
        for last in calls.finish() { writer.appendToolCall(last, to: &deltas) }
        return deltas
    }

    /// The text held back for what was to follow, when nothing follows.
    mutating func heldDeltas(_ writer: PieceWriter) -> [[UInt8]] {
        var deltas: [[UInt8]] = []
        writer.appendReasoning(reasoning.flush(), to: &deltas)
        appendContent(content.flush(), writer, to: &deltas)
        if let rest = thinkTags?.finish() { append(rest, writer, to: &deltas) }
        return deltas
    }

    /// Appends content as it is, or as what the tags in it say.
    private mutating func appendContent(
        _ text: [UInt8], _ writer: PieceWriter, to deltas: inout [[UInt8]]
    ) {
        guard thinkTags != nil, !text.isEmpty else {
            writer.appendContent(text, to: &deltas)
            return
        }
        append(thinkTags?.take(text) ?? [], writer, to: &deltas)
        if thinkTags?.isThrough == true { thinkTags = nil }
    }

    private func append(
        _ runs: [ThinkTagSplitter.Run], _ writer: PieceWriter, to deltas: inout [[UInt8]]
    ) {
        for run in runs {
            switch run {
            case .reasoning(let text): writer.appendReasoning(text, to: &deltas)
            case .content(let text): writer.appendContent(text, to: &deltas)
            }
        }
    }
}

extension [UInt8] {
    /// Puts members at the end of this object.
    fileprivate mutating func insertMembers(_ members: [UInt8]) {
        guard !members.isEmpty else { return }
        removeLast()
        if count > 1 { append(UInt8(ascii: ",")) }
        append(members.span)
        append(UInt8(ascii: "}"))
    }
}
