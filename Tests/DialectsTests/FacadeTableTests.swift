// docs/PROTOCOLS.md's tables of Ollama's API against the code: a row that is untrue fails.

import Chat
import Dialects
import JSON
import Synchronization
import TestSupport
import Testing

@Suite struct FacadeTableTests {
    // MARK: - Requests

    @Test(arguments: OllamaRequest.Endpoint.allCases)
    func everyFieldHasItsRow(_ endpoint: OllamaRequest.Endpoint) throws {
        let table = FacadeFields.table(endpoint)
        try expectRows("api/\(endpoint.rawValue)", table)
        #expect(table.map(\.name) == OllamaRequest.knownFields(endpoint))
    }

    @Test func everyOptionHasItsRow() throws { try expectRows("options", FacadeFields.options) }

    private func expectRows(_ name: String, _ table: [FieldRule]) throws {
        let rows = try documentRows(under: "| field of \(name) | llama-server | openai | ollama |")
        let expected = table.map {
            ["`\($0.name)`", $0.llamaServer.rawValue, $0.openAI.rawValue, $0.ollama.rawValue]
        }
        #expect(rows == expected)
    }

    /// A value that says something, for each field.
    private static let values: [String: String] = [
        "context": "[1,2]", "dimensions": "4", "format": #"{"type":"object"}"#,
        "images": #"["iVBORw0KGgo="]"#, "input": #"["a","b"]"#, "keep_alive": #""5m""#,
        "logprobs": "true", "messages": #"[{"role":"user","images":["x"]}]"#,
        "model": #""c""#, "options": #"{"num_predict":3}"#, "prompt": #""p""#, "raw": "true",
        "shift": "true", "stream": "false", "suffix": #""s""#, "system": #""y""#,
        "template": #""t""#, "think": #""low""#, "tools": #"[{"function":{"name":"f"}}]"#,
        "top_logprobs": "2", "truncate": "true",
    ]

    static let fields = OllamaRequest.Endpoint.allCases.flatMap { endpoint in
        FacadeFields.table(endpoint).flatMap { rule in
            UpstreamKind.allCases.map { (endpoint, rule.name, $0) }
        }
    }

    @Test(arguments: fields)
    func everyFieldIsHandledAsItsRowSays(
        _ endpoint: OllamaRequest.Endpoint, _ name: String, _ kind: UpstreamKind
    ) throws {
        let value = try #require(Self.values[name])
        var members = ["model": #""c""#]
        switch endpoint {
        case .chat: members["messages"] = #"[{"role":"user"}]"#
        case .generate, .embeddings: members["prompt"] = #""q""#
        case .embed: members["input"] = #""q""#
        }
        // Both say what tokens were likely; the second needs the first.
        if name == "top_logprobs" { members["logprobs"] = "true" }
        let without = Self.body(members)
        members[name] = value
        let rule = try #require(FacadeFields.table(endpoint).first { $0.name == name })
        try check(endpoint, name, rule.handling(for: kind), kind, Self.body(members), without)
    }

    private static func body(_ members: [String: String]) -> String {
        "{"
            + members.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }
            .joined(separator: ",") + "}"
    }

    private func check(
        _ endpoint: OllamaRequest.Endpoint, _ name: String, _ handling: FieldHandling,
        _ kind: UpstreamKind, _ body: String, _ without: String
    ) throws {
        if handling == .refused {
            #expect(refusal(endpoint, body, for: requestTarget(kind))?.param == name)
            return
        }
        let value = try #require(JSONValue(body.utf8)?[name])
        var target = requestTarget(kind)
        target.upstreamModel = "up"
        let (json, request) = try written(endpoint, body, for: target)
        let (bare, _) = try written(endpoint, without, for: target)
        switch handling {
        case .honoured: #expect(json[name] == value && request.ignored.isEmpty)
        case .mapped:
            #expect(request.ignored.isEmpty && (name == "model" || json[name] != value))
            #expect(json != bare || name == "model" || name == "stream")
        case .ignored: #expect(json == bare && request.ignored == [name])
        case .refused: break
        }
    }

    static let options = FacadeFields.options.flatMap { rule in
        [UpstreamKind.llamaServer, .openAI, .ollama].map { (rule.name, $0) }
    }

    @Test(arguments: options)
    func everyOptionIsHandledAsItsRowSays(_ name: String, _ kind: UpstreamKind) throws {
        let rule = try #require(FacadeFields.options.first { $0.name == name })
        let value = name == "stop" ? #"["x"]"# : "3"
        let body = #"{"messages":[{"role":"user"}],"options":{"\#(name)":\#(value)}}"#
        let (json, request) = try written(.chat, body, for: requestTarget(kind))
        let sent = kind == .ollama ? json["options"] : json
        switch rule.handling(for: kind) {
        case .honoured: #expect(sent?[name] == JSONValue(value.utf8) && request.ignored.isEmpty)
        case .mapped:
            let other = name == "num_predict" ? "max_tokens" : "n_keep"
            #expect(json[other]?.int == 3 && json[name] == nil && request.ignored.isEmpty)
        case .ignored: #expect(json[name] == nil && request.ignored == ["options.\(name)"])
        case .refused: Issue.record("no option is refused")
        }
    }

    @Test func whatNobodyKnowsIsReported() throws {
        let body = #"{"messages":[{"role":"user"}],"steps":3,"options":{"low_vram":true}}"#
        let (_, request) = try written(.chat, body, for: requestTarget(.llamaServer))
        #expect(request.ignored == ["options.low_vram", "steps"])
    }

    // MARK: - Records

    private static let call =
        #"{"id":"x","function":{"index":0,"name":"f","arguments":{"a":1}}}"#
    private static let ends =
        #""done":true,"done_reason":"length","context":[7],"total_duration":6,"load_duration":5,"#
        + #""prompt_eval_count":4,"prompt_eval_duration":3,"eval_count":2,"eval_duration":1}"#

    /// Records of an Ollama in which every member says something.
    private static func records(_ endpoint: OllamaRequest.Endpoint) -> [String] {
        let head = #"{"model":"up","created_at":"t","#
        let text =
            endpoint == .chat
            ? #""message":{"role":"assistant","content":"Hi","thinking":"Hm","tool_calls":[\#(call)]}"#
            : #""response":"Hi","thinking":"Hm""#
        return [
            head + text + #","done":false,"logprobs":[{"token":"Hi"}]}"#, head + text + "," + ends,
        ]
    }

    /// Chunks that say the same.
    private static let chunks = [
        deltaEvent(#"{"reasoning_content":"Hm"}"#),
        #"{"choices":[{"index":0,"delta":{"content":"Hi"},"logprobs":{"content":[{"token":"Hi"}]},"finish_reason":null}]}"#,
        deltaEvent(
            #"{"tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":"{\"a\":1}"}}]}"#
        ),
        deltaEvent("{}", finish: #""length""#),
        #"{"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6},"timings":{"prompt_ms":3,"predicted_ms":1}}"#,
    ]

    @Test(arguments: [OllamaRequest.Endpoint.chat, .generate])
    func everyMemberOfARecordIsWhatItsRowSays(_ endpoint: OllamaRequest.Endpoint) throws {
        let rows = try documentRows(under: "| record | over llama-server, openai | over ollama |")
        #expect(rows.count == 18)
        let ticking = Mutex(0)
        let request = try OllamaRequest(reading: Array(#"{"prompt":"p"}"#.utf8), endpoint)
        let answer = OllamaAnswer(request, model: "asked") {
            ticking.withLock { now in
                now += 1000
                return now
            }
        }
        let upstream = Self.records(endpoint)
        let relayed = decode(
            .ollama, [Array((upstream.joined(separator: "\n") + "\n").utf8)], for: answer)
        let made = decode(.openAI, [eventBody(Self.chunks)], for: answer)
        #expect(relayed.error == nil && made.error == nil)
        for row in rows {
            let path = row[0].filter { $0 != "`" }
            let said = values(path, upstream.compactMap { JSONValue($0.utf8) })
            // What the other endpoint has.
            if said.isEmpty, path != "context" { continue }
            let passed = values(path, relayed.records)
            #expect(row[2] == (passed == said ? "passed" : "mapped"), "\(path)")
            let own = values(path, made.records)
            #expect((row[1] == "—") == own.isEmpty, "\(path)")
        }
    }

    /// What stands at a path like `message.content`, in all records.
    private func values(_ path: String, _ records: [JSONValue]) -> [JSONValue] {
        let steps = path.split(separator: ".").map(String.init)
        return records.compactMap { record in
            steps.reduce(record as JSONValue?) { $0?[$1] }
        }
    }
}
