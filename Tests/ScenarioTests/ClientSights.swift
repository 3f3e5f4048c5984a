// Whether a client sees what a scenario says it sees.

import EventLoop

/// What looking came to.
enum Sight {
    /// Not yet; it may still come.
    case pending(String)
    /// It is there since then.
    case seen(at: Instant)
    /// It will not come any more.
    case failed(String)
}

extension ClientSight {
    /// Looks once. `now` is for what has no moment of its own.
    func look(_ client: ScriptedClient, now: Instant) -> Sight {
        switch self {
        case .status(let status): return lookForStatus(status, client)
        case .closed: return lookForEnd(.closed, client)
        case .reset: return lookForEnd(.reset, client)
        case .ping: return lookForFrame(0x9, client) { _ in true }
        case .closeFrame(let code):
            return lookForFrame(0x8, client) { $0 == [UInt8(code >> 8), UInt8(code & 255)] }
        case .wholeFlood: return .pending("\(client.floodEvents) events of the flood have come")
        case .bytesTaken:
            guard let wire = client.wire, !wire.hasFailedToSend else {
                return .failed("some were refused")
            }
            return wire.unsentBytes == 0
                ? .seen(at: now) : .pending("\(wire.unsentBytes) bytes are left")
        case .text(let text): return lookForText(text, client, now)
        case .field(let name, let value):
            return withResponse(client) { response in
                guard let found = response.value(name) else {
                    return .failed("there is no such field")
                }
                if let value, found != value { return .failed("it is '\(found)'") }
                return .seen(at: response.headAt)
            }
        case .noField(let name):
            return withResponse(client) { response in
                response.value(name).map { .failed("it is there: \($0)") }
                    ?? .seen(at: response.headAt)
            }
        case .cutBody:
            return withResponse(client) { response in
                if response.completedAt != nil { return .failed("the body is whole") }
                return client.wire?.end.map { .seen(at: $0.at) }
                    ?? .pending("the connection is open")
            }
        case .noText, .json, .noJSON, .events, .errorEvent, .endOfBody:
            return withWholeResponse(client) { lookAtWhole($0) }
        }
    }

    private func lookForStatus(_ status: Int, _ client: ScriptedClient) -> Sight {
        guard let response = client.nextResponse() else {
            if let end = client.wire?.end {
                return .failed("the connection ended (\(end.how)) without an answer")
            }
            return .pending("no answer has come")
        }
        guard response.status == status else {
            return .failed("the status is \(response.status): \(response.text.prefix(300))")
        }
        return .seen(at: response.headAt)
    }

    private func lookForEnd(_ how: Wire.End, _ client: ScriptedClient) -> Sight {
        guard let end = client.wire?.end else { return .pending("the connection is open") }
        guard end.how == how else { return .failed("it was a \(end.how)") }
        if client.reader.isInMiddleOfResponse, client.response?.completedAt == nil {
            return .failed("it came in the middle of an answer; 'sees body cut off' would say so")
        }
        return .seen(at: end.at)
    }

    private func lookForText(_ text: String, _ client: ScriptedClient, _ now: Instant) -> Sight {
        if let moment = client.find(Array(text.utf8)) { return .seen(at: moment) }
        let tail = client.response.map { String($0.text.dropFirst(max(0, $0.text.count - 300))) }
        let what = "the body so far ends with: \(tail ?? "(no answer)")"
        return client.wire?.end != nil || client.response?.completedAt != nil
            ? .failed(what) : .pending(what)
    }

    /// `isRight` gets the first two bytes of the frame's data.
    private func lookForFrame(
        _ opcode: UInt8, _ client: ScriptedClient, _ isRight: ([UInt8]) -> Bool
    ) -> Sight {
        if let (data, moment) = client.findFrame(opcode) {
            return isRight(Array(data.prefix(2)))
                ? .seen(at: moment) : .failed("its data is \(data)")
        }
        return client.wire?.end == nil ? .pending("there is none") : .failed("there is none")
    }

    private func withResponse(_ client: ScriptedClient, _ look: (ReceivedResponse) -> Sight)
        -> Sight
    {
        guard let response = client.response else {
            return client.wire?.end == nil
                ? .pending("no answer has come") : .failed("no answer has come")
        }
        if let fault = response.fault { return .failed("the answer breaks HTTP: \(fault)") }
        return look(response)
    }

    private func withWholeResponse(
        _ client: ScriptedClient, _ look: (ReceivedResponse) -> Sight
    ) -> Sight {
        withResponse(client) { response in
            guard response.completedAt != nil else {
                let what = "the body is not whole: …\(response.text.suffix(300))"
                return client.wire?.end == nil
                    ? .pending(what) : .failed("the connection ended; " + what)
            }
            return look(response)
        }
    }

    private func lookAtWhole(_ response: ReceivedResponse) -> Sight {
        let seen = Sight.seen(at: response.completedAt ?? response.headAt)
        switch self {
        case .endOfBody: return seen
        case .noText(let text):
            return response.text.contains(text)
                ? .failed("it is there: \(response.text.suffix(300))") : seen
        case .json(let path, let wanted):
            let found = value(at: path, in: response.body)
            return isSame(found, wanted)
                ? seen
                : .failed("it is \(found?.description ?? "absent in \(response.text.prefix(300))")")
        case .noJSON(let path):
            return value(at: path, in: response.body).map { .failed("it is \($0)") } ?? seen
        case .events(let text):
            let words = EventWords(response.body)
            guard words.faults.isEmpty else {
                return .failed("not an event stream: \(words.faults)")
            }
            return words.text == text ? seen : .failed("the events are: \(words.text)")
        case .errorEvent(let code):
            let events = EventWords(response.body).events
            let errors = events.filter { $0.hasPrefix("error ") }
            guard errors == ["error \(code)"], events.last == errors[0],
                !events.contains(where: { $0.hasPrefix("finish") || $0 == "[DONE]" })
            else { return .failed("the events are: \(events.suffix(8).joined(separator: ", "))") }
            return seen
        default: return .pending("")
        }
    }
}
