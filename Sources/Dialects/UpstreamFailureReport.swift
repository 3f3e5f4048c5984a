// Reads what a backend says about its failure, in whatever form it says it.

internal import Text

import JSON

/// The words and facts of an error body, of an error event, or of an error line.
struct UpstreamFailureReport {
    /// One line, without URLs; never empty.
    private(set) var message = ""
    /// The error's `type`.
    private(set) var type: String?
    /// The error's `code`, where it is a word.
    private(set) var code: String?
    /// The status the error itself names: llama-server's numeric `code`.
    private(set) var status: Int?
    /// The field of the request that is wrong, if the backend names one.
    private(set) var param: String?
    /// Whether the backend said anything.
    private(set) var hasMessage = true

    /// Ollama puts llama-server's whole answer into a string: an error in an error in a string in
    /// an error.
    private static let levels = 6

    private var promptTokens: Int?
    private var contextSize: Int?

    /// Reads an error body: JSON whatever its type says, else text or HTML.
    init(reading body: [UInt8], contentType: String?) {
        // Anything that is not JSON is text, which is the other branch.
        if let json = try? JSONText(body), json.kind == .object || json.kind == .string {
            finish(unwrap(json, levels: Self.levels))
            return
        }
        let isHTML =
            contentType?.lowercased().contains("html") == true
            || body.first { $0 > 0x20 } == UInt8(ascii: "<")
        // What a person needs stands at the top.
        let text = String(decoding: body.prefix(8192), as: UTF8.self)
        finish(isHTML ? withoutTags(text) : text)
    }

    /// Reads an error value: the object or string in `error`, or the object around it.
    init(reading value: JSONText) {
        finish(unwrap(value, levels: Self.levels))
    }

    /// The sizes of a prompt that does not fit, as fields or in llama-server's sentence.
    var contextSizes: (prompt: Int?, context: Int?) {
        if promptTokens != nil || contextSize != nil { return (promptTokens, contextSize) }
        // "request (9005 tokens) exceeds the available context size (4096 tokens)…"
        let numbers = message.split(separator: "(").compactMap { part -> Int? in
            let words = part.split(separator: " ", maxSplits: 1)
            guard words.count == 2, words[1].hasPrefix("tokens)") else { return nil }
            return Int(words[0])
        }
        return numbers.count == 2 ? (numbers[0], numbers[1]) : (nil, nil)
    }

    private mutating func finish(_ text: String) {
        message = oneLine(text, limit: 500)
        if message.isEmpty {
            hasMessage = false
            message = "it gave no reason."
        }
    }

    /// Goes down to the innermost error, keeping the facts on the way; returns its words.
    private mutating func unwrap(_ value: JSONText, levels: Int) -> String {
        if value.kind == .string {
            let text = value.string ?? ""
            guard levels > 0, text.utf8.first == UInt8(ascii: "{"),
                // A string that only looks like JSON is the message itself.
                let inner = try? JSONText(Array(text.utf8)), inner.kind == .object
            else { return text }
            return unwrap(inner, levels: levels - 1)
        }
        guard value.kind == .object else { return value.isNull ? "" : value.description }
        note(value)
        for name in ["error", "message", "detail"] {
            guard let inner = value[name], !inner.isNull else { continue }
            return levels > 0 ? unwrap(inner, levels: levels - 1) : inner.description
        }
        return value.description
    }

    private mutating func note(_ error: JSONText) {
        type = error["type"]?.string ?? type
        param = error["param"]?.string ?? param
        promptTokens = error["n_prompt_tokens"]?.int ?? promptTokens
        contextSize = error["n_ctx"]?.int ?? contextSize
        guard let code = error["code"] else { return }
        self.code = code.string ?? self.code
        if let number = code.int ?? code.string.flatMap({ Int($0) }), (400..<600).contains(number) {
            status = number
        }
    }
}
