// The rules every streamed answer keeps, whatever the upstream speaks: who comes first, what comes
// last, and when an answer is complete.

internal import JSON

/// Turns what upstream events mean into the chunks of one answer.
package struct StreamWriter: Sendable {
    // First, as a token touches nothing else.
    /// Whether the end was written.
    package private(set) var isDone = false
    package let options: StreamOptions
    /// What all chunks have in common; settled by the first event.
    package private(set) var identity: StreamIdentity
    /// The token counts so far.
    package var usage = UsageTally()

    private var choices: [StreamChoice] = []
    /// Whether the first event has been written.
    package private(set) var hasBegun = false
    private var hasUsageLeft = false
    /// A finish chunk without its closing brace, that waits for llama-server's timings.
    private var heldFinish: [UInt8] = []

    /// OpenAI allows `n` up to 128. An upstream that numbers choices higher is out of its mind.
    private static let choiceLimit = 128

    package init(_ options: StreamOptions) {
        self.options = options
        identity = StreamIdentity(options)
    }

    /// Whether every choice has finished: the answer is complete, however the connection ends.
    package var isComplete: Bool { hasBegun && choices.allSatisfy(\.isFinished) }

    /// Whether plain text of choice `index`, or arguments of its call `call`, may leave as they
    /// come.
    package func isSteady(_ index: Int, call: Int? = nil) -> Bool {
        // Choices are few, and almost always one: a search beats keeping them by number.
        guard heldFinish.isEmpty, let position = choices.firstIndex(where: { $0.index == index })
        else { return false }
        guard let call else { return choices[position].isSteady }
        return choices[position].isSteady(call: call)
    }

    /// Notes arguments of a steady call that left as they came.
    package mutating func note(arguments: Span<UInt8>, call: Int, choice index: Int) {
        guard let position = choices.firstIndex(where: { $0.index == index }) else { return }
        choices[position].note(arguments: arguments, call: call)
    }

    /// Takes over what the first event says about the stream. `id` and `fingerprint` are JSON
    /// strings with their quotes. Later calls change nothing: all chunks are to agree.
    package mutating func settle(id: [UInt8]?, created: [UInt8]?, fingerprint: [UInt8]?) {
        guard !hasBegun else { return }
        if let id, options.clientID == nil { identity.id = id }
        if let created { identity.created = created }
        if let fingerprint { identity.fingerprint = fingerprint }
    }

    /// Writes what one event adds, as one chunk for each piece of it.
    package mutating func write(
        _ deltas: [ChoiceDelta], in envelope: some ChunkEnvelope, into sink: inout ChunkSink
    ) throws(MalformedText) {
        writeHeldFinish(timings: nil, into: &sink)
        let room = max(256, options.eventSplit - envelope.overhead)
        let pieceWriter = PieceWriter(field: options.reasoning, room: room)
        var pieces: [ChunkPiece] = begin(deltas)
        // By their places, for a copy of each would cost more than reading it.
        for i in deltas.indices {
            let position = try position(of: deltas[i].index)
            if !deltas[i].toolCalls.isEmpty, choices[position].callIDPrefix.isEmpty {
                choices[position].callIDPrefix = callIDPrefix(deltas[i].index)
            }
            var own = try choices[position].pieces(of: deltas[i], pieceWriter)
            // Progress of a prompt, for one, comes with a role that has long been said.
            if own.isEmpty, envelope.hasExtras, !choices[position].isFinished {
                own.append(ChunkPiece(deltas[i], StreamChoice.emptyDelta))
            }
            if !own.isEmpty { own[own.count - 1].endsChoice = true }
            // Nearly always it is the only choice.
            if pieces.isEmpty { pieces = own } else { pieces += own }
        }
        guard !pieces.isEmpty else { return }
        pieces[pieces.count - 1].endsEvent = true
        for piece in pieces { write(piece, in: envelope, into: &sink) }
    }

    /// Writes the finish chunk that was held back, with llama-server's `timings` if they are known.
    package mutating func writeHeldFinish(timings: [UInt8]?, into sink: inout ChunkSink) {
        guard !heldFinish.isEmpty else { return }
        sink.beginEvent()
        sink.bytes.append(heldFinish.span)
        if let timings {
            sink.bytes.append(#","timings":"#)
            sink.bytes.appendEscapingLineSeparators(timings.span)
        }
        sink.bytes.append(UInt8(ascii: "}"))
        sink.endEvent()
        heldFinish = []
    }

    /// Writes the texts held back for what was to follow, now that nothing will.
    package mutating func writeHeldTexts(into sink: inout ChunkSink) {
        let envelope = PlainEnvelope(includeUsage: options.includeUsage)
        let pieceWriter = PieceWriter(field: options.reasoning, room: options.eventSplit / 2)
        for i in choices.indices where choices[i].hasRole {
            for delta in choices[i].heldDeltas(pieceWriter) {
                let piece = ChunkPiece(ChoiceDelta(index: choices[i].index, position: 0), delta)
                write(piece, in: envelope, into: &sink)
            }
        }
    }

    /// Writes what completes a complete answer: the usage chunk, unless it has left or was not
    /// asked for, and the end mark.
    package mutating func writeEnd(into sink: inout ChunkSink) {
        guard !isDone else { return }
        writeHeldFinish(timings: nil, into: &sink)
        writeUsage(into: &sink)
        sink.appendDone()
        isDone = true
    }

    /// Writes the usage chunk, if it was asked for, is known and has not left.
    package mutating func writeUsage(into sink: inout ChunkSink) {
        guard options.includeUsage, !hasUsageLeft, let object = usage.usageObject() else { return }
        hasUsageLeft = true
        sink.beginEvent()
        identity.appendOpening(to: &sink.bytes)
        sink.bytes.append(#""choices":[],"usage":"#)
        sink.bytes.appendEscapingLineSeparators(object.span)
        if let timings = usage.timings {
            sink.bytes.append(#","timings":"#)
            sink.bytes.appendEscapingLineSeparators(timings.span)
        }
        sink.bytes.append(UInt8(ascii: "}"))
        sink.endEvent()
    }

    /// Whether the upstream's own usage chunk may leave now: it is asked for, counts everything,
    /// and nothing comes after it. The caller then writes it.
    package mutating func takeTurnForUsage() -> Bool {
        // With several choices llama-server sends one usage chunk for each; ours comes at the end.
        guard options.includeUsage, !hasUsageLeft, isComplete, choices.count == 1 else {
            return false
        }
        hasUsageLeft = true
        return true
    }

    // MARK: - Parts

    /// On the first event: the first chunks of the choices it does not speak of.
    private mutating func begin(_ deltas: [ChoiceDelta]) -> [ChunkPiece] {
        guard !hasBegun else { return [] }
        hasBegun = true
        for index in 0..<min(max(1, options.choiceCount), Self.choiceLimit) { addChoice(index) }
        var pieces: [ChunkPiece] = []
        for i in choices.indices where !deltas.contains(where: { $0.index == choices[i].index }) {
            choices[i].hasRole = true
            let position = deltas.first?.position ?? 0
            let delta = ChoiceDelta(index: choices[i].index, position: position)
            pieces.append(ChunkPiece(delta, StreamChoice.roleDelta))
        }
        return pieces
    }

    private mutating func addChoice(_ index: Int) {
        choices.append(StreamChoice(index: index, thinkTags: options.thinkTags))
    }

    /// What ids made for the calls of choice `index` begin with. They come from the stream's id, so
    /// that the same bytes in give the same bytes out. Not from one that the client gave: it may
    /// give it again.
    private func callIDPrefix(_ index: Int) -> [UInt8] {
        var prefix: [UInt8] = []
        prefix.reserveCapacity(64)
        prefix.append("call_")
        let id =
            options.clientID == nil
            ? identity.id.dropFirst().dropLast() : Array(options.id.utf8)[...]
        let common = "chatcmpl-".utf8
        prefix += id.starts(with: common) ? id.dropFirst(common.count) : id
        prefix.append(UInt8(ascii: "_"))
        if index > 0 {
            prefix.append(decimal: index)
            prefix.append(UInt8(ascii: "_"))
        }
        return prefix
    }

    /// Where choice `index` stands; a server may answer more choices than it was asked for.
    private mutating func position(of index: Int) throws(MalformedText) -> Int {
        if let known = choices.firstIndex(where: { $0.index == index }) { return known }
        guard 0..<Self.choiceLimit ~= index else { throw MalformedText() }
        addChoice(index)
        return choices.count - 1
    }

    /// Writes one chunk, or holds it back if it is a finish chunk whose timings are still to come:
    /// llama-server sends them with the same packet, in the usage chunk.
    private mutating func write(
        _ piece: ChunkPiece, in envelope: some ChunkEnvelope, into sink: inout ChunkSink
    ) {
        let waitsForTimings =
            options.isLlamaServer && !options.includeUsage && piece.finish != nil
            && !envelope.hasTimings
        if waitsForTimings {
            writeHeldFinish(timings: nil, into: &sink)
            heldFinish.reserveCapacity(512)
            envelope.write(piece, identity, into: &heldFinish)
            heldFinish.removeLast()
        } else {
            sink.beginEvent()
            envelope.write(piece, identity, into: &sink.bytes)
            sink.endEvent()
        }
    }
}
