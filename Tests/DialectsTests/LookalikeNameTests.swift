// Names that a server written in Go would read for others, at every way that sends a client's own
// JSON on.

import Chat
import Dialects
import TestSupport
import Testing

@Suite struct LookalikeNameTests {
    static let lookalikes = ["Model", "MODEL", "mOdel", "\\u004dodel", "\u{17F}tream", "STREAM"]

    /// A way in, and what every request there has to have.
    enum Way: CaseIterable {
        case chat, completion, embedding, responses, messages, countTokens, rerank, tokenize

        var needed: String {
            switch self {
            case .chat, .messages, .countTokens: #""messages":[{"role":"user","content":"a"}]"#
            case .completion: #""prompt":"a""#
            case .embedding, .responses: #""input":"a""#
            case .rerank: #""query":"a","documents":["b"]"#
            case .tokenize: #""content":"a""#
            }
        }

        func upstream(_ body: [UInt8], _ target: RequestTarget) throws -> UpstreamRequest {
            func atDoor(_ door: Door) throws -> UpstreamRequest {
                try makeUpstreamRequest(DoorRequest(reading: body, at: door), for: target)
            }
            switch self {
            case .chat: return try makeUpstreamRequest(ChatRequest(reading: body), for: target)
            case .completion:
                return try makeUpstreamRequest(TextCompletionRequest(reading: body), for: target)
            case .embedding:
                return try makeUpstreamRequest(EmbeddingRequest(reading: body), for: target)
            case .responses: return try atDoor(.responses)
            case .messages: return try atDoor(.messages)
            case .countTokens: return try atDoor(.countTokens)
            case .rerank: return try atDoor(.rerank)
            case .tokenize: return try atDoor(.tokenize)
            }
        }

        /// What is sent for the fields it needs and `more`, and what is reported.
        func sent(
            _ more: String, for target: RequestTarget
        ) throws -> (json: JSONValue, ignored: [String]) {
            let body = Array(#"{"model":"m",\#(needed),\#(more)}"#.utf8)
            let request = try upstream(body, target)
            #expect(request.bytes(client: body).count == request.contentLength)
            return (try #require(JSONValue(request.bytes(client: body))), request.ignored)
        }

        func goes(to kind: UpstreamKind) -> Bool {
            switch self {
            case .responses, .messages: true
            default: kind != .ollama
            }
        }
    }

    @Test(arguments: Way.allCases, lookalikes)
    func anotherModelCannotBeNamed(_ way: Way, _ name: String) throws {
        for kind in [UpstreamKind.openAI, .ollama] where way.goes(to: kind) {
            let (json, ignored) = try way.sent(#""\#(name)":"other""#, for: requestTarget(kind))
            #expect(json["model"]?.string == "m" && ignored.count == 1, "\(kind)")
            #expect(
                json.keys.allSatisfy {
                    !["model", "stream"].contains($0.lowercased()) || $0 == $0.lowercased()
                })
            #expect(!json.keys.contains("\u{17F}tream"))
        }
    }

    /// llama-server reads names as they are; and what resembles no field is no business of ours.
    @Test(arguments: Way.allCases) func otherNamesGoOn(_ way: Way) throws {
        let own = #""Model":"other""#
        #expect(try way.sent(own, for: requestTarget(.llamaServer)).json["Model"] != nil)
        for name in ["X-Own", "ownField", "größe", "models"] {
            let (json, ignored) = try way.sent(#""\#(name)":1"#, for: requestTarget(.openAI))
            #expect(json[name]?.int == 1 && ignored == [], "\(name)")
        }
    }

    @Test func aRuleCannotBeGotRound() throws {
        var target = requestTarget(.openAI)
        target.rules.caps = [try ruleSetting("max_tokens", "8")]
        target.rules.drops = ["own_field"]
        let (json, ignored) = try Way.chat.sent(
            #""MAX_TO\#u{212A}ENS":100,"Max_Tokens":90,"Own_Field":1"#, for: target)
        #expect(json["max_tokens"]?.int == 8)
        #expect(!json.keys.contains { $0.lowercased().hasPrefix("max_to") && $0 != "max_tokens" })
        #expect(json["Own_Field"] == nil && ignored.count == 3)
        let (door, _) = try Way.messages.sent(#""Max_Tokens":90"#, for: target)
        #expect(door["Max_Tokens"] == nil)
    }
}
