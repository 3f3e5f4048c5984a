// `${VARIABLE}` in values.

internal import Configuration
internal import Text

/// A reference to a variable that cannot be followed.
struct ExpansionError: Error, CustomStringConvertible {
    let description: String
}

/// Replaces each `${NAME}` by the variable of that name. `$${` stands for `${`; any other `$` for
/// itself.
///
/// Happens after YAML is parsed, so that a value with quotes or line feeds in it stays one value,
/// and only once, so that a secret may contain `${`.
func expand(
    _ text: String, _ environment: [String: String]
) throws(ExpansionError) -> String {
    guard text.contains("${") else { return text }
    var result = ""
    var rest = text[...]
    while let start = rest.firstRange(of: "${") {
        let literal = rest[..<start.lowerBound]
        result += literal
        rest = rest[start.upperBound...]
        if literal.hasSuffix("$") {
            result += "{"
            continue
        }
        guard let end = rest.firstIndex(of: "}") else {
            throw ExpansionError(
                description: "\"${\" has no closing }; write ${NAME}, or $${ for the text itself")
        }
        let name = String(rest[..<end])
        guard isVariableName(name) else {
            throw ExpansionError(
                description: "${\(name)} names no variable; write letters, digits and _ only, "
                    + "or $${ for the text itself")
        }
        guard let value = environment[name] else {
            throw ExpansionError(
                description: "the environment variable \(name) is not set; set it, or write the "
                    + "value itself")
        }
        result += value
        rest = rest[rest.index(after: end)...]
    }
    return result + rest
}

private func isVariableName(_ name: String) -> Bool {
    guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
    return name.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
