// What a backend's failure becomes, from recorded answers of real servers and from what others are
// known to say.

import Chat
import Dialects
import JSON
import Testing
import TestSupport

@Suite struct UpstreamFailureTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let file: String
        let status: Int
        let type: ErrorType
        let code: ErrorCode
        let says: String
        var testDescription: String { file }

        init(_ file: String, _ status: Int, _ type: ErrorType, _ code: ErrorCode, _ says: String) {
            (self.file, self.status, self.type, self.code, self.says) = (
                file, status, type, code, says
            )
        }
    }

    /// Recorded answers of llama-server.
    static let llamaServer: [Row] = [
        Row("errors/message-no-role", 400, .invalidRequest, .upstreamFailed, "Missing 'role'"),
        Row("errors/tools-bad-entry", 400, .invalidRequest, .upstreamFailed, "Unsupported tool"),
        Row("errors/tools-not-array", 400, .invalidRequest, .upstreamFailed, "to be an array"),
        Row("errors/image-url-stream", 400, .invalidRequest, .upstreamFailed, "image input"),
        Row("errors/input-audio", 400, .invalidRequest, .upstreamFailed, "audio input"),
        Row("messages/error-missing", 400, .invalidRequest, .upstreamFailed, "is required"),
        Row("embeddings/too-long", 400, .invalidRequest, .upstreamFailed, "too large"),
        Row("errors/embeddings-disabled", 400, .invalidRequest, .upstreamFailed, "not support"),
        Row("errors/n-too-many", 400, .invalidRequest, .upstreamFailed, "but got 5"),
        Row("format/bad-schema", 400, .invalidRequest, .upstreamFailed, "unrecognized type nope"),
        Row(
            "errors/context-exceeded-stream", 400, .invalidRequest, .contextLengthExceeded,
            "maximum context length is 256 tokens, but the messages have 1203"),
        Row("errors/unknown-route", 404, .invalidRequest, .upstreamFailed, "File Not Found"),
        Row("errors/no-api-key", 502, .upstream, .upstreamRefusedKey, "operator"),
        Row("errors/tools-disabled", 502, .upstream, .upstreamRefusedKey, "disabled"),
        Row("errors/midstream-nonstream-1", 502, .upstream, .upstreamFailed, "Context size has"),
        Row("loading/chat", 503, .upstream, .modelLoading, "loading the model"),
        Row("router/unknown-model", 404, .invalidRequest, .modelNotFound, "'nope' not found"),
        Row("router/broken-model", 502, .upstream, .upstreamFailed, "failed to load"),
        Row("router/child-killed-nonstream", 502, .upstream, .upstreamFailed, "proxy error"),
    ]

    @Test(arguments: llamaServer)
    func llamaServersFailuresAreUnderstood(_ row: Row) throws {
        let answer = try fixture("llama-server/\(row.file).response.http")
        try expect(apiError(for: failure(in: answer), backend: "gpu"), row)
    }

    /// Recorded answers of Ollama: cassette, exchange.
    static let ollama: [Row] = [
        Row(
            "native-jinja/ctx-overflow-no-truncate-stream", 400, .invalidRequest,
            .contextLengthExceeded, "maximum context length is 4096 tokens"),
        Row(
            "native-jinja/image-on-text-model", 400, .invalidRequest, .upstreamFailed,
            "refused the request: image input is not supported"),
        Row("native-jinja/format-bad", 400, .invalidRequest, .upstreamFailed, "invalid format"),
        Row(
            "native-rendered/format-bad-schema", 400, .invalidRequest, .upstreamFailed,
            "refused the request: Field 'json_schema'"),
        Row(
            "native-rendered/image-on-text-model", 400, .invalidRequest, .upstreamFailed,
            "multimodal requests."),
        Row(
            "errors/native-option-stop-string", 400, .invalidRequest, .upstreamFailed,
            "must be of type array"),
        Row(
            "errors/native-unknown-model", 404, .invalidRequest, .modelNotFound,
            "'nope' not found"),
        Row(
            "errors/native-tools-unsupported", 400, .invalidRequest, .upstreamFailed,
            "does not support tools"),
        Row(
            "errors/native-cloud-model", 502, .upstream, .upstreamRefusedKey, "cloud is disabled"),
        Row("host/foreign-host", 502, .upstream, .upstreamRefusedKey, "403"),
        Row(
            "failures/queue-full-503-native", 503, .upstream, .upstreamFailed, "server busy"),
        Row(
            "failures/runner-killed-nonstream-native-jinja", 502, .upstream, .upstreamFailed,
            "unexpected EOF"),
        Row(
            "native-jinja/tools-badtool-nonstream", 502, .upstream, .upstreamFailed,
            "invalid tool call arguments"),
        Row(
            "native-parser/badtool-stream", 502, .upstream, .upstreamFailed,
            "failed to parse JSON"),
        Row(
            "v1-jinja/ctx-overflow", 400, .invalidRequest, .contextLengthExceeded,
            "have 9005 tokens"),
        Row(
            "v1-jinja/image-on-text-model", 400, .invalidRequest, .upstreamFailed, "image input"),
    ]

    @Test(arguments: ollama)
    func ollamasFailuresAreUnderstood(_ row: Row) throws {
        let names = row.file.split(separator: "/")
        let answer = try exchange(String(names[0]), String(names[1]))
        try expect(apiError(for: failure(in: answer), backend: "gpu"), row)
    }

    /// The cache that llama-server's requests share was full (recorded with two at once): the
    /// prompt fits, so nobody is to cut it.
    @Test(arguments: [1, 2])
    func aFullSharedContextIsNotThePromptsFault(_ number: Int) throws {
        let answer = try fixture("llama-server/errors/midstream-nonstream-\(number).response.http")
        let error = apiError(for: try failure(in: answer), backend: "gpu")
        #expect(error.code == .upstreamFailed && error.status == 502)
        #expect(error.message.contains("Context size has been exceeded."))
        #expect(error.message.contains("--ctx-size"))
        // Cline, Roo and Continue look for these words before they shorten a conversation.
        for words in ["context length", "context window", "context limit", "maximum context"] {
            #expect(!error.message.lowercased().contains(words))
        }
    }

    /// Sentences of llama-server's sources that it says with 500, about the request.
    @Test(arguments: [
        "Failed to parse tool call arguments as JSON: [json.exception.parse_error.101] parse error",
        "Failed to load image or audio file", "Failed to download image", "Invalid base64 value",
        "Multimodal data provided, but model does not support multimodal requests.",
        "Cannot use both json_schema and grammar", "Cannot specify grammar with tools",
        "Unknown reasoning format: x", "tools param requires --jinja flag",
        "\n------------\nWhile executing CallExpression\nError: Jinja Exception: Roles must alternate",
    ])
    func whatIsTheRequestsFaultIsA400(_ message: String) {
        var body = Array(#"{"error":{"code":500,"type":"server_error","message":"#.utf8)
        body.appendJSONString(message)
        body += Array("}}".utf8)
        let error = apiError(for: UpstreamFailure(status: 500, body: body), backend: "gpu")
        #expect(error.status == 400 && error.type == .invalidRequest)
        #expect(error.code == .upstreamFailed)
    }

    @Test func sizesOfAPromptThatDoesNotFitAreKept() throws {
        let answer = try fixture("llama-server/errors/context-exceeded-nonstream.response.http")
        let error = apiError(for: try failure(in: answer), backend: "gpu")
        #expect(error.promptTokens == 1203)
        #expect(error.contextSize == 256)
        // The sentence alone will do.
        let told = apiError(
            for: UpstreamFailure(
                status: 400,
                body: Array(
                    #"{"error":"request (9 tokens) exceeds the available context size (4 tokens), try"}"#
                        .utf8)), backend: "gpu")
        #expect(told.promptTokens == 9)
        #expect(told.contextSize == 4)
    }

    private func expect(_ error: APIError, _ row: Row) throws {
        #expect(error.status == row.status)
        #expect(error.type == row.type)
        #expect(error.code == row.code)
        #expect(error.message.contains(row.says), "\(error.message)")
        #expect(error.message.contains("'gpu'"), "\(error.message)")
        #expect(error.message.utf8.count <= 600)
        #expect(!error.message.contains("\n"))
        #expect(!error.message.contains(#"{"error""#), "\(error.message)")
    }
}

/// What other servers, proxies between, and broken ones say.
@Suite struct UpstreamFailureTextTests {
    @Test(arguments: [
        (400, 400), (402, 402), (404, 404), (408, 408), (409, 409), (413, 413), (422, 422),
        (429, 429), (500, 502), (502, 502), (503, 503), (504, 502), (529, 502), (302, 502),
        (204, 502),
    ])
    func statusesAreKeptOrBecome502(_ upstream: Int, _ expected: Int) {
        let error = failed(upstream, #"{"error":{"message":"words","type":"t","code":null}}"#)
        #expect(error.status == expected)
        #expect(error.message.contains("words") == (upstream >= 400))
        let isRequest = error.type == .invalidRequest
        #expect(isRequest == (400..<500 ~= expected && expected != 408 && expected != 429))
    }

    @Test func openAIsOwnWordsAreUnderstood() {
        let long = failed(
            400,
            #"{"error":{"message":"This model's maximum context length is 4096 tokens. However…","#
                + #""type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#
        )
        #expect(long.code == .contextLengthExceeded)
        #expect(long.message.contains("maximum context length is 4096 tokens"))
        let vLLM = failed(
            400,
            #"{"object":"error","message":"This model's maximum context length is 9 tokens.","#
                + #""type":"BadRequestError","param":null,"code":400}"#)
        #expect(vLLM.code == .contextLengthExceeded)
        let wrong = failed(
            422, #"{"error":{"message":"m","param":"temperature","code":"invalid_type"}}"#)
        #expect(wrong.param == "temperature")
        #expect(
            failed(404, #"{"error":{"message":"m","code":"model_not_found"}}"#).code
                == .modelNotFound)
        #expect(failed(422, #"{"detail":[{"loc":["body"],"msg":"x"}]}"#).message.contains("body"))
    }

    @Test(arguments: [("7", 7), ("0.2", 1), (" ", nil), ("-1", nil), ("1e9", 86_400), ("nan", nil)])
    func retryAfterIsKept(_ header: String, _ seconds: Int?) {
        let busy = UpstreamFailure(status: 429, body: [], retryAfter: header)
        #expect(apiError(for: busy, backend: "gpu").retryAfterSeconds == seconds)
        let down = UpstreamFailure(status: 500, body: [], retryAfter: header)
        #expect(apiError(for: down, backend: "gpu").retryAfterSeconds == nil)
    }

    @Test func aRefusedKeyIsNeverQuoted() {
        let error = failed(401, #"{"error":{"message":"Incorrect API key provided: sk-1234."}}"#)
        #expect(error.code == .upstreamRefusedKey)
        #expect(error.status == 502)
        #expect(!error.message.contains("sk-1234"))
    }

    @Test func addressesAreTakenOut() {
        let error = failed(
            500,
            #"{"error":"Post \"http://127.0.0.1:39127/completion\": EOF (see https://h.x/?k=sk-1)"}"#
        )
        #expect(
            error.message
                == #"Backend 'gpu' failed: Post "(address)": EOF (see (address))"#)
    }

    @Test func pagesBecomeOneLine() {
        let page = """
            <!DOCTYPE html><html><head><style>body { color: red }</style><title>502 Bad
            Gateway</title><script>if (a < b) { x() }</script></head>
            <body><h1>502&nbsp;Bad &amp; Gateway</h1>\t<hr>nginx/1.22</body></html>
            """
        #expect(
            failed(502, page, "text/html").message
                == "Backend 'gpu' failed: 502 Bad Gateway 502 Bad & Gateway nginx/1.22")
        #expect(failed(502, page, nil).message.contains("nginx/1.22"))
        #expect(!failed(502, page, nil).message.contains("<"))
    }

    @Test(arguments: ["<", "<script", "<script>a</scrip", "</", "<style></style", "< >", "&lt;"])
    func brokenPagesAreText(_ page: String) {
        #expect(failed(502, page, "text/html").message.hasPrefix("Backend 'gpu' failed: "))
    }

    @Test func longTextIsCutBetweenCharacters() {
        let text = String(repeating: "🦙é", count: 400)
        let message = failed(500, text, "text/plain").message
        let words = message.dropFirst("Backend 'gpu' failed: ".count)
        #expect((490...500).contains(words.utf8.count))
        #expect(words.hasSuffix("…"))
        #expect(words.dropLast().allSatisfy { $0 == "🦙" || $0 == "é" })
    }

    @Test func whatIsNotUTF8IsStillText() {
        let failure = UpstreamFailure(status: 500, body: [0xFF, 0x61, 0x00, 0x0A, 0xC3])
        #expect(
            apiError(for: failure, backend: "gpu").message
                == "Backend 'gpu' failed: \u{FFFD}a \u{FFFD}")
    }

    @Test(arguments: ["", " \r\n", "null", "{}", #"{"error":""}"#, #"{"error":null}"#, #""""#])
    func silenceIsSaidToBeSilence(_ body: String) {
        let message = failed(500, body).message
        #expect(message.count > "Backend 'gpu' failed: ".count, "\(body)")
    }

    @Test func nestingHasAnEnd() {
        var body = #"{"error":"deep"}"#
        for _ in 0..<12 {
            var json: [UInt8] = []
            json.appendJSONString(body)
            body = #"{"error":\#(String(decoding: json, as: UTF8.self))}"#
        }
        #expect(failed(500, body).status == 502)
    }

    private func failed(_ status: Int, _ body: String, _ type: String? = nil) -> APIError {
        apiError(
            for: UpstreamFailure(status: status, contentType: type, body: Array(body.utf8)),
            backend: "gpu")
    }
}

/// Errors told in the middle of a stream.
@Suite struct StreamFailureTests {
    @Test(arguments: [
        (#"{"error":{"code":500,"message":"Context size has been exceeded."}}"#, 502),
        (#"{"code":500,"message":"Context size has been exceeded.","type":"server_error"}"#, 502),
        (#"{"error":"an error was encountered while running the model: unexpected EOF"}"#, 502),
        (#""an error was encountered while running the model""#, 502),
        (#"{"error":{"code":503,"message":"Loading model"}}"#, 503),
        (#"{"error":{"code":400,"message":"too bad"}}"#, 400),
        (#"{"error":{"message":"m","code":"429"}}"#, 429),
        (#"{"error":{"message":"m","code":200}}"#, 502),
        (
            #"{"error":"{\"error\":{\"code\":500,\"message\":\"image input is not supported\"}}"}"#,
            400
        ),
        (#"{"error":{"type":"exceed_context_size_error","message":"m","code":400}}"#, 400),
        ("null", 502),
    ])
    func anErrorInAStreamBecomesTheSame(_ line: String, _ status: Int) throws {
        let value = try JSONText(Array(line.utf8))
        let error = apiError(forErrorValue: value, backend: "gpu")
        #expect(error.status == status)
        #expect(error.message.contains("'gpu'"))
        #expect(!error.message.contains(#"{""#))
    }
}

// MARK: - Recordings

/// The failure in a recorded answer: head, then a body of a known length or in chunks.
private func failure(in answer: [UInt8]) throws -> UpstreamFailure {
    let text = String(decoding: answer, as: UTF8.self)
    let end = try #require(text.firstRange(of: "\r\n\r\n"))
    let lines = text[..<end.lowerBound].split(separator: "\r\n")
    let status = try #require(lines.first.flatMap { Int($0.split(separator: " ")[1]) })
    let head = lines.dropFirst().map { $0.lowercased() }
    let isChunked = head.contains("transfer-encoding: chunked")
    let body = text[end.upperBound...]
    return UpstreamFailure(
        status: status,
        contentType: head.first { $0.hasPrefix("content-type:") }.map { String($0.dropFirst(14)) },
        body: isChunked ? firstChunk(body) : Array(body.utf8))
}

/// The recorded errors are one chunk each.
private func firstChunk(_ body: Substring) -> [UInt8] {
    // A line end is one character to Swift.
    let lines = body.split(separator: "\r\n" as Character, maxSplits: 2)
    return lines.count > 1 ? Array(lines[1].utf8) : []
}

/// The answer recorded as `name` in an Ollama cassette.
private func exchange(_ cassette: String, _ name: String) throws -> [UInt8] {
    let lines = try fixture("ollama/cassettes/\(cassette).jsonl").split(separator: 0x0A)
    let found = try lines.lazy.map { try JSONText(Array($0)) }.first {
        $0["name"]?.isString(name) == true
    }
    return Array(try #require(found?["response"]?.string).utf8)
}
