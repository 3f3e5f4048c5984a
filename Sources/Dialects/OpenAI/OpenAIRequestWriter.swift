// Writes a chat request for llama-server and for other servers of OpenAI's API.

import Chat
import JSON

/// The client's JSON as it is, but for what the proxy and the backend need otherwise.
struct OpenAIRequestWriter {
    private let request: ChatRequest
    private let kind: UpstreamKind
    private let parameters: RequestParameters
    private var splice: OpenAIRequestSplice
    private var ignored = IgnoredFields()

    init(_ request: ChatRequest, _ target: RequestTarget) {
        self.request = request
        kind = target.kind
        parameters = RequestParameters(request, target)
        splice = OpenAIRequestSplice(request.json.source, request.members, parameters)
    }

    /// The request, for the target that the writer was made for. The writer is spent afterwards.
    consuming func write(for target: RequestTarget) throws(APIError) -> UpstreamRequest {
        splice.setModel(target.upstreamModel, of: request)
        splice.askForAStream(request)
        let lookalikes = parameters.lookalikes(for: target) { FieldRule.named($0) != nil }
        for name in lookalikes {
            splice.remove(name)
            ignored.insert(name)
        }
        editMessages(keepsDeveloperRole: target.keepsDeveloperRole)
        if target.kind == .llamaServer {
            limitTokensOfLlamaServer()
            repairTools()
            try chooseTools()
        } else {
            dropAbsentLimits()
        }
        reportIgnored()
        return UpstreamRequest(
            path: "/v1/chat/completions", body: splice.finish(), ignored: ignored.names)
    }

    /// What a backend would drop or refuse in the messages.
    private mutating func editMessages(keepsDeveloperRole: Bool) {
        guard !request.developerRoles.isEmpty || !request.repairs.isEmpty else { return }
        var edits: [OpenAIRequestSplice.Edit] = []
        // A template that does not name the role may drop it, and with it the instructions.
        if !keepsDeveloperRole {
            edits += request.developerRoles.map {
                OpenAIRequestSplice.Edit(range: $0, replacement: Array(#""system""#.utf8))
            }
        }
        // Clients replay what they were sent, nulls included, and older kinds of calls.
        if kind == .llamaServer {
            edits += request.repairs.map {
                OpenAIRequestSplice.Edit(range: $0.range, replacement: $0.text)
            }
        }
        edits.sort { $0.range.lowerBound < $1.range.lowerBound }
        splice.edit("messages", edits)
    }

    /// Not every build of llama-server reads `max_completion_tokens`, so it is sent as `max_tokens`
    /// too.
    private mutating func limitTokensOfLlamaServer() {
        guard parameters["max_completion_tokens"]?.value.int != nil else { return }
        let limits = ["max_completion_tokens", "max_tokens"].compactMap {
            parameters[$0]?.value.int
        }
        let limit = limits.filter { $0 > 0 }.min() ?? -1
        guard parameters["max_tokens"]?.value.int != limit else { return }
        splice.set("max_tokens", "\(limit)")
    }

    /// −1 is llama-server's word for no limit; elsewhere the absent field says it.
    private mutating func dropAbsentLimits() {
        for entry in parameters.tokenLimits where entry.value.int == -1 {
            splice.remove(entry.name)
        }
    }

    /// What llama-server could not read in the tools.
    private mutating func repairTools() {
        guard let tools = parameters["tools"], tools.isClients else { return }
        splice.edit("tools", tools.value.elements.flatMap(Self.repairs))
    }

    /// Null is no description; llama-server takes it for one that is no text.
    private static func repairs(of tool: JSONText) -> [OpenAIRequestSplice.Edit] {
        guard let function = tool["function"], let description = function["description"],
            description.isNull
        else { return [] }
        return [.init(range: description.range, replacement: Array(#""""#.utf8))]
    }

    /// llama-server reads `tool_choice` as a word and takes an object for "auto" (wire notes,
    /// section 3): a named function becomes the only tool, and calling one is required.
    private mutating func chooseTools() throws(APIError) {
        let choice = try ToolChoice(parameters["tool_choice"]?.value)
        // Sent as it is, and without effect there.
        guard choice != .other else { return ignored.insert("tool_choice") }
        let tools = parameters["tools"]
        guard case .only(_, let isForced) = choice,
            let chosen = try choice.select(from: tools?.value)
        else { return }
        var parts: [BodyPart] = []
        for tool in chosen {
            parts.append(.bytes([parts.isEmpty ? UInt8(ascii: "[") : UInt8(ascii: ",")]))
            guard tools?.isClients == true else {
                parts.append(.bytes(Array(tool.bytes)))
                continue
            }
            var start = tool.range.lowerBound
            for edit in Self.repairs(of: tool) {
                parts += [.client(start..<edit.range.lowerBound), .bytes(edit.replacement)]
                start = edit.range.upperBound
            }
            parts.append(.client(start..<tool.range.upperBound))
        }
        splice.set("tools", parts + [.bytes([UInt8(ascii: "]")])])
        splice.set("tool_choice", isForced ? #""required""# : #""auto""#)
    }

    /// Names what the backend is known to pass over. It is sent all the same: a newer build may
    /// know it.
    private mutating func reportIgnored() {
        for entry in parameters.entries {
            guard let place = FieldRule.place(of: entry.name),
                FieldRule.table[place].handling(for: kind) == .ignored,
                !FieldRule.table[place].isHarmless(entry.value)
            else { continue }
            ignored.insert(entry.name)
        }
    }
}
