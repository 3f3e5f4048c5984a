// The head of every request to an upstream, to the byte, and how the kinds of backends are told
// apart.

import Configuration
import HTTPTransport
import Testing

@testable import SluiceServer

/// Why calls failed, in a test.
enum CallFailureSamples {
    static let refused = CallFailure.unreachable(
        .failed(operation: "connect to", address: "10.0.0.9:8080", errno: 111))
    static let unknown = CallFailure.unreachable(
        .unknownHost("secret.internal", reason: "Name or service not known"))
}

@Suite struct UpstreamHeads {
    private let agent = "User-Agent: sluice/\(Version.number)"

    private func expect(_ head: [UInt8], _ lines: [String]) {
        #expect(text(head) == (lines + ["", ""]).joined(separator: "\r\n"))
    }

    @Test func ofAQuestionAreShort() throws {
        expect(
            UpstreamHead(try backend()).bytes(
                "GET", "/v1/models", accept: "application/json"),
            ["GET /v1/models HTTP/1.1", "Host: 127.0.0.1:8080", agent, "Accept: application/json"])
    }

    @Test func ofAChatHaveEverythingThatMayGoUpstream() throws {
        let identity = RequestIdentity(
            id: "r1", traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        let backend = try backend("http://gpu.lan/llm/v1/") { $0.key = Secret("sk-upstream") }
        expect(
            UpstreamHead(backend).bytes(
                "POST", "/v1/chat/completions", bodyLength: 1234,
                accept: "text/event-stream", identity: identity),
            [
                "POST /llm/v1/chat/completions HTTP/1.1", "Host: gpu.lan", agent,
                "Accept: text/event-stream", "Content-Type: application/json",
                "Content-Length: 1234", "Authorization: Bearer sk-upstream", "x-request-id: r1",
                "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            ])
    }

    @Test func toASocketNameThisMachine() throws {
        expect(
            UpstreamHead(try backend("unix:/run/llama.sock")).bytes(
                "GET", "/health", accept: "*/*"),
            ["GET /health HTTP/1.1", "Host: localhost", agent, "Accept: */*"])
    }

    @Test func toAnIPv6AddressHaveItsBrackets() throws {
        let head = UpstreamHead(try backend("http://[::1]:8080")).bytes(
            "GET", "/", accept: "*/*")
        #expect(text(head).contains("\r\nHost: [::1]:8080\r\n"))
    }

    @Test func withoutATraceHaveNone() throws {
        let head = UpstreamHead(try backend()).bytes(
            "GET", "/", accept: "*/*",
            identity: RequestIdentity(id: "r1", traceparent: nil))
        #expect(text(head).hasSuffix("\r\nx-request-id: r1\r\n\r\n"))
    }
}

@Suite struct KindsOfBackends {
    private func kind(_ server: String?, _ status: Int, _ body: String) -> BackendKind {
        Probe.kind(server: server, status, Array(body.utf8))
    }

    @Test func llamaServerSaysSoInEveryAnswer() {
        #expect(kind("llama.cpp", 404, #"{"error":{"code":404}}"#) == .llamaServer)
        #expect(kind("llama.cpp", 200, #"{"version":"b1"}"#) == .llamaServer)
        #expect(kind("llama.cpp/b9999", 503, "") == .llamaServer)
    }

    @Test func onlyOllamaTellsItsVersion() {
        #expect(kind(nil, 200, #"{"version":"0.12.3"}"#) == .ollama)
        #expect(kind("nginx", 200, #"{"version":"0.12.3"}"#) == .ollama)
    }

    @Test func allOthersSpeakOpenAIs() {
        #expect(kind("uvicorn", 404, #"{"detail":"Not Found"}"#) == .openai)
        #expect(kind(nil, 404, #"{"version":"1"}"#) == .openai)
        #expect(kind(nil, 200, "<html>version</html>") == .openai)
        #expect(kind(nil, 200, #"{"name":"x"}"#) == .openai)
        #expect(kind(nil, 200, #"["version"]"#) == .openai)
        // Another Sluice, which speaks Ollama's as well.
        #expect(kind(nil, 200, #"{"version":"0.33.0","sluice":"0.1.0"}"#) == .openai)
        #expect(kind(nil, 200, "") == .openai)
        #expect(kind("not llama.cpp", 404, "") == .openai)
    }
}
