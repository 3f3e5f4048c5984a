// Brings the tool calls of one choice into the one form that every client understands.

internal import JSON

/// A tool call, or a piece of one, as an upstream sent it. All texts are escaped JSON without
/// quotes.
package struct ToolCallFragment: Sendable {
    /// The upstream's own number of the call, which may be missing, repeated or leave gaps.
    package var index: Int?
    /// The call's id, unless missing or empty.
    package var id: [UInt8]?
    /// The function's name, unless missing or empty.
    package var name: [UInt8]?
    /// The text of the arguments, or a piece of it; empty if there is none.
    package var arguments: [UInt8] = []
    /// Whether this is a whole call, as Ollama sends them, never the continuation of another.
    package var isWhole = false
    /// The entry as it stands, if its members are exactly those of a first or a later fragment.
    package var verbatim: [UInt8]?
    /// Whether bytes of cut characters were replaced in `arguments`: see `TextCarry`.
    package var isRepaired = false

    package init() {}
}

/// A fragment in the normal form: `id` and `name` on a call's first fragment and only there.
package struct NormalToolCallFragment: Sendable {
    package var index: Int
    package var id: [UInt8]?
    package var name: [UInt8]?
    package var arguments: [UInt8]
    /// The upstream's own bytes, where they already have the normal form.
    package var verbatim: [UInt8]?
}

/// The calls of one choice: unique indexes without gaps, ids, arguments as text.
///
/// Upstreams number parallel calls all 0 (older Ollama, harmony), leave ids out, repeat names with
/// every fragment, or skip numbers. A client that adds fragments up by `index` loses calls then.
package struct ToolCallNormaliser: Sendable {
    private struct Call: Sendable {
        var upstreamIndex: Int?
        var id: [UInt8]?
        var name: [UInt8]?
        /// What came before the name did.
        var waiting: [UInt8] = []
        /// The number it left with, once it has.
        var index: Int?
        var hasArguments = false
        var tracker = ToolCallArgumentsTracker()
        var carry = TextCarry()
    }

    /// Far beyond any answer; without a limit an upstream could make each fragment cost more than
    /// the last.
    private static let callLimit = 1024
    /// How many bytes of arguments may come before the name of their function.
    private static let waitingLimit = 65_536

    private var calls: [Call] = []
    private var startedCount = 0
    /// What made ids begin with; the call's index follows. Escaped JSON text, unique among streams
    /// and choices; to be set before the first call.
    package var idPrefix: [UInt8] = []

    package init() {}

    /// Whether there was a call.
    package var hasCalls: Bool { !calls.isEmpty }

    /// What leaves for a fragment: at most one, nothing as long as the call has no name.
    package mutating func take(
        _ fragment: ToolCallFragment
    ) throws(MalformedText) -> NormalToolCallFragment? {
        let position = position(for: fragment)
        guard calls.count <= Self.callLimit else { throw MalformedText() }
        let text = try calls[position].carry.join(
            fragment.arguments, isRepaired: fragment.isRepaired)
        calls[position].tracker.take(text.span)
        if calls[position].id == nil { calls[position].id = fragment.id }
        if calls[position].name == nil { calls[position].name = fragment.name }
        let isVerbatim = text == fragment.arguments && fragment.verbatim != nil
        if let index = calls[position].index {
            if !text.isEmpty { calls[position].hasArguments = true }
            var normal = NormalToolCallFragment(index: index, arguments: text)
            let isNormal = fragment.index == index && fragment.id == nil && fragment.name == nil
            if isVerbatim, isNormal { normal.verbatim = fragment.verbatim }
            return normal
        }
        calls[position].waiting += text
        guard calls[position].name != nil else {
            guard calls[position].waiting.count <= Self.waitingLimit else { throw MalformedText() }
            return nil
        }
        let hadToWait = calls[position].waiting.count != text.count
        let wholeWithoutArguments = fragment.isWhole && calls[position].waiting.isEmpty
        if wholeWithoutArguments { calls[position].waiting = Array("{}".utf8) }
        var normal = start(position)
        let isNormal = fragment.index == normal.index && fragment.id == normal.id
        if isVerbatim, isNormal, !hadToWait, !wholeWithoutArguments {
            normal.verbatim = fragment.verbatim
        }
        return normal
    }

    /// Whether arguments of the upstream's call `index` may leave as they come: the call has begun,
    /// has the same number here, and nothing of it is held back.
    package func isSteady(_ index: Int) -> Bool {
        guard let call = calls.last(where: { $0.upstreamIndex == index }) else { return false }
        return call.index == index && call.hasArguments && call.carry.isEmpty
    }

    /// Notes arguments of a steady call that left as they came.
    package mutating func note(arguments: Span<UInt8>, index: Int) {
        guard let position = calls.lastIndex(where: { $0.upstreamIndex == index }) else { return }
        calls[position].tracker.take(arguments)
    }

    /// What is missing when the choice ends: unfinished characters, `{}` for calls without
    /// arguments, and calls that never got a name.
    package mutating func finish() -> [NormalToolCallFragment] {
        var last: [NormalToolCallFragment] = []
        for position in calls.indices {
            let rest = calls[position].carry.flush()
            guard let index = calls[position].index else {
                calls[position].waiting += rest
                if calls[position].waiting.isEmpty {
                    calls[position].waiting = Array("{}".utf8)
                }
                last.append(start(position))
                continue
            }
            if !rest.isEmpty {
                last.append(NormalToolCallFragment(index: index, arguments: rest))
            } else if !calls[position].hasArguments {
                last.append(NormalToolCallFragment(index: index, arguments: Array("{}".utf8)))
            }
            calls[position].hasArguments = true
        }
        return last
    }

    // MARK: - Parts

    private mutating func start(_ position: Int) -> NormalToolCallFragment {
        let index = startedCount
        startedCount += 1
        calls[position].index = index
        calls[position].hasArguments = !calls[position].waiting.isEmpty
        let isTaken = calls.indices.contains {
            $0 != position && calls[$0].id == calls[position].id && calls[$0].index != nil
        }
        if calls[position].id == nil || isTaken {
            var id = idPrefix
            id.append(decimal: index)
            calls[position].id = id
        }
        return NormalToolCallFragment(
            index: index, id: calls[position].id, name: calls[position].name ?? [],
            arguments: calls[position].waiting)
    }

    /// The call a fragment belongs to; a new one if it begins one.
    private mutating func position(for fragment: ToolCallFragment) -> Int {
        if let known = knownPosition(fragment), !beginsAnother(fragment, than: calls[known]) {
            return known
        }
        calls.append(Call(upstreamIndex: fragment.index))
        return calls.count - 1
    }

    private func knownPosition(_ fragment: ToolCallFragment) -> Int? {
        if fragment.isWhole { return nil }
        if let index = fragment.index {
            return calls.lastIndex { $0.upstreamIndex == index }
        }
        if let id = fragment.id, let known = calls.lastIndex(where: { $0.id == id }) {
            return known
        }
        return calls.indices.last
    }

    /// Whether a fragment that points at `call` in truth begins a call of its own.
    ///
    /// A call needs a name, so a new id alone (some servers make one for every fragment) begins
    /// none. The same name without an id is a repetition while the arguments are incomplete.
    private func beginsAnother(_ fragment: ToolCallFragment, than call: Call) -> Bool {
        guard let name = fragment.name, let callName = call.name else { return false }
        if let id = fragment.id, let callID = call.id { return id != callID }
        return name != callName || call.tracker.isComplete
    }
}
