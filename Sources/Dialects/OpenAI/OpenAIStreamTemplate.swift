// The quick way for token events: neighbours differ only in their text.

internal import Chat
internal import JSON

/// What stands around the text of a token event, as it came and as it leaves.
///
/// An upstream writes the same bytes around every token, until the second changes. So the first
/// such event is read member by member (`learn`), and each that has the same bytes around one
/// string (`apply`) needs only that string checked: no allocation, a few dozen nanoseconds.
struct EventTemplate: Sendable {
    private var isLearned = false
    /// Whether events leave as they come: nothing around the text is changed.
    private var passesThrough = false
    /// Longer events are not for the quick way.
    private var limit = 0
    private var upstreamHead: [UInt8] = []
    private var upstreamTail: [UInt8] = []
    private var clientHead: [UInt8] = []
    private var clientTail: [UInt8] = []
    /// If the text is arguments: of which call, of which choice.
    private(set) var call: (index: Int, choice: Int)?

    /// What each event is compared with.
    var learned: [[UInt8]] { [upstreamHead, upstreamTail] }

    /// What was learned no longer holds: the state of a choice has changed.
    mutating func forget() { isLearned = false }

    /// Writes `event` if it is like the one learned, and says where its text stands; `nil` if it is
    /// not.
    func apply(_ event: Span<UInt8>, into sink: inout ChunkSink) -> Range<Int>? {
        guard isLearned, event.count <= limit else { return nil }
        let tailStart = event.count &- upstreamTail.count
        guard tailStart >= upstreamHead.count, stands(upstreamHead.span, in: event, at: 0),
            stands(upstreamTail.span, in: event, at: tailStart)
        else { return nil }
        // The head ends with the opening quote, the tail begins with the closing one.
        var scanner = JSONScanner(at: upstreamHead.count &- 1, depthLimit: 1)
        // What is wrong with a text will be found, and said, on the slow path.
        guard let text = try? scanner.scanString(event), text.upperBound == tailStart,
            !mayEndInsideCharacter(event, text)
        else { return nil }
        guard scanner.hasNonASCII else {
            // The bytes just read are at hand; those learned may have to come from afar.
            if passesThrough {
                sink.appendEvent(event, Span(), Span())
                return text
            }
            sink.appendEvent(clientHead.span, event.extracting(text), clientTail.span)
            return text
        }
        sink.beginEvent()
        sink.bytes.append(clientHead.span)
        sink.bytes.appendEscapingLineSeparators(event.extracting(text))
        sink.bytes.append(clientTail.span)
        sink.endEvent()
        return text
    }

    /// Reads `event`; `false` if it is anything but one choice with one plain text.
    mutating func learn(_ event: Span<UInt8>, for writer: StreamWriter) -> Bool {
        isLearned = false
        guard writer.hasBegun else { return false }
        clientHead.removeAll(keepingCapacity: true)
        clientTail.removeAll(keepingCapacity: true)
        var reader = TemplateReader()
        // What is wrong with an event will be found, and said, on the slow path.
        guard
            let isSimple = try? reader.readEvent(event, writer, &clientHead, &clientTail),
            isSimple, let text = reader.text, !reader.hasControls
        else { return false }
        // The arrays keep their memory: learning anew each second allocates nothing either.
        upstreamHead.removeAll(keepingCapacity: true)
        upstreamHead.append(event, 0..<text.lowerBound)
        upstreamTail.removeAll(keepingCapacity: true)
        upstreamTail.append(event, text.upperBound..<event.count)
        call = reader.call.map { ($0, reader.choice) }
        passesThrough = clientHead == upstreamHead && clientTail == upstreamTail
        // Separators double when they are escaped; what is near the limit is measured exactly.
        limit = writer.options.eventSplit / 2
        isLearned = true
        return true
    }
}

/// Reads one event and writes what will stand around its text.
///
/// The methods return `false` for everything that the slow path must look at.
private struct TemplateReader {
    /// Where the text stands, once it was met.
    private(set) var text: Range<Int>?
    /// The number of the choice, once it was met.
    private(set) var choice = 0
    /// The number of the call, if the text is arguments.
    private(set) var call: Int?
    /// Whether there are line breaks between the tokens: they must not leave.
    var hasControls: Bool { scanner.hasControls }
    private var scanner = JSONScanner(depthLimit: 64)
    private var others = OtherKeys()

    /// Members met so far, to notice a second one of the same name.
    private struct Members: OptionSet {
        let rawValue: UInt8
        static let id = Members(rawValue: 1)
        static let object = Members(rawValue: 2)
        static let created = Members(rawValue: 4)
        static let model = Members(rawValue: 8)
        static let choices = Members(rawValue: 16)
        static let usage = Members(rawValue: 32)
        static let index = Members(rawValue: 64)
        static let finish = Members(rawValue: 128)
    }

    /// Reads all of it. `head` gets what will stand before the text, `tail` what will stand behind.
    mutating func readEvent(
        _ event: Span<UInt8>, _ writer: StreamWriter, _ head: inout [UInt8], _ tail: inout [UInt8]
    ) throws(JSONError) -> Bool {
        var met: Members = []
        try scanner.enterObject(event)
        head.append(UInt8(ascii: "{"))
        while let key = try scanner.nextMember(event) {
            if equal(event, key, "choices") {
                guard met.insert(.choices).inserted else { return false }
                head.append(#""choices":["#)
                guard try readChoices(event, writer, &head, &tail) else { return false }
            } else {
                let isRead =
                    text == nil
                    ? try readMember(event, key, writer, &met, &head)
                    : try readMember(event, key, writer, &met, &tail)
                guard isRead else { return false }
            }
        }
        try scanner.finish(event)
        guard text != nil, met.isSuperset(of: [.id, .object, .created, .model]) else {
            return false
        }
        if writer.options.includeUsage { tail.append(#""usage":null,"#) }
        tail.removeLast()
        tail.append(UInt8(ascii: "}"))
        return true
    }

    /// Writes a member of the event, with a comma after it.
    private mutating func readMember(
        _ event: Span<UInt8>, _ key: Range<Int>, _ writer: StreamWriter, _ met: inout Members,
        _ output: inout [UInt8]
    ) throws(JSONError) -> Bool {
        let kind = try scanner.peekKind(event)
        let value = try scanner.skipValue(event)
        if equal(event, key, "id") {
            output.append(#""id":"#)
            output.append(writer.identity.id.span)
            output.append(UInt8(ascii: ","))
            return met.insert(.id).inserted
        }
        if equal(event, key, "created") {
            output.append(#""created":"#)
            output.append(writer.identity.created.span)
            output.append(UInt8(ascii: ","))
            return met.insert(.created).inserted
        }
        if equal(event, key, "model") {
            output.append(#""model":"#)
            output.append(writer.identity.model.span)
            output.append(UInt8(ascii: ","))
            return met.insert(.model).inserted
        }
        if equal(event, key, "object") {
            output.append(#""object":"chat.completion.chunk","#)
            return met.insert(.object).inserted
                && equal(event, value, #""chat.completion.chunk""#)
        }
        // A null usage is written anew at the end, or left out, as the client asked.
        if equal(event, key, "usage") { return met.insert(.usage).inserted && kind == .null }
        // Null or not: whether it reports a failure is for the slow path.
        if equal(event, key, "error") { return false }
        return others.insert(key, of: event, isOfChoice: false) && put(event, key, value, &output)
    }

    /// Reads the one choice. A finish, or a state that plain text could disturb, is not for this
    /// way.
    private mutating func readChoices(
        _ event: Span<UInt8>, _ writer: StreamWriter, _ head: inout [UInt8], _ tail: inout [UInt8]
    ) throws(JSONError) -> Bool {
        try scanner.enterArray(event)
        guard try scanner.nextElement(event), try scanner.peekKind(event) == .object else {
            return false
        }
        try scanner.enterObject(event)
        head.append(UInt8(ascii: "{"))
        var met: Members = []
        while let key = try scanner.nextMember(event) {
            if equal(event, key, "delta") {
                guard text == nil else { return false }
                head.append(#""delta":{""#)
                guard try readDelta(event, writer.options.reasoning, &head) else { return false }
                // What follows leaves at about its own length.
                tail.reserveCapacity(event.count &- scanner.offset)
                tail.append(call == nil ? "\"}," : "\"}}]},")
                continue
            }
            let kind = try scanner.peekKind(event)
            let value = try scanner.skipValue(event)
            if equal(event, key, "index") {
                guard let index = smallNumber(event, value), met.insert(.index).inserted else {
                    return false
                }
                choice = index
            } else if equal(event, key, "finish_reason") {
                guard kind == .null, met.insert(.finish).inserted else { return false }
            } else if !others.insert(key, of: event, isOfChoice: true) {
                return false
            }
            let isPut =
                text == nil ? put(event, key, value, &head) : put(event, key, value, &tail)
            guard isPut else { return false }
        }
        // Asked last, for `index` may stand behind the delta.
        guard text != nil, met == [.index, .finish], writer.isSteady(choice, call: call) else {
            return false
        }
        tail.removeLast()
        tail.append("}],")
        return try !scanner.nextElement(event)
    }

    /// Reads a delta with one text and nothing else; writes up to the text's opening quote.
    private mutating func readDelta(
        _ event: Span<UInt8>, _ field: ReasoningField, _ head: inout [UInt8]
    ) throws(JSONError) -> Bool {
        try scanner.enterObject(event)
        guard let key = try scanner.nextMember(event) else { return false }
        if equal(event, key, "content") {
            head.append("content")
        } else if equal(event, key, "reasoning_content") || equal(event, key, "reasoning") {
            switch field {
            case .reasoningContent: head.append("reasoning_content")
            case .reasoning: head.append("reasoning")
            case .both, .none: return false
            }
        } else if equal(event, key, "tool_calls") {
            guard try readCall(event, &head) else { return false }
            return try scanner.nextMember(event) == nil
        } else {
            return false
        }
        guard try scanner.peekKind(event) == .string else { return false }
        head.append("\":\"")
        text = try scanner.scanString(event)
        return try scanner.nextMember(event) == nil
    }

    /// Reads a later fragment of one call: its index, then its arguments and nothing else.
    private mutating func readCall(
        _ event: Span<UInt8>, _ head: inout [UInt8]
    ) throws(JSONError) -> Bool {
        try scanner.enterArray(event)
        guard try scanner.nextElement(event), try scanner.peekKind(event) == .object else {
            return false
        }
        try scanner.enterObject(event)
        guard let index = try scanner.nextMember(event), equal(event, index, "index") else {
            return false
        }
        let value = try scanner.skipValue(event)
        // Only a call whose number stays as it is can be steady: see `isSteady`.
        call = smallNumber(event, value)
        guard let call, let function = try scanner.nextMember(event),
            equal(event, function, "function"), try scanner.peekKind(event) == .object
        else { return false }
        try scanner.enterObject(event)
        guard let arguments = try scanner.nextMember(event),
            equal(event, arguments, "arguments"), try scanner.peekKind(event) == .string
        else { return false }
        head.append(#"tool_calls":[{"index":"#)
        head.append(decimal: call)
        head.append(#","function":{"arguments":""#)
        text = try scanner.scanString(event)
        guard try scanner.nextMember(event) == nil else { return false }
        guard try scanner.nextMember(event) == nil else { return false }
        return try !scanner.nextElement(event)
    }

    /// Writes a member as it stands, with a comma after it.
    private func put(
        _ event: Span<UInt8>, _ key: Range<Int>, _ value: Range<Int>, _ output: inout [UInt8]
    ) -> Bool {
        // An escaped key may be another way to write one that matters.
        for i in key where event[i] == UInt8(ascii: "\\") { return false }
        let quoted = (key.lowerBound &- 1)..<(key.upperBound &+ 1)
        output.appendMember(event, key: quoted, value: value)
        return true
    }

    /// A plain integer of up to three digits: choices and calls are not numbered higher.
    private func smallNumber(_ event: Span<UInt8>, _ range: Range<Int>) -> Int? {
        guard 1...3 ~= range.count else { return nil }
        var number = 0
        for i in range {
            guard event[i] &- UInt8(ascii: "0") < 10 else { return nil }
            number = number &* 10 &+ Int(event[i] &- UInt8(ascii: "0"))
        }
        return number
    }
}

/// The members nobody here knows, by their keys: of two with one key only the last may leave, which
/// is for the slow path.
private struct OtherKeys {
    // Held in place: with logprobs every event is read in the hope of learning it.
    private var keys = InlineArray<12, Range<Int>>(repeating: 0..<0)
    private var count = 0
    private var ofChoice = 0  // a bit for each

    /// Notes a key; `false` if there is one like it, or no room.
    mutating func insert(_ key: Range<Int>, of event: Span<UInt8>, isOfChoice: Bool) -> Bool {
        guard count < keys.count else { return false }
        for i in 0..<count
        where keys[i].count == key.count && (ofChoice >> i & 1 == 1) == isOfChoice {
            if stands(event.extracting(keys[i]), in: event, at: key.lowerBound) { return false }
        }
        keys[count] = key
        if isOfChoice { ofChoice |= 1 << count }
        count += 1
        return true
    }
}
