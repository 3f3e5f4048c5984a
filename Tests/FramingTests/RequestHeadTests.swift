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

    private func value(_ name: StaticString, of head: RequestHead) -> String? {
        head.fields.value(of: name, in: head.text)
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
    func theServerBehindIsToldTheLineAndNoField(_ method: Method) throws {
        let head = try head("\(method.rawValue) /a?b HTTP/1.1", "Host: a", "Content-Length: 9")
        let told = String(decoding: head.text[..<head.lineBytes], as: UTF8.self)
        #expect(told == "\(method.rawValue) /a?b HTTP/1.1\r\n\r\n")
    }

    @Test func upgradeIsReadAndNotKept() throws {
        let head = try head(
            "GET / HTTP/1.1", "Upgrade: h2c", "Host: a", "Upgrade:websocket",
            "Connection: Upgrade", "Sec-WebSocket-Version: 13")
        #expect(head.wantsUpgrade)
        #expect(value("upgrade", of: head) == nil)
        #expect(value("sec-websocket-version", of: head) == "13")
    }

    @Test func aValueIsFoundWhateverTheCaseOfItsNameAndTheFirstOfSeveral() throws {
        let head = try head("GET / HTTP/1.1", "HOST:a", "x-Key: \t 1 ", "X-KEY: 2", "x-empty:")
        #expect(value("host", of: head) == "a")
        #expect(value("x-key", of: head) == "1")
        #expect(value("x-empty", of: head) == "")
        #expect(value("x-ke", of: head) == nil)
        #expect(value("a", of: head) == nil)
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

    /// Lines are searched several bytes at a time, so a byte counts wherever it stands.
    @Test(arguments: UInt8.min...UInt8.max)
    func everyByteIsToldApartAtEveryPlace(_ byte: UInt8) throws {
        let isContent = byte == 9 || byte >= 32 && byte != 127
        for before in 0..<20 {
            var value = [UInt8](repeating: UInt8(ascii: "~"), count: 20)
            value[before] = byte
            let bytes = Array("GET / HTTP/1.1\r\nHost: a\r\nX:~".utf8) + value
            let run = RequestRun([bytes + Array("~\r\n\r\n".utf8)], limits: limits)
            #expect((run.requests.first != nil) == isContent, "\(before)")
            guard let head = run.requests.first?.head else { continue }
            #expect(Array(head.text.suffix(22).prefix(21)) == [UInt8(ascii: "~")] + value)
        }
    }

    @Test func whatIsKeptIsNoLongerThanWhatCame() throws {
        let fields = String(repeating: "a:b\r\n", count: 99)
        let received = "POST / HTTP/1.1\r\nHost:a\r\n\(fields)\r\n"
        let run = RequestRun([Array(received.utf8)], limits: limits)
        let head = try #require(run.requests.first).head
        #expect(head.fields.count == limits.headFields)
        #expect(head.text.count <= received.utf8.count)
    }
}
