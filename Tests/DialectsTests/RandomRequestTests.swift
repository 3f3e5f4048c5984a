// Requests made at random, from a seed: what is written is always JSON, and what was not to change
// did not.

import Chat
import Dialects
import JSON
import TestSupport
import Testing

@Suite struct RandomRequestTests {
    private static let names = [
        "model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature",
        "top_k", "stop", "user", "x", "options", "response_format", "reasoning_effort",
    ]

    /// Values that are right for the field, so that requests get through.
    private static func values(for name: String) -> [String] {
        switch name {
        case "model": [#""m""#, #""a\u002fb""#]
        case "stream": ["true", "false", "null"]
        case "stream_options":
            [
                "{}", "null", #"{ "include_usage" : false }"#, #"{"x":{},"include_usage":true}"#,
            ]
        case "max_tokens", "max_completion_tokens": ["-1", "7", "null", "9.0"]
        case "temperature": ["0.50", "1e-1", "null"]
        case "stop": [#""}{,\"""#, #"["a" , "b"]"#, "[]"]
        case "user": [#""u\"}""#]
        case "options": [#"{"seed":1,"seed":2}"#, "{ }", #"{"temperature":1}"#]
        case "response_format": [#"{"type":"text"}"#, #"{ "type":"json_object"}"#]
        case "reasoning_effort": [#""low""#, "null"]
        default: ["[1, {}]", #"{"a" : [ ]}"#, "-0.0", #""\ud83e\udd99""#, "null"]
        }
    }

    private static let messages = [
        #"[{"role":"user","content":"hi, }"}]"#,
        #"[ {"role":"developer","content":[{"type":"text","text":"a"}]} ,{"role":"assistant"}]"#,
    ]

    /// A body of random members, duplicates among them, and random white space.
    private func body(_ random: inout SplitMix) -> String {
        let spaces = ["", "", " ", "\n", "\t "]
        var members = [("messages", Self.messages.randomElement(using: &random) ?? "")]
        for _ in 0..<Int.random(in: 0...12, using: &random) {
            let name = Self.names.randomElement(using: &random) ?? ""
            members.append((name, Self.values(for: name).randomElement(using: &random) ?? ""))
        }
        members.shuffle(using: &random)
        func space() -> String { spaces.randomElement(using: &random) ?? "" }
        let text = members.map { "\(space())\"\($0)\"\(space()):\(space())\($1)\(space())" }
        return "\(space()){\(text.joined(separator: ","))}\(space())"
    }

    private func rules(_ random: inout SplitMix) throws -> ParameterRules {
        var rules = ParameterRules()
        if Bool.random(using: &random) { rules.defaults = [try ruleSetting("top_k", "40")] }
        if Bool.random(using: &random) { rules.sets = [try ruleSetting("temperature", "0.3")] }
        if Bool.random(using: &random) { rules.caps = [try ruleSetting("max_tokens", "8")] }
        if Bool.random(using: &random) { rules.drops = ["user", "x"] }
        return rules
    }

    @Test func everyMemberNotToBeChangedIsKeptByteForByte() throws {
        let changed: Set = [
            "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens",
            "temperature", "top_k", "user", "x",
        ]
        var random = SplitMix(seed: 7)
        for round in 0..<200 {
            let body = body(&random)
            var route = requestTarget(round % 2 == 0 ? .llamaServer : .openAI)
            route.rules = try rules(&random)
            let sent = try written(body, for: route).json
            let client = try JSONText(Array(body.utf8))
            let names = sent.members.compactMap(\.key.string)
            #expect(Set(names).count == names.count, "\(body)")
            #expect(sent["stream"]?.bool == true)
            #expect(sent["stream_options"]?["include_usage"]?.bool == true)
            #expect(sent["model"]?.string == "m")
            for member in client.members {
                guard let name = member.key.string, !changed.contains(name) else { continue }
                #expect(sent[name]?.description == client[name]?.description, "\(body)")
            }
            let isCapped = !route.rules.caps.isEmpty
            if isCapped {
                let limits = ["max_tokens", "max_completion_tokens"].compactMap { sent[$0]?.int }
                #expect(!limits.isEmpty && limits.allSatisfy { (1...8).contains($0) }, "\(body)")
            }
            if !route.rules.drops.isEmpty { #expect(sent["x"] == nil && sent["user"] == nil) }
        }
    }

    @Test func whatOllamaGetsHasEachNameOnce() throws {
        var random = SplitMix(seed: 8)
        for _ in 0..<200 {
            let body = body(&random)
            var route = ableOllama
            route.rules = try rules(&random)
            let sent = try written(body, for: route)
            for object in [sent.json, sent.json["options"]].compactMap(\.self) {
                let names = object.members.compactMap(\.key.string)
                #expect(Set(names).count == names.count, "\(body)")
            }
            #expect(sent.json["stream"]?.bool == true)
            #expect(sent.request.contentLength == sent.text.utf8.count)
        }
    }

    @Test func damagedBodiesAreRefusedOrWrittenAsJSON() throws {
        let whole = Array(
            (#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","#
                + #""image_url":{"url":"data:image/png;base64,AAAA"}}]},{"role":"assistant","content":null,"#
                + #""tool_calls":[{"id":"c","function":{"name":"f","arguments":"{\"a\":1}"}}]},"#
                + #"{"role":"tool","tool_call_id":"c","content":"r"}],"stream":true,"n":1,"#
                + threeTools
                + #","tool_choice":{"function":{"name":"g"}},"stop":["x"],"options":{}}"#)
                .utf8)
        let bytes = Array(#"{}[]",:\n0-ex"#.utf8)
        var random = SplitMix(seed: 9)
        var passed = 0
        for round in 0..<1500 {
            var body = whole
            for _ in 0...Int.random(in: 0...2, using: &random) {
                let place = Int.random(in: body.indices, using: &random)
                switch random.next() % 3 {
                case 0: body[place] = bytes.randomElement(using: &random) ?? 0
                case 1: body.remove(at: place)
                default: body.insert(bytes.randomElement(using: &random) ?? 0, at: place)
                }
            }
            // Most are refused, which is one of the two right outcomes.
            guard let request = try? ChatRequest(reading: body) else { continue }
            var route = ableOllama
            route.kind = UpstreamKind.allCases[round % UpstreamKind.allCases.count]
            guard let upstream = try? makeUpstreamRequest(request, for: route) else { continue }
            passed += 1
            #expect(throws: Never.self) { try JSONText(upstream.bytes(client: body)) }
        }
        #expect(passed > 50)
    }
}
