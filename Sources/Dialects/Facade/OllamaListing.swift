// The lists of Ollama's API, of models whichever server has them.

public import JSON

/// Writes the entries of `/api/tags` and `/api/ps`, and the answer of `/api/show` for models of
/// other servers.
public enum OllamaListing {
    /// The version of the API that is spoken, by which clients decide what they may use.
    public static let version = "0.33.0"

    /// Appends an entry under the client's name. `own` is the entry of an Ollama, which is kept but
    /// for its name.
    public static func append(entry own: JSONText, named name: String, to json: inout [UInt8]) {
        json.append(#"{"name":"#)
        json.appendJSONString(name)
        json.append(#","model":"#)
        json.appendJSONString(name)
        for member in uniqueMembers(of: own)
        where !["name", "model"].contains(where: member.isNamed) {
            json.append(UInt8(ascii: ","))
            json += member.key.bytes
            json.append(UInt8(ascii: ":"))
            json += member.value.bytes
        }
        json.append(UInt8(ascii: "}"))
    }

    /// Appends an entry for a model of another server. `meta` is what llama-server tells in its list
    /// of models; `created` is in seconds since 1970.
    public static func append(
        named name: String, created: Int?, meta: JSONText?, isRunning: Bool, to json: inout [UInt8]
    ) {
        json.append(#"{"name":"#)
        json.appendJSONString(name)
        json.append(#","model":"#)
        json.appendJSONString(name)
        if isRunning {
            // For good: nobody unloads it.
            json.append(#","expires_at":"2318-01-01T00:00:00Z""#)
        } else {
            var time = FacadeTime()
            json.append(#","modified_at":"#)
            time.append(second: created ?? 0, to: &json)
        }
        json.append(#","size":"#)
        json.append(decimal: max(0, meta?["size"]?.int ?? 0))
        if isRunning {
            json.append(#","size_vram":0"#)
            if let context = meta?["n_ctx"]?.int {
                json.append(#","context_length":"#)
                json.append(decimal: context)
            }
        }
        json.append(#","digest":"","details":"#)
        appendDetails(meta, to: &json)
        if !isRunning { json.append(#","capabilities":["completion"]"#) }
        json.append(UInt8(ascii: "}"))
    }

    /// What `/api/show` tells of a model of another server. `properties` is llama-server's `/props`.
    public static func show(_ properties: JSONText?) -> [UInt8] {
        let caps = properties?["chat_template_caps"]
        var json = Array(#"{"modelfile":"","parameters":"","template":"#.utf8)
        json +=
            properties?["chat_template"].flatMap { $0.kind == .string ? $0.bytes : nil }
            ?? Array(#""""#.utf8)[...]
        json.append(#","details":"#)
        appendDetails(nil, to: &json)
        json.append(#","model_info":{"general.architecture":"llama""#)
        if let context = properties?["default_generation_settings"]?["n_ctx"]?.int {
            json.append(#","llama.context_length":"#)
            json.append(decimal: context)
        }
        json.append(#"},"capabilities":["completion""#)
        if caps?["supports_tools"]?.bool == true || caps?["supports_tool_calls"]?.bool == true {
            json.append(#","tools""#)
        }
        let template = properties?["chat_template"]?.string ?? ""
        if template.contains("enable_thinking") || caps?["supports_reasoning_effort"]?.bool == true
        {
            json.append(#","thinking""#)
        }
        let modalities = properties?["modalities"]
        if modalities?["vision"]?.bool == true { json.append(#","vision""#) }
        if modalities?["audio"]?.bool == true { json.append(#","audio""#) }
        json.append("]}")
        return json
    }

    private static func appendDetails(_ meta: JSONText?, to json: inout [UInt8]) {
        json.append(#"{"parent_model":"","format":"gguf","family":"","families":null,"#)
        json.append(#""parameter_size":"#)
        json.appendJSONString(size(meta?["n_params"]?.int))
        json.append(#","quantization_level":"#)
        json +=
            meta?["ftype"].flatMap { $0.kind == .string ? $0.bytes : nil }
            ?? Array(#""""#.utf8)[...]
        json.append(UInt8(ascii: "}"))
    }

    /// A number of parameters as Ollama writes it: `3.25M`, `8.0B`.
    private static func size(_ parameters: Int?) -> String {
        guard let parameters, parameters > 0 else { return "" }
        func tenths(_ unit: Int) -> String {
            let tenths = parameters / (unit / 10)
            return "\(tenths / 10).\(tenths % 10)"
        }
        if parameters >= 1_000_000_000 { return tenths(1_000_000_000) + "B" }
        if parameters >= 1_000_000 { return tenths(1_000_000) + "M" }
        return "\(parameters)"
    }
}
