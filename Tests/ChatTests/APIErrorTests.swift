// The closed list of codes against the table clients are promised, and the body errors are written
// in.

import Chat
import JSON
import Testing

@Suite struct APIErrorTests {
    /// The table of errors as promised to clients: status, type, codes.
    static let promised: [(status: Int, type: String, codes: String)] = [
        (
            400, "invalid_request_error",
            """
            invalid_json invalid_value missing_field unsupported_parameter context_length_exceeded \
            bad_request
            """
        ),
        (401, "authentication_error", "invalid_api_key"),
        (403, "permission_error", "forbidden"),
        (404, "invalid_request_error", "model_not_found unknown_path"),
        (405, "invalid_request_error", "method_not_allowed"),
        (408, "timeout_error", "request_timeout"),
        (413, "invalid_request_error", "body_too_large"),
        (414, "invalid_request_error", "uri_too_long"),
        (415, "invalid_request_error", "unsupported_media_type"),
        (417, "invalid_request_error", "expectation_failed"),
        (429, "rate_limit_error", "queue_full rate_limited"),
        (431, "invalid_request_error", "head_too_large"),
        (501, "invalid_request_error", "not_implemented"),
        (
            502, "upstream_error",
            """
            upstream_unreachable upstream_closed upstream_protocol upstream_failed \
            upstream_refused_key
            """
        ),
        (503, "upstream_error", "no_backend model_loading overloaded shutting_down"),
        (
            504, "timeout_error",
            "connect_timeout queue_timeout first_token_timeout token_timeout total_timeout"
        ),
    ]

    @Test func theCodesAreThePromisedOnesAndNoOthers() {
        var names: Set<String> = []
        for row in Self.promised {
            for name in row.codes.split(separator: " ").map(String.init) {
                let code = ErrorCode(rawValue: name)
                #expect(code?.status == row.status, "\(name)")
                #expect(code?.type.rawValue == row.type, "\(name)")
                names.insert(name)
            }
        }
        #expect(Set(ErrorCode.allCases.map(\.rawValue)) == names)
    }

    @Test func whatMayBeTriedAgainSaysWhen() {
        for code in ErrorCode.allCases {
            let hasHeader = APIError(code, "").retryAfterSeconds != nil
            #expect(hasHeader == [429, 503].contains(code.status), "\(code)")
        }
        #expect(APIError(.tokenTimeout, "").shouldRetry == false)
        #expect(APIError(.connectTimeout, "").shouldRetry == nil)
    }

    /// Above 60 s openai-node passes over `Retry-After`, above 120 s openai-python gives up; and
    /// `x-should-retry` overrides what they would do by the status.
    @Test(arguments: ErrorCode.allCases)
    func retryHeadersAreSuchThatOfficialClientsFollowThem(_ code: ErrorCode) {
        let error = APIError(code, "")
        if let seconds = error.retryAfterSeconds { #expect(1...60 ~= seconds) }
        // What took long would take long again.
        let isNotWanted = [.firstTokenTimeout, .tokenTimeout, .totalTimeout].contains(code)
        #expect(error.shouldRetry == (isNotWanted ? false : nil))
    }

    /// No code of the closed list says this. Who stopped it once would stop it again.
    @Test func whatAnOperatorStoppedHasNoCodeAndIsNotRepeated() {
        let error = APIError.stoppedByOperator
        #expect(error.status == 503 && error.code == nil)
        #expect(error.retryAfterSeconds == nil && error.shouldRetry == false)
    }

    @Test func theBodyHasOpenAIsShape() {
        #expect(
            body(APIError(.upstreamClosed, "a \"b\"\n\u{2028}"))
                == #"{"error":{"message":"a \"b\"\n\u2028","type":"upstream_error","param":null,"#
                + #""code":"upstream_closed"}}"#)
        #expect(
            body(.invalidValue("messages[2].role", "must be a string"))
                == #"{"error":{"message":"'messages[2].role' must be a string.","#
                + #""type":"invalid_request_error","param":"messages[2].role","#
                + #""code":"invalid_value"}}"#)
        #expect(
            body(.internalFault("x"))
                == #"{"error":{"message":"x","type":"server_error","param":null,"code":null}}"#)
    }

    @Test func aPromptThatDoesNotFitSaysSoInWordsClientsLookFor() throws {
        let error = APIError.contextLengthExceeded(
            promptTokens: 9005, contextSize: 4096, backend: "gpu")
        #expect(error.status == 400)
        #expect(error.message.contains("maximum context length is 4096 tokens"))
        #expect(error.message.contains("9005 tokens"))
        let json = try JSONText(Array(body(error).utf8))
        #expect(json["error"]?["n_prompt_tokens"]?.int == 9005)
        #expect(json["error"]?["n_ctx"]?.int == 4096)
        let unknown = APIError.contextLengthExceeded(
            promptTokens: nil, contextSize: nil, backend: "gpu")
        #expect(unknown.message.contains("maximum context length"))
    }

    @Test func anUnknownModelNamesItsNeighbours() {
        let error = APIError.modelNotFound("llama4", nearest: ["llama3", "llama3.1"])
        #expect(error.message.hasSuffix("Did you mean 'llama3' or 'llama3.1'?"))
        #expect(error.param == "model")
    }

    private func body(_ error: APIError) -> String {
        var bytes: [UInt8] = []
        error.appendJSON(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}
