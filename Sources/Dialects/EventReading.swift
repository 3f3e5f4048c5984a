// What is read the same way from every event or record, whichever endpoint it comes from.

internal import Chat
internal import JSON

/// Reads events, records and lines of streams.
enum EventReading {
    /// An event as checked JSON.
    struct Event {
        let json: JSONText
        /// How many bytes of cut characters were replaced to get there: see `TextCarry`.
        let strayBytes: Int
    }

    /// The same with a list of what stands in it.
    struct IndexedEvent {
        let json: JSONIndex
        let strayBytes: Int
    }

    /// `nil` if the event is not JSON.
    static func parse(_ event: Span<UInt8>) -> Event? {
        var bytes: [UInt8] = []
        bytes.append(event)
        do {
            let text = try JSONText(bytes)
            guard hasControl(event) else { return Event(json: text, strayBytes: 0) }
            // Line breaks between tokens are harmless in JSON, but end a line in an event stream.
            let blanked = bytes.map { $0 < 0x20 ? 0x20 : $0 }
            return Event(json: try JSONText(blanked), strayBytes: 0)
        } catch JSONError.invalidUTF8 {
            // One that fails for another reason too is malformed.
            guard let repaired = repairingCutCharacters(event),
                let text = try? JSONText(repaired.bytes)
            else { return nil }
            return Event(json: text, strayBytes: repaired.count)
        } catch {
            return nil
        }
    }

    /// The same as `parse`, for those who look at nearly everything.
    static func index(_ event: Span<UInt8>) -> IndexedEvent? {
        // The function of a call in a delta of a choice: nobody looks deeper.
        let depth = 7
        var bytes: [UInt8] = []
        bytes.append(event)
        do {
            var json = try JSONIndex(bytes, indexedDepth: depth)
            json.blankControls()
            return IndexedEvent(json: json, strayBytes: 0)
        } catch JSONError.invalidUTF8 {
            guard let repaired = repairingCutCharacters(event),
                let json = try? JSONIndex(repaired.bytes, indexedDepth: depth)
            else { return nil }
            return IndexedEvent(json: json, strayBytes: repaired.count)
        } catch {
            return nil
        }
    }

    /// The JSON of a reported failure: the `error` member, or the whole event of vLLM's older form.
    static func reportedError(_ event: JSONText) -> [UInt8]? {
        reportedError(event, uniqueMembers(of: event))
    }

    /// The same, for an event whose members are known.
    static func reportedError(_ event: JSONText, _ members: [JSONText.Member]) -> [UInt8]? {
        reportedError(event, members.value("error"), object: members.value("object"))
    }

    /// The same, with the two members that tell, unless they are null.
    static func reportedError(
        _ event: JSONText, _ error: JSONText?, object: JSONText?
    ) -> [UInt8]? {
        if let error, error.bool != false, error.string != "" { return Array(error.bytes) }
        return object?.isString("error") == true ? Array(event.bytes) : nil
    }

    /// What a line that is no event says went wrong. llama-server once wrote `error: {…}`.
    static func failure(in line: Span<UInt8>, isError: Bool) -> DialectError {
        var start = 0
        while start < line.count, line[start] != UInt8(ascii: "{") { start += 1 }
        guard start < line.count, let event = parse(line.extracting(start..<line.count)) else {
            return .stray(line)
        }
        if let error = reportedError(event.json) { return .reported(json: error) }
        return isError ? .reported(json: Array(event.json.bytes)) : .stray(line)
    }

    /// Why a choice ended; `nil` while it goes on.
    static func finishReason(_ value: JSONText?) throws(StreamRefusal) -> FinishReason? {
        guard let value else { return nil }
        // What nearly all answers end with.
        if value.isString("stop") { return .stop }
        guard let word = value.string else { throw .malformed }
        switch word {
        case "": return nil
        case "length", "max_tokens": return .length
        case "tool_calls": return .toolCalls
        case "content_filter": return .contentFilter
        // Not an end but a failure; "abort" is vLLM's word.
        case "error", "abort":
            var message: [UInt8] = []
            message.appendJSONString("the answer ended with finish_reason \"\(word)\"")
            throw .reported(message)
        // "stop", and what other servers call it: "eos", "end_turn" …
        default: return .stop
        }
    }

    /// The range without white space at its ends.
    static func trimmed(_ event: Span<UInt8>) -> Range<Int> {
        var range = 0..<event.count
        while !range.isEmpty, event[range.lowerBound] <= 0x20 {
            range = (range.lowerBound + 1)..<range.upperBound
        }
        while !range.isEmpty, event[range.upperBound - 1] <= 0x20 {
            range = range.lowerBound..<(range.upperBound - 1)
        }
        return range
    }
}

extension JSONIndex {
    /// The value of the member `name`, unless it is null.
    @inline(__always)
    func value(_ name: StaticString, of object: Value) -> Value? {
        guard let value = member(name, of: object), kind(of: value) != .null else { return nil }
        return value
    }
}
