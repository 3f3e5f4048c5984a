// What each kind of backend is sent for a request for embeddings.

import Chat
import Dialects
import Testing

@Suite struct EmbeddingWritingTests {
    private func written(
        _ body: String, for target: RequestTarget
    ) throws -> (text: String, request: UpstreamRequest) {
        let bytes = Array(body.utf8)
        let request = try makeUpstreamRequest(EmbeddingRequest(reading: bytes), for: target)
        return (String(decoding: request.bytes(client: bytes), as: UTF8.self), request)
    }

    private func refusal(_ body: String, for target: RequestTarget) -> APIError? {
        do {
            _ = try written(body, for: target)
            return nil
        } catch { return error as? APIError }
    }

    @Test func serversOfOpenAIsKindGetTheClientsBytes() throws {
        var target = requestTarget(.llamaServer)
        target.upstreamModel = "e5"
        let body = #"{"model":"m","input":["a", "b"],"encoding_format": "base64","x":1}"#
        let sent = try written(body, for: target)
        #expect(sent.request.path == "/v1/embeddings")
        #expect(sent.text == body.replacing(#""m""#, with: #""e5""#))
        #expect(sent.request.ignored == [])
    }

    @Test func nullsAreLeftOutBecauseLlamaServerRefusesThem() throws {
        let sent = try written(
            #"{"model":"m","encoding_format":null,"input":"a","user":"u"}"#,
            for: requestTarget(.llamaServer))
        #expect(sent.text == #"{"model":"m","input":"a","user":"u"}"#)
        #expect(sent.request.ignored == ["user"])
    }

    @Test func dimensionsAreOnlyForThoseWhoKnowThem() throws {
        let body = #"{"model":"m","input":"a","dimensions":4}"#
        #expect(refusal(body, for: requestTarget(.llamaServer))?.param == "dimensions")
        #expect(try written(body, for: requestTarget(.openAI)).text == body)
        #expect(
            try written(body, for: requestTarget(.ollama)).text
                == #"{"model":"m","input":"a","dimensions":4,"truncate":false}"#)
    }

    @Test func ollamaGetsItsNativeRequest() throws {
        let sent = try written(
            #"{"model":"m","input":["a","b"],"encoding_format":"base64","user":"u","keep_alive":"5m","#
                + #""options":{"num_ctx":512},"truncate":true}"#, for: requestTarget(.ollama))
        #expect(sent.request.path == "/api/embed")
        #expect(
            sent.text
                == #"{"model":"m","input":["a","b"],"keep_alive":"5m","truncate":true,"#
                + #""options":{"num_ctx":512}}"#)
        #expect(sent.request.ignored == ["user"])
    }

    @Test(arguments: ["[1,2]", "[[1],[2]]"])
    func ollamaTakesNoTokens(_ input: String) {
        let fault = refusal(#"{"model":"m","input":\#(input)}"#, for: requestTarget(.ollama))
        #expect(fault?.code == .unsupportedParameter && fault?.param == "input")
        #expect(refusal(#"{"input":\#(input)}"#, for: requestTarget(.llamaServer)) == nil)
    }

    /// Inputs in llama-server's own forms (its tests/unit/test_embedding.py).
    @Test(arguments: [
        #"[12, 34, "string", 56]"#, #"["string1", [12, 34]]"#, #"[[12], [12, "string"]]"#,
        #"{"prompt_string": "string"}"#, #"{"prompt_string":"a","multimodal_data":["aGk="]}"#,
        #"["a", {"content": [{"type": "text", "text": "b"}]}]"#,
    ])
    func llamaServersOwnFormsAreForItAlone(_ input: String) throws {
        let body = #"{"model":"m","input":\#(input)}"#
        #expect(try written(body, for: requestTarget(.llamaServer)).text == body)
        for kind in [UpstreamKind.openAI, .ollama] {
            let fault = refusal(body, for: requestTarget(kind))
            #expect(fault?.code == .unsupportedParameter && fault?.param == "input")
            #expect(fault?.message.contains("llama-server") == true)
        }
    }

    @Test func anEmptyTextIsRefusedWhereItsVectorWouldBeLeftOut() throws {
        let body = #"{"model":"m","input":["a",""]}"#
        let fault = refusal(body, for: requestTarget(.ollama))
        #expect(fault?.code == .invalidValue && fault?.param == "input[1]")
        #expect(try written(body, for: requestTarget(.llamaServer)).text == body)
    }

    @Test func onlyRulesForEmbeddingsApply() throws {
        var target = requestTarget(.openAI)
        target.rules.defaults = [
            try ruleSetting("temperature", "0.5"), try ruleSetting("dimensions", "4"),
        ]
        target.rules.caps = [try ruleSetting("max_tokens", "8")]
        target.rules.sets = [try ruleSetting("encoding_format", #""float""#)]
        let sent = try written(
            #"{"model":"m","input":"a","encoding_format":"base64"}"#, for: target)
        #expect(
            sent.text
                == #"{"model":"m","input":"a","encoding_format":"base64","dimensions":4}"#)
    }
}
