// What `tool_choice` asks for, and which of the tools it leaves.

import Chat
import JSON

/// OpenAI's `tool_choice`.
enum ToolChoice: Equatable {
    /// The model decides; also when the field is absent.
    case auto
    /// No call.
    case none
    /// At least one call.
    case required
    /// Only these tools, by name; `isForced` if one of them must be called.
    case only([String], isForced: Bool)
    /// A kind of choice that only OpenAI itself knows.
    case other

    /// Reads the field; `nil` means absent.
    init(_ value: JSONText?) throws(APIError) {
        guard let value else {
            self = .auto
            return
        }
        guard value.kind == .object else {
            self = try Self.named(value)
            return
        }
        if let name = value["function"]?["name"]?.string {
            self = .only([name], isForced: true)
        } else if let allowed = value["allowed_tools"] {
            let names = allowed["tools"]?.elements.compactMap { $0["function"]?["name"]?.string }
            self = .only(names ?? [], isForced: allowed["mode"]?.isString("required") == true)
        } else if value["type"]?.isString("function") == true {
            throw .missingField("tool_choice.function.name")
        } else {
            self = .other
        }
    }

    private static func named(_ value: JSONText) throws(APIError) -> ToolChoice {
        switch value.string {
        case "auto": return .auto
        case "none": return .none
        case "required": return .required
        default:
            throw .invalidValue(
                "tool_choice", #"must be "none", "auto", "required" or name a function"#)
        }
    }

    /// The tools this choice leaves of `tools`; `nil` if it leaves all.
    ///
    /// - Throws: `invalid_value` if it names a function that is not there.
    func select(from tools: JSONText?) throws(APIError) -> [JSONText]? {
        guard case .only(let names, _) = self else { return nil }
        let tools = tools?.elements ?? []
        let chosen = tools.filter { tool in
            guard let name = tool["function"]?["name"]?.string else { return false }
            return names.contains(name)
        }
        guard !chosen.isEmpty else {
            throw .invalidValue("tool_choice", "names a function that is not in 'tools'")
        }
        return chosen
    }
}
