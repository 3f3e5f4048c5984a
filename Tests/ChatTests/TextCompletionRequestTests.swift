// Completion requests: what is read out of them, and what is refused before any upstream is asked.

import Chat
import TestSupport
import Testing

private func refusal(_ body: String) -> APIError? {
    do {
        _ = try TextCompletionRequest(reading: Array(body.utf8))
        return nil
    } catch { return error }
}

@Suite struct TextCompletionRequestTests {
    /// Prompts, and what they are.
    @Test(arguments: [
        (#""a""#, RequestInput.text), (#""""#, .text), (#"["a"]"#, .texts(1)),
        (#"["a", "b"]"#, .texts(2)), ("[1, 2]", .tokens), ("[0]", .tokens),
        ("[[1],[2,3]]", .tokenLists(2)),
        // llama-server's own: one list with a token in it is one prompt.
        (#"["a",5]"#, .mixed(1)), (#"[5,"a","b"]"#, .mixed(1)), (#"["a",[5]]"#, .mixed(2)),
        (#"[[5,"a"],[5],[6]]"#, .mixed(3)), (#"{"prompt_string":"a"}"#, .mixed(1)),
        (#"["a",{"prompt_string":"a"},[1,"b"]]"#, .mixed(3)), ("[{}]", .mixed(1)),
    ])
    func promptsAreTold(_ prompt: String, _ input: RequestInput) throws {
        let body = Array(#"{"prompt":\#(prompt),"n":3}"#.utf8)
        let request = try TextCompletionRequest(reading: body)
        #expect(request.prompt == input)
        #expect(request.choiceCount == input.count * 3)
    }

    @Test(arguments: [
        ("{}", ErrorCode.missingField, "prompt"), (#"{"prompt":null}"#, .missingField, "prompt"),
        (#"{"prompt":5}"#, .invalidValue, "prompt"), (#"{"prompt":[]}"#, .invalidValue, "prompt"),
        (#"{"prompt":["a",5,[6]]}"#, .invalidValue, "prompt"),
        (#"{"prompt":[5,{}]}"#, .invalidValue, "prompt"),
        (#"{"prompt":["a",-5]}"#, .invalidValue, "prompt[1]"),
        (#"{"prompt":[null]}"#, .invalidValue, "prompt[0]"),
        (#"{"prompt":[true]}"#, .invalidValue, "prompt[0]"),
        (#"{"prompt":[1,2.5]}"#, .invalidValue, "prompt[1]"),
        (#"{"prompt":[-1]}"#, .invalidValue, "prompt[0]"),
        (#"{"prompt":[[1],[]]}"#, .invalidValue, "prompt[1]"),
        (#"{"prompt":[[1],[2,null]]}"#, .invalidValue, "prompt[1][1]"),
        (#"{"prompt":[["a"],[[2]]]}"#, .invalidValue, "prompt[1][0]"),
        (#"{"prompt":"a","best_of":1,"n":2}"#, .invalidValue, "best_of"),
        (#"{"prompt":"a","logprobs":-1}"#, .invalidValue, "logprobs"),
        (
            #"{"prompt":"a","stream_options":{"include_usage":1}}"#, .invalidValue,
            "stream_options.include_usage"
        ),
    ])
    func whatIsWrongIsNamed(_ body: String, _ code: ErrorCode, _ param: String) {
        #expect(refusal(body)?.code == code)
        #expect(refusal(body)?.param == param)
        #expect(refusal(body)?.status == 400)
    }

    /// Each field with a value of another type.
    static let wrongTypes = [
        ("best_of", "1.5"), ("echo", "1"), ("frequency_penalty", "\"a\""), ("logit_bias", "1"),
        ("logprobs", "true"), ("max_tokens", "0"), ("model", "1"), ("n", "0"),
        ("presence_penalty", "[]"), ("seed", "\"a\""), ("stop", "[1]"), ("stream", "\"yes\""),
        ("stream_options", "1"), ("suffix", "1"), ("temperature", "true"), ("top_p", "{}"),
        ("user", "1"),
    ]

    @Test(arguments: wrongTypes)
    func wrongTypesAreNamed(_ field: String, _ value: String) {
        let body = #"{"prompt":"a","\#(field)":\#(value)}"#
        #expect(refusal(body)?.param == field)
        #expect(refusal(body)?.code == .invalidValue)
        #expect(refusal(#"{"prompt":"a","\#(field)":null}"#) == nil, "null means absent")
    }

    @Test func everyFieldIsTriedAbove() {
        let tried = Self.wrongTypes.map(\.0) + ["prompt"]
        #expect(Set(tried) == Set(TextCompletionRequest.knownFields))
    }

    @Test(arguments: ["", "{", "[]x", #"{"prompt":"a"}}"#])
    func whatIsNotJSONIsRefused(_ body: String) {
        #expect(refusal(body)?.code == .invalidJSON)
    }

    @Test(arguments: ["[]", "5", "\"a\""])
    func whatIsNoObjectIsRefused(_ body: String) {
        #expect(refusal(body)?.code == .invalidValue)
    }

    @Test func tooManyFieldsOrChoicesAreRefused() {
        let fields = (0..<1000).map { #""f\#($0)":1"# }.joined(separator: ",")
        #expect(refusal(#"{"prompt":"a",\#(fields)}"#)?.code == .invalidValue)
        let prompts = Array(repeating: #""a""#, count: 17).joined(separator: ",")
        #expect(refusal(#"{"prompt":[\#(prompts)],"n":120}"#) == nil)
        #expect(refusal(#"{"prompt":[\#(prompts)],"n":121}"#)?.param == "prompt")
    }

    @Test func theLastDuplicateCounts() throws {
        let body =
            #"{"prompt":"a","stream":false,"stream":true,"stream_options":{"include_usage":true},"#
            + #""model":"m"}"#
        let request = try TextCompletionRequest(reading: Array(body.utf8))
        #expect(request.isStream && request.includesUsage && request.model == "m")
        let plain = try TextCompletionRequest(reading: Array(#"{"prompt":"a"}"#.utf8))
        #expect(!plain.isStream && !plain.includesUsage && plain.model == nil)
    }
}

@Suite struct EmbeddingRequestTests {
    private func refusal(_ body: String) -> APIError? {
        do {
            _ = try EmbeddingRequest(reading: Array(body.utf8))
            return nil
        } catch { return error }
    }

    @Test(arguments: [
        (#"{"input":"a"}"#, RequestInput.text, false),
        (#"{"input":["a","b"],"encoding_format":"base64"}"#, .texts(2), true),
        (#"{"input":[1],"encoding_format":"float"}"#, .tokens, false),
        (#"{"input":[[1],[2]],"encoding_format":null}"#, .tokenLists(2), false),
        (#"{"input":["a",{"content":[]}]}"#, .mixed(2), false),
    ])
    func requestsAreRead(_ body: String, _ input: RequestInput, _ base64: Bool) throws {
        let request = try EmbeddingRequest(reading: Array(body.utf8))
        #expect(request.input == input)
        #expect(request.wantsBase64 == base64)
    }

    @Test(arguments: [
        (#""""#, "input"), (#"["a",""]"#, "input[1]"), (#""a""#, nil), (#"["a"," "]"#, nil),
        (#"["",1]"#, nil), ("[[1]]", nil),
    ])
    func emptyTextsAreFound(_ input: String, _ path: String?) throws {
        let request = try EmbeddingRequest(reading: Array(#"{"input":\#(input)}"#.utf8))
        #expect(request.emptyText == path)
    }

    @Test(arguments: [
        ("{}", ErrorCode.missingField, "input"), (#"{"input":null}"#, .missingField, "input"),
        (#"{"input":[]}"#, .invalidValue, "input"), (#"{"input":true}"#, .invalidValue, "input"),
        (#"{"input":["a",true]}"#, .invalidValue, "input[1]"),
        (#"{"input":"a","encoding_format":"hex"}"#, .invalidValue, "encoding_format"),
        (#"{"input":"a","encoding_format":1}"#, .invalidValue, "encoding_format"),
        (#"{"input":"a","dimensions":0}"#, .invalidValue, "dimensions"),
        (#"{"input":"a","dimensions":"4"}"#, .invalidValue, "dimensions"),
        (#"{"input":"a","user":5}"#, .invalidValue, "user"),
        (#"{"input":"a","model":5}"#, .invalidValue, "model"),
    ])
    func whatIsWrongIsNamed(_ body: String, _ code: ErrorCode, _ param: String) {
        #expect(refusal(body)?.code == code)
        #expect(refusal(body)?.param == param)
    }
}

@Suite struct Base64Tests {
    /// RFC 4648, section 10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ])
    func bytesBecomeTheStandardsText(_ bytes: String, _ expected: String) {
        var text: [UInt8] = []
        let source = Array(bytes.utf8)
        text.appendBase64(source.span)
        #expect(String(decoding: text, as: UTF8.self) == expected)
    }

    @Test func highBytesUseTheWholeAlphabet() {
        var text: [UInt8] = []
        let source: [UInt8] = [0xFB, 0xEF, 0xBE, 0xFF, 0xFF, 0xFF]
        text.appendBase64(source.span)
        #expect(String(decoding: text, as: UTF8.self) == "++++////")
    }
}
