// The stream of `POST /v1/messages`, event by event.

internal import Chat
internal import JSON

/// Takes the events of one message and writes the client's: each as it came, with what Anthropic's
/// clients need and some servers leave out.
///
/// llama-server begins again or not at all when its first token is half a character, begins a block
/// a second time where its last event still has text, ends all blocks only at the very end, and
/// calls a stop sequence the end of a turn (tools/server/server-task.cpp).
struct MessagesStream: DoorStream {
    let options: DoorOptions
    var dataEvents = 0
    private(set) var isDone = false
    private var promptTokens: Int?
    private var completionTokens: Int?
    private var hasBegun = false
    /// The blocks that have begun, by the upstream's index, with the client's.
    private var places: [Int: Int] = [:]
    /// The client's index that no block has had, nor any beyond it.
    private var nextPlace = 0
    private var blockCount = 0
    /// The one block that is open, by the client's index.
    private var open: (index: Int, isThinking: Bool)?
    private var assembly: MessageAssembly

    /// Blocks beyond it would cost memory that no answer needs: a call is a block.
    private static let blockLimit = 4096

    init(_ options: DoorOptions, completionLimit: Int) {
        self.options = options
        assembly = MessageAssembly(limitBytes: completionLimit)
    }

    var usage: (promptTokens: Int, completionTokens: Int)? {
        guard let promptTokens else { return completionTokens.map { (0, $0) } }
        return (promptTokens, completionTokens ?? 0)
    }

    mutating func take(_ event: Span<UInt8>, into sink: inout ChunkSink) throws(DialectError) {
        // Anthropic has no such end, but some servers write it everywhere.
        if equal(event, EventReading.trimmed(event), "[DONE]") { throw .endedEarly }
        guard let json = EventReading.parse(event)?.json, json.kind == .object else {
            throw .malformed(event)
        }
        let members = uniqueMembers(of: json)
        if let error = EventReading.reportedError(json, members) { throw .reported(json: error) }
        guard let type = members.value("type")?.string, isPlainName(type, limit: eventNameLimit)
        else {
            throw .malformed(event)
        }
        if type != "message_start", type != "ping" { begin(into: &sink) }
        switch type {
        case "error": throw .reported(json: Array(json.bytes))
        case "ping": break
        case "message_start":
            guard let message = members.value("message"), message.kind == .object else {
                throw .malformed(event)
            }
            start(members, uniqueMembers(of: message), into: &sink)
        case "content_block_start", "content_block_delta", "content_block_stop":
            guard let index = members.value("index")?.upstreamIndex,
                try takeOfBlock(type, members, index, into: &sink)
            else { throw .malformed(event) }
        case "message_delta": end(members, into: &sink)
        case "message_stop":
            endBlock(into: &sink)
            write(type, members, into: &sink)
            if !options.isStream { writeWhole(into: &sink) }
            isDone = true
        default: write(type, members, into: &sink)
        }
    }

    // MARK: - The message as a whole

    private mutating func start(
        _ members: [JSONText.Member], _ message: [JSONText.Member], into sink: inout ChunkSink
    ) {
        guard !hasBegun else { return }
        hasBegun = true
        note(message.value("usage"))
        let whole = written(message)
        // It was written here.
        if let json = try? JSONText(whole) { assembly.start(uniqueMembers(of: json)) }
        write("message_start", members, set: [("message", whole)], into: &sink)
    }

    /// The event every stream begins with, unless it was there.
    private mutating func begin(into sink: inout ChunkSink) {
        start([], [], into: &sink)
    }

    private func written(_ message: [JSONText.Member]) -> [UInt8] {
        var usage: [UInt8] = []
        usage.append(
            message.value("usage").map(uniqueMembers) ?? [],
            fill: [
                ("input_tokens", .json("0")), ("cache_creation_input_tokens", .json("0")),
                ("cache_read_input_tokens", .json("0")), ("output_tokens", .json("0")),
            ])
        var bytes: [UInt8] = []
        bytes.append(
            message, set: [("model", .json(string: options.model)), ("usage", usage)],
            fill: [
                ("id", .json(string: "msg_" + options.requestID)),
                ("type", .json(#""message""#)), ("role", .json(#""assistant""#)),
                ("content", .json("[]")), ("stop_reason", .json("null")),
                ("stop_sequence", .json("null")),
            ])
        return bytes
    }

    /// Why the message ends. A stop sequence has its own word.
    private mutating func end(_ members: [JSONText.Member], into sink: inout ChunkSink) {
        endBlock(into: &sink)
        note(members.value("usage"))
        var set: [FilledMember] = []
        var told = members.value("delta")
        if let delta = told, delta["stop_sequence"]?.kind == .string,
            delta["stop_reason"]?.isString("end_turn") == true
        {
            var bytes: [UInt8] = []
            bytes.append(
                uniqueMembers(of: delta), set: [("stop_reason", .json(#""stop_sequence""#))])
            // It was written here.
            told = try? JSONText(bytes)
            set = [("delta", bytes)]
        }
        assembly.end(told, members.value("usage"))
        write("message_delta", members, set: set, into: &sink)
    }

    /// Counts tokens: those of the prompt are told in three parts.
    private mutating func note(_ usage: JSONText?) {
        guard let usage else { return }
        if let input = usage["input_tokens"]?.tokenCount {
            let cached = ["cache_read_input_tokens", "cache_creation_input_tokens"]
            promptTokens = cached.reduce(input) { $0 + (usage[$1]?.tokenCount ?? 0) }
        }
        completionTokens = usage["output_tokens"]?.tokenCount ?? completionTokens
    }

    // MARK: - Its blocks

    /// Whether the event could be told.
    private mutating func takeOfBlock(
        _ type: String, _ members: [JSONText.Member], _ index: Int, into sink: inout ChunkSink
    ) throws(DialectError) -> Bool {
        switch type {
        case "content_block_start":
            guard places[index] == nil else { return true }
            return try startBlock(members, members.value("content_block"), index, into: &sink)
        case "content_block_delta":
            guard let delta = members.value("delta") else { return true }
            if open == nil || open?.index != places[index] {
                switch LateDelta(delta) {
                case .nothing: return true
                case .lost: return false
                case .text(let block):
                    // It was written here.
                    let block = try? JSONText(block)
                    guard try startBlock([], block, index, into: &sink) else { return false }
                }
            }
            if delta["type"]?.isString("signature_delta") == true { open?.isThinking = false }
            guard let place = open?.index else { return false }
            if !options.isStream { try assembly.take(delta, ofBlock: place) }
            let moved: [FilledMember] = place == index ? [] : [("index", .json(place))]
            write(type, members, set: moved, into: &sink)
        default:
            if let open, open.index == places[index] { endBlock(into: &sink) }
        }
        return true
    }

    /// Begins a block, under the upstream's index where that is still free; false if there are too
    /// many.
    private mutating func startBlock(
        _ members: [JSONText.Member], _ told: JSONText?, _ index: Int, into sink: inout ChunkSink
    ) throws(DialectError) -> Bool {
        guard blockCount < Self.blockLimit else { return false }
        endBlock(into: &sink)
        var block: [UInt8] = []
        var fill: [FilledMember] = []
        switch told?["type"]?.string {
        case "tool_use": fill = [("input", .json("{}"))]
        case "thinking": fill = [("thinking", .json(#""""#)), ("signature", .json(#""""#))]
        case "text": fill = [("text", .json(#""""#))]
        default: break
        }
        block.append(told.map(uniqueMembers) ?? [], fill: fill)
        let place = max(index, nextPlace)
        places[index] = place
        nextPlace = place + 1
        blockCount += 1
        open = (place, told?["type"]?.isString("thinking") == true)
        if !options.isStream { try assembly.startBlock(place, block) }
        var set: [FilledMember] = [("content_block", block)]
        if place != index || members.isEmpty { set.insert(("index", .json(place)), at: 0) }
        write("content_block_start", members, set: set, into: &sink)
        return true
    }

    /// Ends the block that is open: one goes before the next begins. A thought has its signature
    /// last, and one that came later would have no place.
    private mutating func endBlock(into sink: inout ChunkSink) {
        guard let block = open else { return }
        open = nil
        let index: FilledMember = ("index", .json(block.index))
        if block.isThinking {
            write(
                "content_block_delta", [],
                set: [index, ("delta", .json(#"{"type":"signature_delta","signature":""}"#))],
                into: &sink)
        }
        write("content_block_stop", [], set: [index], into: &sink)
    }

    // MARK: - Writing

    private func write(
        _ type: String, _ members: [JSONText.Member], set: [FilledMember] = [],
        into sink: inout ChunkSink
    ) {
        guard options.isStream else { return }
        sink.beginEvent(named: type)
        let own: [FilledMember] = members.isEmpty ? [("type", .json(string: type))] : []
        sink.bytes.append(members, set: own + set)
        sink.endEvent()
    }

    private func writeWhole(into sink: inout ChunkSink) {
        sink.beginEvent()
        sink.bytes += assembly.written()
        sink.endEvent()
    }

    mutating func appendFailure(_ error: APIError, into sink: inout ChunkSink) {
        sink.beginEvent(named: "error")
        error.appendMessagesJSON(requestID: options.requestID, to: &sink.bytes)
        sink.endEvent()
    }
}

/// What a delta means whose block has ended, or never began.
private enum LateDelta {
    /// It brings nothing that is missed.
    case nothing
    /// It brings a piece of a call, which is of no use without the others.
    case lost
    /// It brings text or a thought, which needs a block that begins so.
    case text(block: [UInt8])

    init(_ delta: JSONText) {
        func brings(_ name: String) -> Bool { delta[name].map { !isEmptyValue($0) } ?? false }
        switch delta["type"]?.string {
        case "text_delta" where brings("text"): self = .text(block: .json(#"{"type":"text"}"#))
        case "thinking_delta" where brings("thinking"):
            self = .text(block: .json(#"{"type":"thinking"}"#))
        case "input_json_delta" where brings("partial_json"): self = .lost
        default: self = .nothing
        }
    }
}
