// The events of a stream in few words, so that a scenario can say a whole stream in a line.

import JSON

/// What a stream of server-sent events says.
struct EventWords {
    /// One text for each event: `role`, `content "Hel"`, `finish stop`, `usage 10+2`, `error
    /// token_timeout`, `[DONE]`.
    private(set) var events: [String] = []
    /// How many comments stand between them.
    private(set) var comments = 0
    /// What does not stand in a stream of chat chunks.
    private(set) var faults: [String] = []

    init(_ body: [UInt8]) {
        for block in String(decoding: body, as: UTF8.self).split(separator: "\n\n") {
            if block.hasPrefix(":") {
                comments += 1
            } else if block.hasPrefix("data: ") {
                events.append(word(for: String(block.dropFirst(6))))
            } else {
                faults.append(String(block.prefix(80)))
            }
        }
    }

    var text: String { events.joined(separator: ", ") }

    private mutating func word(for data: String) -> String {
        if data == "[DONE]" { return data }
        guard let json = try? JSONText(Array(data.utf8)) else {
            faults.append("not JSON: \(data.prefix(80))")
            return "?"
        }
        if let error = json["error"] { return "error \(error["code"]?.string ?? "without-code")" }
        guard let choices = json["choices"]?.elements else { return "?" }
        if let usage = json["usage"], usage.kind == .object, choices.isEmpty {
            let counts = ["prompt_tokens", "completion_tokens"].map { usage[$0]?.int ?? -1 }
            return "usage \(counts[0])+\(counts[1])"
        }
        return choices.map(Self.word(for:)).joined(separator: " & ")
    }

    private static func word(for choice: JSONText) -> String {
        let index = choice["index"]?.int ?? -1
        let prefix = index == 0 ? "" : "#\(index) "
        if let reason = choice["finish_reason"]?.string { return prefix + "finish \(reason)" }
        guard let delta = choice["delta"] else { return prefix + "?" }
        if let call = delta["tool_calls"]?.elements.first {
            let function = call["function"]
            let name = function?["name"]?.string.map { $0 + " " } ?? ""
            let arguments = function?["arguments"]?.description ?? ""
            return prefix + "tool \(call["index"]?.int ?? -1) \(name)\(arguments)"
        }
        if let text = delta["reasoning_content"] { return prefix + "reasoning \(text)" }
        if delta["role"] != nil { return prefix + "role" }
        return prefix + (delta["content"].map { "content \($0)" } ?? "empty")
    }
}

/// The value at a path such as `choices.0.message.content`; `nil` if there is none.
func value(at path: String, in body: [UInt8]) -> JSONText? {
    // A body that is not JSON has no value at any path.
    var value = try? JSONText(body)
    for part in path.split(separator: ".") {
        if let index = Int(part), let elements = value?.elements, value?.kind == .array {
            value = elements.indices.contains(index) ? elements[index] : nil
        } else {
            value = value?[String(part)]
        }
    }
    return value
}

/// Whether a value is the one a scenario writes. Strings are compared by their text, the rest as it
/// stands.
func isSame(_ found: JSONText?, _ written: String) -> Bool {
    guard let found else { return false }
    // What a scenario writes may be no JSON at all; then it is compared as it stands.
    if found.kind == .string, let wanted = try? JSONText(Array(written.utf8)) {
        return found.string == wanted.string
    }
    return found.description == written
}
