// Turns YAML values into JSON text, for the request fields of model rules.

internal import Configuration

extension ConfigurationReader {
    /// The JSON text (RFC 8259) of a value; `nil` if it was reported.
    ///
    /// Plain words are read as YAML 1.2's core schema says, but `yes`, `no`, `on` and `off`, which
    /// older YAML takes for truth values, must be quoted or written as what they mean.
    mutating func json(_ node: Node, _ path: String) -> String? {
        switch node.content {
        case .list(let nodes):
            var parts: [String] = []
            for (index, node) in nodes.enumerated() {
                guard let part = json(node, "\(path)[\(index)]") else { return nil }
                parts.append(part)
            }
            return "[" + parts.joined(separator: ",") + "]"
        case .map(let entries):
            var parts: [String] = []
            for entry in entries {
                guard let part = json(entry.value, join(path, entry.key)) else { return nil }
                parts.append(jsonString(entry.key) + ":" + part)
            }
            return "{" + parts.joined(separator: ",") + "}"
        case .scalar(_, let isPlain):
            guard let text = text(node, path) else { return nil }
            return isPlain ? plainJSON(text, node, path) : jsonString(text)
        }
    }

    /// A number as JSON text; anything else is reported.
    mutating func jsonNumber(_ node: Node, _ path: String) -> String? {
        guard let text = text(node, path) else { return nil }
        if case .scalar(_, isPlain: true) = node.content, let number = normalNumber(text) {
            return number
        }
        report(node.mark, path, "\(quoted(text)) is not a number; write one like 4096 or 0.7")
        return nil
    }

    private mutating func plainJSON(_ text: String, _ node: Node, _ path: String) -> String? {
        switch text.lowercased() {
        case "", "~", "null": return "null"
        case "true": return "true"
        case "false": return "false"
        case "yes", "no", "on", "off":
            report(
                node.mark, path,
                "\(text) may be a word or a truth value; write true, false or \"\(text)\"")
            return nil
        case ".inf", "+.inf", "-.inf", ".nan":
            report(node.mark, path, "\(text) is no number in JSON; write a finite one")
            return nil
        default: return normalNumber(text) ?? jsonString(text)
        }
    }
}

/// A plain YAML number as JSON wants it: no `+`, no leading zeros, digits on both sides of the
/// point. `nil` if it is text. Hexadecimal and octal numbers count as text: no request field is
/// written so.
func normalNumber(_ text: String) -> String? {
    var rest = Substring(text).utf8
    var result = ""
    if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
        if sign == UInt8(ascii: "-") { result = "-" }
        rest = rest.dropFirst()
    }
    let whole = takeDigits(&rest)
    var fraction: Substring?
    if rest.first == UInt8(ascii: ".") {
        rest = rest.dropFirst()
        fraction = takeDigits(&rest)
    }
    guard !whole.isEmpty || fraction?.isEmpty == false else { return nil }
    let significant = whole.drop { $0 == "0" }
    result += significant.isEmpty ? "0" : significant
    if let fraction, !fraction.isEmpty { result += "." + fraction }
    if let mark = rest.first, mark | 0x20 == UInt8(ascii: "e") {
        rest = rest.dropFirst()
        result += "e"
        if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            if sign == UInt8(ascii: "-") { result += "-" }
            rest = rest.dropFirst()
        }
        let exponent = takeDigits(&rest)
        guard !exponent.isEmpty else { return nil }
        result += exponent
    }
    // A number that no reader could hold would break the request it is put into.
    guard rest.isEmpty, let value = Double(result), value.isFinite else { return nil }
    return result
}

private func takeDigits(_ rest: inout Substring.UTF8View) -> Substring {
    let digits = rest.prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
    rest = rest.dropFirst(digits.count)
    return Substring(digits)
}

/// `text` as a JSON string, quotes included (RFC 8259, section 7).
func jsonString(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case "\u{0}"..."\u{1F}":
            let digits = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}
