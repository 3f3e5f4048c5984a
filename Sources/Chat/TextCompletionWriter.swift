// The rules every streamed text completion keeps, whatever the upstream speaks: what comes last,
// and when an answer is complete.

internal import JSON

/// Turns what upstream events mean into the chunks of one text completion.
package struct TextCompletionWriter: Sendable {
    package let options: StreamOptions
    /// What all chunks have in common; settled by the first event.
    package private(set) var identity: StreamIdentity
    /// The token counts so far.
    package var usage: TextCompletionUsage
    /// Whether the end was written.
    package private(set) var isDone = false

    /// One choice: what of it is held back.
    private struct Choice: Sendable {
        var carry = TextCarry()
        var isFinished = false
    }
    private var choices: [Choice]
    private var unfinishedCount: Int
    private var hasBegun = false

    /// `choicesPerPrompt` is the request's `n`.
    package init(_ options: StreamOptions, choicesPerPrompt: Int) {
        self.options = options
        identity = StreamIdentity(options)
        choices = Array(repeating: Choice(), count: max(1, options.choiceCount))
        unfinishedCount = choices.count
        usage = TextCompletionUsage(
            choiceCount: choices.count, choicesPerPrompt: max(1, choicesPerPrompt))
    }

    /// Whether every choice has finished: the answer is complete, however the connection ends.
    package var isComplete: Bool { unfinishedCount == 0 }

    /// Whether text of choice `index` may leave as it comes.
    package func isSteady(_ index: Int) -> Bool {
        choices.indices.contains(index) && !choices[index].isFinished
            && choices[index].carry.isEmpty
    }

    /// Takes over what the first event says about the stream. `id` and `fingerprint` are JSON
    /// strings with their quotes. Later calls change nothing: all chunks are to agree.
    package mutating func settle(id: [UInt8]?, created: Int?, fingerprint: [UInt8]?) {
        guard !hasBegun else { return }
        hasBegun = true
        if let id { identity.id = id }
        if let created {
            identity.created = []
            identity.created.append(decimal: created)
        }
        if let fingerprint { identity.fingerprint = fingerprint }
    }

    /// Writes what one event adds, as one chunk for each choice it speaks of.
    package mutating func write(
        _ deltas: [TextCompletionDelta], in envelope: some TextCompletionEnvelope,
        into sink: inout ChunkSink
    ) throws(MalformedText) {
        let room = max(256, options.eventSplit - envelope.overhead)
        var pieces: [TextCompletionPiece] = []
        for delta in deltas { try append(delta, room, envelope.hasExtras, to: &pieces) }
        guard !pieces.isEmpty else { return }
        pieces[pieces.count - 1].endsEvent = true
        for piece in pieces { write(piece, in: envelope, into: &sink) }
    }

    /// Writes the texts held back for what was to follow, now that nothing will.
    package mutating func writeHeldTexts(into sink: inout ChunkSink) {
        for index in choices.indices {
            let rest = choices[index].carry.flush()
            guard !rest.isEmpty else { continue }
            let delta = TextCompletionDelta(index: index, position: 0)
            write(TextCompletionPiece(delta, rest), in: PlainTextEnvelope(), into: &sink)
        }
    }

    /// Writes what completes a complete answer: the usage chunk, if it was asked for and is known,
    /// and the end mark.
    package mutating func writeEnd(into sink: inout ChunkSink) {
        guard !isDone else { return }
        isDone = true
        if options.includeUsage, let object = usage.object() {
            sink.beginEvent()
            identity.appendTextOpening(to: &sink.bytes)
            sink.bytes.append(#""choices":[],"usage":"#)
            sink.bytes.appendEscapingLineSeparators(object.span)
            if let timings = usage.timings {
                sink.bytes.append(#","timings":"#)
                sink.bytes.appendEscapingLineSeparators(timings.span)
            }
            sink.bytes.append(UInt8(ascii: "}"))
            sink.endEvent()
        }
        sink.appendDone()
    }

    // MARK: - Parts

    private mutating func append(
        _ delta: TextCompletionDelta, _ room: Int, _ hasExtras: Bool,
        to pieces: inout [TextCompletionPiece]
    ) throws(MalformedText) {
        // An upstream that numbers choices nobody asked for is out of its mind.
        guard choices.indices.contains(delta.index) else { throw MalformedText() }
        guard !choices[delta.index].isFinished else { return }
        var text = try choices[delta.index].carry.join(delta.text, isRepaired: delta.isRepaired)
        if delta.finish != nil {
            text += choices[delta.index].carry.flush()
            choices[delta.index].isFinished = true
            unfinishedCount -= 1
        }
        // Nothing is left to say if all of the text has to wait for its rest.
        let waits = text.isEmpty && !delta.text.isEmpty && delta.finish == nil
        guard !waits || hasExtras || delta.logprobs != nil else { return }
        let ranges = cuts(of: text.span, room: room)
        for (position, range) in ranges.enumerated() {
            var piece = TextCompletionPiece(delta, Array(text[range]))
            if position == 0 { piece.logprobs = delta.logprobs }
            if position == ranges.count - 1 { piece.finish = delta.finish }
            pieces.append(piece)
        }
    }

    private func write(
        _ piece: TextCompletionPiece, in envelope: some TextCompletionEnvelope,
        into sink: inout ChunkSink
    ) {
        sink.beginEvent()
        envelope.write(piece, identity, usage: options.includeUsage, into: &sink.bytes)
        sink.endEvent()
    }
}
