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
    private var upstream = Frame()
    /// Not set where events leave as they come.
    private var client = Frame()
    /// If the text is arguments: of which call, of which choice.
    private(set) var call: (index: Int, choice: Int)?

    /// What stands around a text: head and tail, one behind the other.
    fileprivate struct Frame: Sendable {
        var bytes: [UInt8] = []
        var headCount = 0
    }

    /// What each event is compared with.
    var learned: [[UInt8]] { [upstream.bytes] }

    /// What was learned no longer holds: the state of a choice has changed.
    mutating func forget() { isLearned = false }

    /// Writes `event` if it is like the one learned, and says where its text stands; `nil` if it is
    /// not.
    func apply(_ event: Span<UInt8>, into sink: inout ChunkSink) -> Range<Int>? {
        guard isLearned, event.count <= limit else { return nil }
        let head = upstream.bytes.span.extracting(first: upstream.headCount)
        let tail = upstream.bytes.span.extracting(droppingFirst: upstream.headCount)
        let tailStart = event.count &- tail.count
        guard tailStart >= head.count, stands(head, in: event, at: 0),
            stands(tail, in: event, at: tailStart)
        else { return nil }
        // The head ends with the opening quote, the tail begins with the closing one.
        var scanner = JSONScanner(at: head.count &- 1, depthLimit: 1)
        // What is wrong with a text will be found, and said, on the slow path.
        guard let text = try? scanner.scanString(event), text.upperBound == tailStart,
            !mayEndInsideCharacter(event, text)
        else { return nil }
        guard scanner.hasNonASCII else {
            // The bytes just read are at hand; those learned may have to come from afar.
            if passesThrough {
                sink.appendEvent(event, Span(), Span())
            } else {
                let newHead = client.bytes.span.extracting(first: client.headCount)
                let newTail = client.bytes.span.extracting(droppingFirst: client.headCount)
                sink.appendEvent(newHead, event.extracting(text), newTail)
            }
            return text
        }
        let frame = passesThrough ? upstream : client
        sink.beginEvent()
        sink.bytes.append(frame.bytes.span, 0..<frame.headCount)
        sink.bytes.appendEscapingLineSeparators(event.extracting(text))
        sink.bytes.append(frame.bytes.span, frame.headCount..<frame.bytes.count)
        sink.endEvent()
        return text
    }

    /// Reads `event`; `false` if it is anything but one choice with one plain text.
    mutating func learn(_ event: Span<UInt8>, for writer: StreamWriter) -> Bool {
        isLearned = false
        guard writer.hasBegun else { return false }
        // The arrays keep their memory: learning anew each second allocates nothing, and what is at
        // hand stays where it is.
        client.bytes.removeAll(keepingCapacity: true)
        var reader = TemplateReader(into: client)
        client = Frame()
        defer { client = reader.output.frame }
        // What is wrong with an event will be found, and said, on the slow path.
        guard let isSimple = try? reader.readEvent(event, writer), isSimple,
            let text = reader.text, !reader.hasControls
        else { return false }
        upstream.bytes.removeAll(keepingCapacity: true)
        upstream.bytes.reserveCapacity(event.count &- text.count)
        upstream.bytes.append(event, 0..<text.lowerBound)
        upstream.bytes.append(event, text.upperBound..<event.count)
        upstream.headCount = text.lowerBound
        call = reader.call.map { ($0, reader.choice) }
        passesThrough = reader.output.isUnchanged(event)
        // Separators double when they are escaped; what is near the limit is measured exactly.
        limit = writer.options.eventSplit / 2
        isLearned = true
        return true
    }
}

/// Writes what will leave of an event; as long as that is the event itself, nothing is copied.
private struct TemplateOutput {
    private(set) var frame: EventTemplate.Frame
    private var text: Range<Int>?
    /// How much of the event would leave as it stands.
    private var sameCount = 0
    private var isSame = true

    /// Writes into the memory of `frame`, which holds nothing.
    init(into frame: EventTemplate.Frame) { self.frame = frame }

    @inline(__always)
    mutating func put(_ literal: StaticString, _ event: Span<UInt8>) {
        // Safe: a literal lives as long as the program.
        put(unsafe Span(_unsafeStart: literal.utf8Start, count: literal.utf8CodeUnitCount), event)
    }

    /// Puts bytes that need no escape.
    mutating func put(_ part: Span<UInt8>, _ event: Span<UInt8>) {
        if isSame {
            if stands(part, in: event, at: sameCount) {
                sameCount &+= part.count
                return
            }
            change(event)
        }
        frame.bytes.append(part)
    }

    /// Puts a part of the event itself, with line separators escaped.
    mutating func put(_ range: Range<Int>, of event: Span<UInt8>) {
        let part = event.extracting(range)
        if isSame {
            if range.lowerBound == sameCount, isASCII(part) {
                sameCount = range.upperBound
                return
            }
            change(event)
        }
        frame.bytes.appendEscapingLineSeparators(part)
    }

    /// The text stands here, between its quotes.
    mutating func put(text: Range<Int>, of event: Span<UInt8>) {
        if isSame, sameCount != text.lowerBound { change(event) }
        self.text = text
        frame.headCount = frame.bytes.count
        if isSame { sameCount = text.upperBound }
    }

    /// Whether all of the event leaves as it stands; if not, `frame` says what does.
    mutating func isUnchanged(_ event: Span<UInt8>) -> Bool {
        if isSame, sameCount == event.count { return true }
        if isSame { change(event) }
        return false
    }

    /// From here on what leaves differs from the event.
    private mutating func change(_ event: Span<UInt8>) {
        isSame = false
        frame.bytes.reserveCapacity(event.count &+ 64)
        guard let text else { return frame.bytes.append(event, 0..<sameCount) }
        frame.bytes.append(event, 0..<text.lowerBound)
        frame.headCount = frame.bytes.count
        frame.bytes.append(event, text.upperBound..<sameCount)
    }
}

/// Reads one event and writes what will stand around its text.
///
/// The methods return `false` for everything that the slow path must look at.
private struct TemplateReader {
    var output: TemplateOutput
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

    /// What leaves is written into the memory of `frame`, which holds nothing.
    init(into frame: EventTemplate.Frame) { output = TemplateOutput(into: frame) }

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

    /// Reads all of it.
    mutating func readEvent(
        _ event: Span<UInt8>, _ writer: StreamWriter
    ) throws(JSONError) -> Bool {
        var met: Members = []
        try scanner.enterObject(event)
        output.put("{", event)
        var isFirst = true
        while let key = try scanner.nextMember(event) {
            // A usage has no place of its own: see below.
            if equal(event, key, "usage") {
                guard met.insert(.usage).inserted, try scanner.peekKind(event) == .null else {
                    return false
                }
                try scanner.skipValue(event)
                continue
            }
            if !isFirst { output.put(",", event) }
            isFirst = false
            if equal(event, key, "choices") {
                guard met.insert(.choices).inserted else { return false }
                output.put(#""choices":["#, event)
                guard try readChoices(event, writer) else { return false }
            } else {
                guard try readMember(event, key, writer, &met) else { return false }
            }
        }
        try scanner.finish(event)
        guard text != nil, met.isSuperset(of: [.id, .object, .created, .model]) else {
            return false
        }
        // A null usage is written anew at the end, or left out, as the client asked.
        if writer.options.includeUsage { output.put(#","usage":null"#, event) }
        output.put("}", event)
        return true
    }

    /// Writes a member of the event.
    private mutating func readMember(
        _ event: Span<UInt8>, _ key: Range<Int>, _ writer: StreamWriter, _ met: inout Members
    ) throws(JSONError) -> Bool {
        let value = try scanner.skipValue(event)
        if equal(event, key, "id") {
            output.put(#""id":"#, event)
            output.put(writer.identity.id.span, event)
            return met.insert(.id).inserted
        }
        if equal(event, key, "created") {
            output.put(#""created":"#, event)
            output.put(writer.identity.created.span, event)
            return met.insert(.created).inserted
        }
        if equal(event, key, "model") {
            output.put(#""model":"#, event)
            output.put(writer.identity.model.span, event)
            return met.insert(.model).inserted
        }
        if equal(event, key, "object") {
            output.put(#""object":"chat.completion.chunk""#, event)
            return met.insert(.object).inserted
                && equal(event, value, #""chat.completion.chunk""#)
        }
        // Null or not: whether it reports a failure is for the slow path.
        if equal(event, key, "error") { return false }
        return others.insert(key, of: event, isOfChoice: false) && put(event, key, value)
    }

    /// Reads the one choice. A finish, or a state that plain text could disturb, is not for this
    /// way.
    private mutating func readChoices(
        _ event: Span<UInt8>, _ writer: StreamWriter
    ) throws(JSONError) -> Bool {
        try scanner.enterArray(event)
        guard try scanner.nextElement(event), try scanner.peekKind(event) == .object else {
            return false
        }
        try scanner.enterObject(event)
        output.put("{", event)
        var met: Members = []
        var isFirst = true
        while let key = try scanner.nextMember(event) {
            if !isFirst { output.put(",", event) }
            isFirst = false
            if equal(event, key, "delta") {
                guard text == nil else { return false }
                output.put(#""delta":{""#, event)
                guard try readDelta(event, writer.options.reasoning) else { return false }
                output.put(call == nil ? "\"}" : "\"}}]}", event)
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
            guard put(event, key, value) else { return false }
        }
        // Asked last, for `index` may stand behind the delta.
        guard text != nil, met == [.index, .finish], writer.isSteady(choice, call: call) else {
            return false
        }
        output.put("}]", event)
        return try !scanner.nextElement(event)
    }

    /// Reads a delta with one text and nothing else; writes up to the text.
    private mutating func readDelta(
        _ event: Span<UInt8>, _ field: ReasoningField
    ) throws(JSONError) -> Bool {
        try scanner.enterObject(event)
        guard let key = try scanner.nextMember(event) else { return false }
        if equal(event, key, "content") {
            output.put("content", event)
        } else if equal(event, key, "reasoning_content") || equal(event, key, "reasoning") {
            switch field {
            case .reasoningContent: output.put("reasoning_content", event)
            case .reasoning: output.put("reasoning", event)
            case .both, .none: return false
            }
        } else if equal(event, key, "tool_calls") {
            guard try readCall(event) else { return false }
            return try scanner.nextMember(event) == nil
        } else {
            return false
        }
        guard try scanner.peekKind(event) == .string else { return false }
        output.put("\":\"", event)
        try readText(event)
        return try scanner.nextMember(event) == nil
    }

    private mutating func readText(_ event: Span<UInt8>) throws(JSONError) {
        let range = try scanner.scanString(event)
        output.put(text: range, of: event)
        text = range
    }

    /// Reads a later fragment of one call: its index, then its arguments and nothing else.
    private mutating func readCall(_ event: Span<UInt8>) throws(JSONError) -> Bool {
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
        output.put(#"tool_calls":[{"index":"#, event)
        var number: [UInt8] = []
        number.append(decimal: call)
        output.put(number.span, event)
        output.put(#","function":{"arguments":""#, event)
        try readText(event)
        guard try scanner.nextMember(event) == nil else { return false }
        guard try scanner.nextMember(event) == nil else { return false }
        return try !scanner.nextElement(event)
    }

    /// Writes a member as it stands.
    private mutating func put(
        _ event: Span<UInt8>, _ key: Range<Int>, _ value: Range<Int>
    ) -> Bool {
        // An escaped key may be another way to write one that matters.
        for i in key where event[i] == UInt8(ascii: "\\") { return false }
        let quoted = (key.lowerBound &- 1)..<(key.upperBound &+ 1)
        output.put(quoted, of: event)
        output.put(":", event)
        output.put(value, of: event)
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
