// The stream of `POST /v1/responses`, event by event.

internal import Chat
internal import JSON

/// Takes the events of one response and writes the client's: each as it came, with what OpenAI's
/// clients need and some servers leave out.
///
/// llama-server numbers nothing, tells of a call's arguments only in pieces, keeps the end of a text
/// that it held back for the last events, and begins again or not at all when its first token is
/// half a character (tools/server/server-task.cpp; recorded as `stream-split-first`).
struct ResponsesStream: DoorStream {
    let options: DoorOptions
    var dataEvents = 0
    private(set) var isDone = false
    private(set) var usage: (promptTokens: Int, completionTokens: Int)?
    /// The response's id, as JSON; clients refuse one that changes.
    private var id: [UInt8]?
    /// The events of its beginning that were told.
    private var told: Set<String> = []
    private var sequence = 0
    private var items = ResponsesItems()

    init(_ options: DoorOptions) { self.options = options }

    mutating func take(_ event: Span<UInt8>, into sink: inout ChunkSink) throws(DialectError) {
        // OpenAI has no such end, but some servers write it everywhere.
        if equal(event, EventReading.trimmed(event), "[DONE]") { throw .endedEarly }
        do { try takeWhole(event, into: &sink) } catch { throw error.asDialectError(event) }
    }

    private mutating func takeWhole(
        _ event: Span<UInt8>, into sink: inout ChunkSink
    ) throws(StreamRefusal) {
        guard let json = EventReading.parse(event)?.json, json.kind == .object else {
            throw .malformed
        }
        let members = uniqueMembers(of: json)
        if let error = EventReading.reportedError(json, members) { throw .reported(error) }
        guard let type = members.value("type")?.string, isPlainName(type, limit: eventNameLimit)
        else { throw .malformed }
        switch type {
        case "error": throw .reported(Array(json.bytes))
        case "response.created", "response.in_progress", "response.queued":
            try takeLifecycle(type, members, into: &sink)
        case "response.completed", "response.incomplete":
            try takeEnd(type, members, into: &sink)
        case "response.failed", "response.cancelled":
            let error = members.value("response")?["error"]
            throw .reported(error.map { Array($0.bytes) } ?? .json(string: type))
        default:
            guard options.isStream else { return }
            begin(into: &sink)
            try takeOfItem(type, members, into: &sink)
        }
    }

    // MARK: - The response as a whole

    private mutating func takeLifecycle(
        _ type: String, _ members: [JSONText.Member], into sink: inout ChunkSink
    ) throws(StreamRefusal) {
        guard let response = members.value("response"), response.kind == .object else {
            throw .malformed
        }
        let parts = uniqueMembers(of: response)
        if id == nil { id = parts.value("id").map { .json($0) } ?? ownID }
        guard options.isStream else { return }
        if type != "response.created" { writeBegin("response.created", into: &sink) }
        // Told again, it may bring news: llama-server's `prompt_progress`.
        let isNews = members.contains { member in
            !["type", "response", "sequence_number"].contains { member.isNamed($0) }
        }
        guard told.insert(type).inserted || isNews else { return }
        write(type, members, set: [("response", written(parts))], into: &sink)
    }

    /// The one end an answer has. Whether it is cut, llama-server does not tell: it is, if it has as
    /// many tokens as it may have.
    private mutating func takeEnd(
        _ type: String, _ members: [JSONText.Member], into sink: inout ChunkSink
    ) throws(StreamRefusal) {
        guard let response = members.value("response"), response.kind == .object else {
            throw .malformed
        }
        let parts = uniqueMembers(of: response)
        if let told = parts.value("usage"), let prompt = told["input_tokens"]?.tokenCount,
            let answer = told["output_tokens"]?.tokenCount
        {
            usage = (prompt, answer)
        }
        if id == nil, !options.isStream { id = parts.value("id").map { .json($0) } }
        var type = type
        var set: [FilledMember] = []
        if type == "response.completed", let limit = options.tokenLimit,
            let count = usage?.completionTokens, count >= limit
        {
            type = "response.incomplete"
            set = [
                ("status", .json(#""incomplete""#)),
                ("incomplete_details", .json(#"{"reason":"max_output_tokens"}"#)),
            ]
        }
        begin(into: &sink)
        let whole = written(parts, set: set)
        if options.isStream {
            write(type, members, set: [("response", whole)], into: &sink)
        } else {
            sink.beginEvent()
            sink.bytes += whole
            sink.endEvent()
        }
        isDone = true
    }

    /// The events every stream begins with, unless they were there.
    private mutating func begin(into sink: inout ChunkSink) {
        guard id == nil else { return }
        id = ownID
        guard options.isStream else { return }
        writeBegin("response.created", into: &sink)
        writeBegin("response.in_progress", into: &sink)
    }

    private mutating func writeBegin(_ type: String, into sink: inout ChunkSink) {
        guard told.insert(type).inserted else { return }
        write(type, [], set: [("response", written([], status: "in_progress"))], into: &sink)
    }

    private var ownID: [UInt8] { .json(string: "resp_" + options.requestID) }

    /// A response object: its own members, and what it lacks.
    private func written(
        _ members: [JSONText.Member], status: StaticString? = nil, set: [FilledMember] = []
    ) -> [UInt8] {
        var set = set
        set.append(("id", id ?? ownID))
        set.append(("model", .json(string: options.model)))
        if let status { set.append(("status", .json(string: status.description))) }
        if let usage = members.value("usage"), usage.kind == .object {
            set.append(("usage", written(usage: usage)))
        }
        let fill: [FilledMember] = [
            ("object", .json(#""response""#)), ("created_at", .json(options.created)),
            ("error", .json("null")), ("incomplete_details", .json("null")),
            ("output", .json("[]")),
        ]
        var bytes: [UInt8] = []
        bytes.append(members, set: set, fill: fill)
        appendEcho(besides: members, to: &bytes)
        return bytes
    }

    /// What OpenAI repeats of the request, as far as the upstream does not.
    private func appendEcho(besides members: [JSONText.Member], to bytes: inout [UInt8]) {
        bytes.removeLast()
        for (name, json) in options.echo where members.value(name) == nil {
            // A null the upstream wrote stays; two members of one name would be one too many.
            guard !members.contains(where: { $0.isNamed(name) }) else { continue }
            bytes.append(#",""#)
            bytes += name.utf8
            bytes.append(#"":"#)
            bytes += json
        }
        bytes.append(UInt8(ascii: "}"))
    }

    private func written(usage: JSONText) -> [UInt8] {
        var details: [UInt8] = []
        details.append(
            usage["input_tokens_details"].map(uniqueMembers) ?? [],
            fill: [("cached_tokens", .json("0")), ("cache_write_tokens", .json("0"))])
        var bytes: [UInt8] = []
        bytes.append(
            uniqueMembers(of: usage), set: [("input_tokens_details", details)],
            fill: [("output_tokens_details", .json(#"{"reasoning_tokens":0}"#))])
        return bytes
    }

    // MARK: - Its items

    private mutating func takeOfItem(
        _ type: String, _ members: [JSONText.Member], into sink: inout ChunkSink
    ) throws(StreamRefusal) {
        switch type {
        case "response.output_item.added": try takeAdded(members, into: &sink)
        case "response.output_item.done": try takeItemDone(members, into: &sink)
        default:
            guard type.hasPrefix("response.") else { return write(type, members, into: &sink) }
            let place = try place(of: members.value("item_id"), members, into: &sink)
            takePart(type, members, place, into: &sink)
        }
    }

    private mutating func takeAdded(
        _ members: [JSONText.Member], into sink: inout ChunkSink
    ) throws(StreamRefusal) {
        guard let item = members.value("item"), item.kind == .object, !items.isFull else {
            throw .malformed
        }
        let place = items.begin(itemID(item), index: members.value("output_index"))
        let index: FilledMember = ("output_index", .json(items[place].index))
        let isTold = members.value("output_index")?.upstreamIndex != nil
        write(
            "response.output_item.added", members, set: isTold ? [] : [index], into: &sink)
    }

    /// Before the end of an item comes what its clients may not have got: its begin, the rest of
    /// its arguments, and the arguments as a whole.
    private mutating func takeItemDone(
        _ members: [JSONText.Member], into sink: inout ChunkSink
    ) throws(StreamRefusal) {
        guard let item = members.value("item"), item.kind == .object else { throw .malformed }
        var found = items.find(item["id"])
        if found == nil {
            guard !items.isFull else { throw .malformed }
            found = items.begin(itemID(item), index: members.value("output_index"))
            if let found { writeAdded(item, found, into: &sink) }
        }
        guard let place = found else { throw .malformed }
        if item["type"]?.isString("function_call") == true, let arguments = item["arguments"] {
            writeRest(
                of: arguments, "response.function_call_arguments.delta", place, into: &sink)
            if !items[place].hasArguments {
                items[place].hasArguments = true
                write(
                    "response.function_call_arguments.done", [],
                    set: places(place) + [
                        ("name", item["name"].map { .json($0) } ?? .json(#""""#)),
                        ("arguments", .json(arguments)),
                    ], into: &sink)
            }
        }
        write(
            "response.output_item.done", members,
            fill: [("output_index", .json(items[place].index))], into: &sink)
    }

    /// An event inside an item: text, arguments, parts.
    private mutating func takePart(
        _ type: String, _ members: [JSONText.Member], _ place: Int, into sink: inout ChunkSink
    ) {
        var fill = places(place)
        switch type {
        case "response.content_part.added", "response.content_part.done":
            items[place].hasPart = true
            fill.append(("content_index", .json("0")))
            let part = members.value("part").map { [("part", written(part: $0)) as FilledMember] }
            return write(type, members, set: part ?? [], fill: fill, into: &sink)
        case "response.output_text.delta":
            writePart(place, into: &sink)
            items[place].tally.take(members.value("delta")?.decodedBytes ?? [])
            fill += [("content_index", .json("0")), ("logprobs", .json("[]"))]
        case "response.output_text.done":
            writePart(place, into: &sink)
            if let text = members.value("text") {
                writeRest(of: text, "response.output_text.delta", place, into: &sink)
            }
            fill += [("content_index", .json("0")), ("logprobs", .json("[]"))]
        case "response.function_call_arguments.delta":
            items[place].tally.take(members.value("delta")?.decodedBytes ?? [])
        case "response.function_call_arguments.done": items[place].hasArguments = true
        case "response.reasoning_text.delta", "response.reasoning_text.done",
            "response.refusal.delta", "response.refusal.done":
            fill.append(("content_index", .json("0")))
        case "response.reasoning_summary_part.added", "response.reasoning_summary_part.done",
            "response.reasoning_summary_text.delta", "response.reasoning_summary_text.done":
            fill.append(("summary_index", .json("0")))
        default: break
        }
        write(type, members, fill: fill, into: &sink)
    }

    /// The item an event belongs to. One that nobody told of is begun: its first event may have
    /// been the last.
    private mutating func place(
        of id: JSONText?, _ members: [JSONText.Member], into sink: inout ChunkSink
    ) throws(StreamRefusal) -> Int {
        if let place = items.find(id) { return place }
        guard !items.isFull else { throw .malformed }
        let place = items.begin(
            id.map { .json($0) } ?? .json(string: "msg_" + options.requestID),
            index: members.value("output_index"))
        write(
            "response.output_item.added", [],
            set: [
                ("output_index", .json(items[place].index)),
                (
                    "item",
                    .json(#"{"id":"#) + items[place].id
                        + .json(
                            #","type":"message","role":"assistant","status":"in_progress","content":[]}"#
                        )
                ),
            ], into: &sink)
        return place
    }

    private func itemID(_ item: JSONText) -> [UInt8] {
        guard let id = item["id"], id.kind == .string else { return .json(#""""#) }
        return .json(id)
    }

    // MARK: - Writing

    /// The members that say which item is meant.
    private func places(_ place: Int) -> [FilledMember] {
        [("item_id", items[place].id), ("output_index", .json(items[place].index))]
    }

    /// The begin of an item that was told of at its end only.
    private mutating func writeAdded(_ item: JSONText, _ place: Int, into sink: inout ChunkSink) {
        var set: [FilledMember] = [("status", .json(#""in_progress""#))]
        if item["content"] != nil { set.append(("content", .json("[]"))) }
        if item["arguments"] != nil { set.append(("arguments", .json(#""""#))) }
        var begun: [UInt8] = []
        begun.append(uniqueMembers(of: item), set: set)
        write(
            "response.output_item.added", [],
            set: [("output_index", .json(items[place].index)), ("item", begun)], into: &sink)
    }

    /// The begin of the text of a message, unless it was told.
    private mutating func writePart(_ place: Int, into sink: inout ChunkSink) {
        guard !items[place].hasPart else { return }
        items[place].hasPart = true
        write(
            "response.content_part.added", [],
            set: places(place) + [
                ("content_index", .json("0")),
                (
                    "part",
                    .json(#"{"type":"output_text","text":"","annotations":[],"logprobs":[]}"#)
                ),
            ], into: &sink)
    }

    /// What of a whole text or of whole arguments has not passed as deltas.
    private mutating func writeRest(
        of whole: JSONText, _ type: String, _ place: Int, into sink: inout ChunkSink
    ) {
        guard whole.kind == .string, let rest = items[place].tally.rest(of: whole.decodedBytes),
            !rest.isEmpty
        else { return }
        items[place].tally.take(Array(rest))
        var set = places(place)
        if type == "response.output_text.delta" {
            set += [("content_index", .json("0")), ("logprobs", .json("[]"))]
        }
        var delta: [UInt8] = [UInt8(ascii: "\"")]
        delta.appendEscaped(Array(rest).span)
        delta.append(UInt8(ascii: "\""))
        write(type, [], set: set + [("delta", delta)], into: &sink)
    }

    private func written(part: JSONText) -> [UInt8] {
        guard part["type"]?.isString("output_text") == true else { return .json(part) }
        var bytes: [UInt8] = []
        bytes.append(
            uniqueMembers(of: part),
            fill: [("annotations", .json("[]")), ("logprobs", .json("[]"))])
        return bytes
    }

    /// Writes one event, with its number.
    private mutating func write(
        _ type: String, _ members: [JSONText.Member], set: [FilledMember] = [],
        fill: [FilledMember] = [], into sink: inout ChunkSink
    ) {
        sink.beginEvent(named: type)
        var own: [FilledMember] = [("sequence_number", .json(sequence))]
        if members.isEmpty { own.insert(("type", .json(string: type)), at: 0) }
        // An end may have become another.
        if let told = members.value("type"), !told.isString(type) {
            own.append(("type", .json(string: type)))
        }
        sink.bytes.append(members, set: own + set, fill: fill)
        sink.endEvent()
        sequence += 1
    }

    /// A response that was begun has failed; then the error, on which OpenAI's clients raise.
    mutating func appendFailure(_ error: APIError, into sink: inout ChunkSink) {
        if id != nil {
            var reason: [UInt8] = []
            reason.append(#"{"code":"#)
            reason.appendJSONString(error.responsesCode)
            reason.append(#","message":"#)
            reason.appendJSONString(error.message)
            reason.append("}")
            let failed = written([], status: "failed", set: [("error", reason)])
            write("response.failed", [], set: [("response", failed)], into: &sink)
        }
        sink.beginEvent(named: "error")
        var object: [UInt8] = []
        error.appendJSON(to: &object)
        // Once as documented, flat, and once as OpenAI's servers send it and its clients read it.
        sink.bytes.append(#"{"type":"error","sequence_number":"#)
        sink.bytes.append(decimal: sequence)
        sink.bytes.append(#","code":"#)
        sink.bytes += error.code.map { .json(string: $0.rawValue) } ?? .json("null")
        sink.bytes.append(#","message":"#)
        sink.bytes.appendJSONString(error.message)
        sink.bytes.append(#","param":"#)
        sink.bytes += error.param.map { .json(string: $0) } ?? .json("null")
        sink.bytes.append(UInt8(ascii: ","))
        sink.bytes += object.dropFirst()
        sink.endEvent()
        sequence += 1
    }
}

/// How long the name of an event may be, in bytes.
let eventNameLimit = 128

extension ChunkSink {
    /// Starts an event with a name, which must be plain.
    mutating func beginEvent(named name: String) {
        if framing == .serverSentEvents {
            bytes.append("event: ")
            bytes += name.utf8
            bytes.append(0x0A)
        }
        beginEvent()
    }
}

extension APIError {
    /// The nearest of the codes that a failed response can have.
    fileprivate var responsesCode: String {
        switch status {
        case 429: "rate_limit_exceeded"
        case 400 where code == .contextLengthExceeded: "context_length_exceeded"
        case 400..<500: "invalid_prompt"
        default: "server_error"
        }
    }
}
