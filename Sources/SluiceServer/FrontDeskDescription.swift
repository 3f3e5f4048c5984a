// GET /v1/backends: the state of the backends, for operators.

internal import Chat
internal import Configuration
internal import JSON
internal import Routing

extension FrontDesk {
    /// All backends as JSON: names, states, slots, queues, models. No address and no key stands in
    /// it.
    func description() -> [UInt8] {
        var json: [UInt8] = Array(#"{"object":"list","queued":"#.utf8)
        json.append(decimal: admission.waitingCount)
        json.append(#","data":["#)
        for (index, state) in backends.enumerated() {
            if index > 0 { json.append(UInt8(ascii: ",")) }
            append(state, to: &json)
        }
        json.append("]}")
        return json
    }

    /// `,"queued":…,"backends":[…]` for the live page: as in the description, but models are only
    /// counted, for there may be hundreds.
    func appendBackends(to json: inout [UInt8]) {
        json.append(#","queued":"#)
        json.append(decimal: admission.waitingCount)
        json.append(#","backends":["#)
        for (index, state) in backends.enumerated() {
            if index > 0 { json.append(UInt8(ascii: ",")) }
            appendFigures(state, to: &json)
            json.append(#","models":"#)
            json.append(decimal: state.models.count)
            if let loaded = state.loaded {
                json.append(#","loaded":"#)
                json.append(decimal: state.models.count { loaded.contains($0.id) })
            }
            json.append("}")
        }
        json.append("]")
    }

    private func append(_ state: BackendState, to json: inout [UInt8]) {
        appendFigures(state, to: &json)
        appendModels(of: state, to: &json)
        json.append("}")
    }

    private func appendFigures(_ state: BackendState, to json: inout [UInt8]) {
        json.append(#"{"name":"#)
        json.appendJSONString(state.name)
        json.append(#","kind":"#)
        json.appendJSONString(state.kind.rawValue)
        json.append(#","state":"#)
        let (word, since) = stateAndTime(of: state)
        json.appendJSONString(word)
        json.append(#","reason":"#)
        if let problem = state.problem, !state.isUp {
            json.appendJSONString(problem)
        } else {
            json.append("null")
        }
        if let since {
            json.append(#","seconds":"#)
            json.append(decimal: Int((now - since) / 1_000_000_000))
        }
        append(state.slots, of: state.name, to: &json)
        json.append(#","queued":"#)
        json.append(decimal: admission.waiting(for: state.name))
        json.append(#","cures":"#)
        json.append(
            decimal: cures.filter { $0.place.backend == state.name }.reduce(0) { $0 + $1.count })
    }

    private func stateAndTime(of state: BackendState) -> (word: String, since: Int64?) {
        switch admission.health(of: state.name) {
        case .down(let since): ("down", since)
        case .loading(let since): ("loading", since)
        case .up, nil: (state.isUp ? "up" : "down", nil)
        }
    }

    private func append(_ slots: SlotRule, of name: String, to json: inout [UInt8]) {
        json.append(#","slots":{"used":"#)
        json.append(decimal: admission.running(on: name))
        let (total, isPerModel): (Int?, Bool) =
            switch slots {
            case .perBackend(let count): (count, false)
            case .perModel(let count): (count, true)
            case .unlimited: (nil, false)
            }
        json.append(#","total":"#)
        if let total { json.append(decimal: total) } else { json.append("null") }
        if isPerModel { json.append(#","per":"model""#) }
        json.append("}")
    }

    private func appendModels(of state: BackendState, to json: inout [UInt8]) {
        json.append(#","models":["#)
        for (index, model) in state.models.enumerated() {
            if index > 0 { json.append(UInt8(ascii: ",")) }
            json.append(#"{"id":"#)
            json.appendJSONString(model.id)
            if let loaded = state.loaded {
                json.append(loaded.contains(model.id) ? #","loaded":true"# : #","loaded":false"#)
            }
            json.append("}")
        }
        json.append("]")
    }
}

extension Worker {
    /// Answers an operator who asks for the backends.
    func respondWithBackends(_ incoming: IncomingRequest) {
        let id = desk.ids.next()
        desk.questions[id] = incoming
        tell(.describe(id), about: id)
    }
}
