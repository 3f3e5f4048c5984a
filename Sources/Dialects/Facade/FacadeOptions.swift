// Ollama's `options` as fields of OpenAI's API, and of llama-server's beyond it.

import Chat
import JSON

extension FacadeWriter {
    /// Writes every option that the backend has a word for, and reports the others. Only what the
    /// client sent is sent: the defaults are the backend's own.
    mutating func writeOptions() throws(APIError) {
        guard let options = request["options"] else { return }
        for option in uniqueMembers(of: options) where !option.value.isNull {
            let name = option.key.string ?? ""
            guard let rule = FacadeFields.option(name), rule.handling(for: kind) != .ignored
            else {
                ignored.insert("options.\(name)")
                continue
            }
            try writeOption(name, option.value)
        }
    }

    private mutating func writeOption(_ name: String, _ value: JSONText) throws(APIError) {
        switch name {
        case "num_predict":
            // Zero, and everything below it, is no limit to Ollama (wire notes, section 3).
            let limit = try integer(name, value)
            guard limit > 0 else { return }
            self.name("max_tokens")
            body.append(decimal: limit)
        case "num_keep":
            self.name("n_keep")
            body.append(decimal: try integer(name, value))
        case "seed", "top_k", "repeat_last_n", "mirostat":
            append(name: name)
            body.append(decimal: try integer(name, value))
        case "stop":
            let isText = value.kind == .string
            guard isText || value.kind == .array, value.elements.allSatisfy({ $0.kind == .string })
            else { throw .invalidValue("options.stop", "must be an array of strings") }
            guard !isEmptyValue(value) else { return }
            append(name: name)
            body += value.bytes
        default:
            guard value.double != nil else {
                throw .invalidValue("options.\(name)", "must be a number")
            }
            append(name: name)
            body += value.bytes
        }
    }

    /// A whole number; Ollama cuts a fraction off.
    private func integer(_ name: String, _ value: JSONText) throws(APIError) -> Int {
        if let number = value.int { return number }
        guard let number = value.double, number.magnitude < 0x1p53 else {
            throw .invalidValue("options.\(name)", "must be a number")
        }
        return Int(number)
    }

    private mutating func append(name: String) {
        if body.count > 1 { body.append(UInt8(ascii: ",")) }
        body.appendJSONString(name)
        body.append(UInt8(ascii: ":"))
    }
}
