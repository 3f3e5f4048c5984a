// What a checked head says, and how it is rewritten.

import Framing
import HTTPTypes
import Testing

@Suite struct RequestHeadTests {
    private let limits = RequestLimits(
        requestLine: 8192, head: 65536, headFields: 100, body: 1 << 26)

    private func head(_ lines: String...) throws -> RequestHead {
        let text = (lines + ["", ""]).joined(separator: "\r\n")
        let run = RequestRun([Array(text.utf8)], limits: limits)
        return try #require(run.requests.first, "\(run.ending)").head
    }

    private func canonical(_ lines: String...) throws -> [String] {
        let text = (lines + ["", ""]).joined(separator: "\r\n")
        let run = RequestRun([Array(text.utf8)], limits: limits)
        let bytes = try #require(run.requests.first, "\(run.ending)").head.canonical
        let head = String(decoding: bytes, as: UTF8.self)
        #expect(head.hasSuffix("\r\n\r\n"))
        return head.split(separator: "\r\n", omittingEmptySubsequences: true).map(String.init)
    }

    @Test func fieldsStayInOrderAndAsTheyAreSpelled() throws {
        let lines = try canonical(
            "GET /v1/models?x=1 HTTP/1.1", "hOST:  box:80\t", "X-a:", "Accept:*/*", "X-A: 1  2 ")
        #expect(
            lines == [
                "GET /v1/models?x=1 HTTP/1.1", "hOST: box:80", "X-a: ", "Accept: */*", "X-A: 1  2",
            ])
    }

    @Test func fieldsOfTheConnectionAndTheBodyAreLeftOut() throws {
        let lines = try canonical(
            "GET / HTTP/1.1", "Host: a", "Connection: keep-alive, x-kept", "Keep-Alive: timeout=5",
            "Proxy-Connection: keep-alive", "TE: trailers", "Trailer: X", "Content-Length: 5",
            "Expect: 100-continue", "HTTP2-Settings: AAMA", "Upgrade: h2c", "X-Kept: 1")
        #expect(lines == ["GET / HTTP/1.1", "Host: a", "X-Kept: 1"])
        let chunked = try canonical("GET / HTTP/1.1", "transfer-encoding: chunked", "Host: a")
        #expect(chunked == ["GET / HTTP/1.1", "Host: a"])
    }

    @Test func namesThatOnlyResembleThoseAreKept() throws {
        let kept = [
            "Connections: a", "Keep-Alives: b", "Content-Lengths: c", "Content_Length: 5",
            "Transfer_Encoding: chunked", "TEE: d", "Expects: e", "X-Connection: close",
            "HTTP3-Settings: f", "Proxy-Connectiom: g", "Hosts: h",
        ]
        let lines = try head("GET / HTTP/1.1", "Host: a", kept.joined(separator: "\r\n")).canonical
        let expected = (["GET / HTTP/1.1", "Host: a"] + kept + ["", ""]).joined(separator: "\r\n")
        #expect(String(decoding: lines, as: UTF8.self) == expected)
    }

    @Test(arguments: Method.allCases)
    func methodsThatDefineContentAreGivenAnEmptyOne(_ method: Method) throws {
        let lines = try canonical("\(method.rawValue) / HTTP/1.1", "Host: a", "Content-Length: 9")
        let own = ["\(method.rawValue) / HTTP/1.1", "Host: a"]
        let hasContent = [.post, .put, .patch].contains(method)
        #expect(lines == (hasContent ? own + ["Content-Length: 0"] : own))
    }

    @Test func upgradeComesLastAndOnlyIfConnectionNamesIt() throws {
        let named = try canonical(
            "GET / HTTP/1.1", "Upgrade: h2c", "Host: a", "Upgrade:websocket",
            "Connection: Upgrade", "Sec-WebSocket-Version: 13")
        #expect(
            named == [
                "GET / HTTP/1.1", "Host: a", "Sec-WebSocket-Version: 13", "Upgrade: h2c",
                "Upgrade: websocket",
            ])
        let unnamed = try canonical("GET / HTTP/1.1", "Upgrade: websocket", "Host: a")
        #expect(unnamed == ["GET / HTTP/1.1", "Host: a"])
    }

    @Test func theServerBehindSeesHTTP11WhateverTheClientSpeaks() throws {
        let old = try head("GET / HTTP/1.0", "Connection: upgrade", "Upgrade: websocket")
        #expect(old.isHTTP10)
        #expect(String(decoding: old.canonical, as: UTF8.self) == "GET / HTTP/1.1\r\n\r\n")
    }

    @Test func bytesOutsideASCIIPassThroughValues() throws {
        let request = Array("GET / HTTP/1.1\r\nHost: a\r\nX: ".utf8) + [0xFF, 0x80, 13, 10, 13, 10]
        let run = RequestRun([request], limits: limits)
        #expect(run.requests.first?.head.canonical == request)
    }

    @Test func theCanonicalHeadIsHardlyLongerThanWhatCame() throws {
        let fields = String(repeating: "a:b\r\n", count: 99)
        let received = "POST / HTTP/1.1\r\nHost:a\r\n\(fields)\r\n"
        let run = RequestRun([Array(received.utf8)], limits: limits)
        let canonical = try #require(run.requests.first).head.canonical
        #expect(canonical.count == received.utf8.count + limits.headFields + 19)
    }
}
