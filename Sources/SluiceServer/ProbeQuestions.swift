// What a probe asks each kind of backend, and what it makes of the answers.

internal import Configuration
internal import Dialects
internal import Glibc
internal import JSON
internal import Routing

/// The system gave up a connection that nobody answered.
let connectTimedOut = ETIMEDOUT

/// One question, ready to be sent.
struct ProbeRequest {
    var question: Probe.Question
    /// The model it is about.
    var subject = ""
    var method = "GET"
    var path: String
    var body: [UInt8]?

    init(_ question: Probe.Question, _ path: String) {
        (self.question, self.path) = (question, path)
    }

    /// A question about a model, in the form that Ollama takes.
    init(
        _ question: Probe.Question, subject: String, _ method: String, _ path: String,
        model: String
    ) {
        (self.question, self.subject, self.method, self.path) = (question, subject, method, path)
        var body: [UInt8] = Array(#"{"model":"#.utf8)
        body.appendJSONString(model)
        body.append(UInt8(ascii: "}"))
        self.body = body
    }
}

extension Probe {
    /// The request for a question; `nil` if there is nothing to ask.
    func request(_ question: Question) -> ProbeRequest? {
        switch question {
        case .models:
            guard let models = state.settings.models else {
                return ProbeRequest(question, found.kind == .ollama ? "/api/tags" : "/v1/models")
            }
            found.models = models.map { ModelInfo(id: $0) }
            return nil
        case .properties: return ProbeRequest(question, "/props")
        case .slotsOfAModel:
            // A router has none itself; each of its models is a server with its own.
            guard found.residentModels != nil, state.settings.slots == .auto,
                let model = found.loaded?.first
            else { return nil }
            return ProbeRequest(question, "/props?autoload=false&model=\(percentEncoded(model))")
        case .running: return ProbeRequest(question, "/api/ps")
        case .abilities: return nil
        }
    }

    /// Takes an answer; returns what makes the backend of no use, in words for people.
    func take(_ question: Question, _ subject: String, _ status: Int, _ body: [UInt8]) -> String? {
        // Whatever is not JSON tells nothing.
        let json = status == 200 ? try? JSONText(body) : nil
        switch question {
        case .models: return takeModels(status, json)
        case .properties: takeProperties(json)
        case .slotsOfAModel:
            if let slots = json?["total_slots"]?.told { found.slots = .perModel(slots) }
        case .running: takeRunning(json)
        case .abilities:
            // Not knowing is a state of its own; it is asked again in the next round.
            if let json {
                found.capabilities[subject] = OllamaCapabilities(show: json, version: version)
            }
        }
        return nil
    }

    private func takeModels(_ status: Int, _ json: JSONText?) -> String? {
        switch status {
        case 200: break
        case 401, 403: return "refused our key (status \(status))"
        case 503: return "is still loading its model"
        default: return "answered the question for its models with \(status)"
        }
        guard let json else {
            return "answered the question for its models with something not JSON"
        }
        let isOllama = found.kind == .ollama
        let list = (isOllama ? json["models"] : json["data"])?.elements ?? []
        found.models = list.compactMap { entry in
            guard let id = entry[isOllama ? "name" : "id"]?.string else { return nil }
            // llama-server's `created` is the time of the question, so the first one is kept:
            // a model is no news because it is listed again.
            return state.models.first { $0.id == id }
                ?? ModelInfo(
                    id: id, created: entry["created"]?.moment, ownedBy: entry["owned_by"]?.string,
                    aliases: entry["aliases"]?.elements.compactMap(\.string) ?? [])
        }
        // `/api/tags` does not know what a chat template adds (wire notes of Ollama, section 5), so
        // each model is asked for, once.
        let names = found.models.map(\.id)
        found.capabilities = found.capabilities.filter { names.contains($0.key) }
        unasked = isOllama ? names.filter { found.capabilities[$0] == nil } : []
        takeStatus(of: list)
        return nil
    }

    /// A router says of each model whether it is loaded. What else stands there (paths, the command
    /// line) is not looked at.
    private func takeStatus(of list: [JSONText]) {
        let told = list.compactMap { entry -> (id: String, status: String)? in
            guard let id = entry["id"]?.string, let status = entry["status"]?["value"]?.string
            else { return nil }
            return (id, status)
        }
        guard !told.isEmpty else { return }
        found.loaded = told.filter { $0.status == "loaded" || $0.status == "loading" }.map(\.id)
    }

    private func takeProperties(_ json: JSONText?) {
        // What was known stays, if it does not say.
        guard let json else { return }
        let isRouter = json["role"]?.isString("router") == true
        found.residentModels = isRouter ? json["max_instances"]?.toldLimit : nil
        // A router that was asked before keeps what its models said.
        guard !isRouter || state.settings.slots != .auto else { return }
        found.slots = SlotRule(
            found.kind, state.settings.slots, discovered: json["total_slots"]?.told)
    }

    private func takeRunning(_ json: JSONText?) {
        guard let list = json?["models"]?.elements else { return }
        found.loaded = list.compactMap { $0["name"]?.string }
        found.slots = SlotRule(.ollama, state.settings.slots)
    }
}

extension JSONText {
    /// The number as seconds since 1970, unless the year would have more than four digits: some
    /// servers tell milliseconds.
    fileprivate var moment: Int? {
        guard let int, 0..<253_402_300_800 ~= int else { return nil }
        return int
    }

    /// The number as a count of what a server has, within what can be added up.
    fileprivate var told: Int? { int.map { min(max($0, 1), 1 << 20) } }

    /// The same where 0 means any number.
    fileprivate var toldLimit: Int? { int.map { $0 > 0 ? min($0, 1 << 20) : 1 << 20 } }
}

/// A model's name as the value of a query (RFC 3986, section 3.4).
func percentEncoded(_ text: String) -> String {
    text.utf8.map { byte in
        let character = Character(UnicodeScalar(byte))
        if byte < 0x80, character.isLetter || character.isNumber || "-._~".contains(character) {
            return String(character)
        }
        let digits = String(byte, radix: 16, uppercase: true)
        return "%" + (digits.utf8.count < 2 ? "0" : "") + digits
    }.joined()
}
