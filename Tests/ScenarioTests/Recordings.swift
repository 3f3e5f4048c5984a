// The streamed chats recorded from real servers, as the bytes that were on the wire.

import JSON
import TestSupport

/// One recorded answer that is a stream of chat chunks.
struct Recording {
    var name: String
    var isOllama: Bool
    /// How many choices its request asked for.
    var choices: Int
    /// The answer: head, framing and body.
    var bytes: [UInt8]

    /// All of them, the shortest first.
    static func all() throws -> [Recording] {
        try (llamaServer() + ollama()).sorted {
            ($0.bytes.count, $0.name) < ($1.bytes.count, $1.name)
        }
    }

    private static func llamaServer() throws -> [Recording] {
        let end = ".response.http"
        var found: [Recording] = []
        for folder in try fixtureNames(in: "llama-server") where !folder.contains(".") {
            for file in try fixtureNames(in: "llama-server/\(folder)") where file.hasSuffix(end) {
                let name = "llama-server/\(folder)/\(file.dropLast(end.count))"
                let request = text(try fixture(name + ".request.http"))
                let bytes = try fixture(name + end)
                guard request.hasPrefix("POST"),
                    request.prefix(80).contains("/chat/completions"),
                    isSuccess(bytes, type: "text/event-stream")
                else { continue }
                let choices = request.contains(#""n": 2"#) || request.contains(#""n":2"#) ? 2 : 1
                found.append(
                    Recording(name: name, isOllama: false, choices: choices, bytes: bytes))
            }
        }
        return found
    }

    private static func ollama() throws -> [Recording] {
        var found: [Recording] = []
        for file in try fixtureNames(in: "ollama/cassettes") {
            for line in try fixture("ollama/cassettes/\(file)").split(separator: 0x0A) {
                guard let exchange = try? JSONText(Array(line)),
                    let name = exchange["name"]?.string,
                    exchange["request"]?.string?.hasPrefix("POST /api/chat") == true,
                    let answer = exchange["response"]?.string.map({ Array($0.utf8) }),
                    isSuccess(answer, type: "application/x-ndjson")
                else { continue }
                found.append(
                    Recording(name: "\(file)/\(name)", isOllama: true, choices: 1, bytes: answer))
            }
        }
        return found
    }

    private static func isSuccess(_ answer: [UInt8], type: String) -> Bool {
        let head = text(answer.prefix(1024))
        return head.hasPrefix("HTTP/1") && head.dropFirst(9).hasPrefix("200")
            && head.contains(type)
    }

    private static func text(_ bytes: some Sequence<UInt8>) -> String {
        String(decoding: Array(bytes), as: UTF8.self)
    }
}

/// What a stream of chat events adds up to, read alike from an upstream's events and a client's.
struct Gist: Equatable {
    /// Texts by choice and kind: `0 content`, `0 reasoning`, `0 tool 1`.
    private(set) var texts: [String: String] = [:]
    private(set) var finished: Set<Int> = []
    private(set) var errors: [String] = []
    private(set) var isDone = false
    /// Events after which nothing may come, followed by something.
    private(set) var late = 0
    /// Bytes that are no text were among them: what became of those is another test's affair.
    private(set) var hasStrayBytes = false
    private(set) var events = 0
    private var wholeCalls = 0

    /// Whether an answer of so many choices is complete.
    func isComplete(_ choices: Int) -> Bool { (0..<choices).allSatisfy(finished.contains) }

    /// Takes the data of one event; `false` if it is none.
    @discardableResult
    mutating func take(_ data: [UInt8], isOllama: Bool) -> Bool {
        if isDone || !errors.isEmpty { late += 1 }
        if data.elementsEqual("[DONE]".utf8) {
            isDone = true
            return true
        }
        guard let event = try? JSONText(Array(String(decoding: data, as: UTF8.self).utf8)) else {
            return false
        }
        if String(validating: data, as: UTF8.self) == nil { hasStrayBytes = true }
        events += 1
        if let error = event["error"] {
            errors.append(error["code"]?.string ?? error.description)
        } else if isOllama {
            add(event["message"], choice: 0, reasoning: "thinking")
            if event["done"]?.bool == true { finished.insert(0) }
        } else {
            for choice in event["choices"]?.elements ?? [] {
                let index = choice["index"]?.int ?? 0
                add(choice["delta"], choice: index, reasoning: "reasoning_content")
                if choice["finish_reason"]?.string != nil { finished.insert(index) }
            }
        }
        return true
    }

    private mutating func add(_ delta: JSONText?, choice: Int, reasoning: String) {
        guard let delta else { return }
        add(delta["content"]?.string, "\(choice) content")
        add(delta[reasoning]?.string, "\(choice) reasoning")
        for call in delta["tool_calls"]?.elements ?? [] {
            let arguments = call["function"]?["arguments"]
            // Ollama tells calls whole, without saying which is which.
            let index = call["index"]?.int ?? wholeCalls
            if call["index"] == nil { wholeCalls += 1 }
            add(arguments?.string ?? arguments?.description, "\(choice) tool \(index)")
        }
    }

    private mutating func add(_ text: String?, _ key: String) {
        guard let text, !text.isEmpty else { return }
        texts[key, default: ""] += text
    }

    /// The same without what Sluice adds: the arguments of a call that has none.
    var textsAsSent: [String: String] {
        texts.filter { !($0.key.contains("tool") && $0.value == "{}") }
    }
}
