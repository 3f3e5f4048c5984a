// Stands between the tests of the request writers and their API.

import Chat
import Dialects
import JSON

/// What a backend of `target` is sent for `body`.
func written(
    _ body: String, for target: RequestTarget
) throws -> (json: JSONText, text: String, request: UpstreamRequest) {
    let client = Array(body.utf8)
    let request = try makeUpstreamRequest(ChatRequest(reading: client), for: target)
    let bytes = request.bytes(client: client)
    return (try JSONText(bytes), String(decoding: bytes, as: UTF8.self), request)
}

/// The refusal of `body`, or `nil` if it is written.
func writeRefusal(_ body: String, for target: RequestTarget) -> APIError? {
    do {
        _ = try written(body, for: target)
        return nil
    } catch {
        return error as? APIError
    }
}

/// A target of `kind` whose model is called `m` on both sides.
func requestTarget(_ kind: UpstreamKind) -> RequestTarget {
    RequestTarget(kind: kind, upstreamModel: "m", clientModel: "m")
}

/// A target at Ollama whose model can do everything.
var ableOllama: RequestTarget {
    var able = requestTarget(.ollama)
    able.ollama.isKnown = true
    able.ollama.thinking = true
    able.ollama.tools = true
    able.ollama.vision = true
    able.ollama.audio = true
    able.ollama.takesLogprobsWithTools = true
    return able
}

/// A setting of a rule; `json` must be JSON.
func ruleSetting(_ name: String, _ json: String) throws -> ParameterRules.Setting {
    ParameterRules.Setting(name, try JSONText(Array(json.utf8)))
}

/// `{"model":"m","messages":[a user's hi], FIELDS}`.
func chatBody(_ fields: String) -> String {
    let more = fields.isEmpty ? "" : "," + fields
    return #"{"model":"m","messages":[{"role":"user","content":"hi"}]\#(more)}"#
}

/// `{"model":"m","messages":[MESSAGES]}`.
func chatBody(messages: String) -> String {
    #"{"model":"m","messages":[\#(messages)]}"#
}

/// Three tools: `f`, `g` and `h`.
let threeTools =
    #""tools":[{"type":"function","function":{"name":"f"}}, {"type":"function","function":"#
    + #"{"name":"g","parameters":{ }}},{"type":"function","function":{"name":"h"}}]"#

extension String {
    /// An object's text without its closing brace, to be gone on with.
    var opened: String { String(dropLast()) }
}
