// The frames Sluice writes, and its half of the handshake.

import Testing

@testable import Framing

@Suite struct WebSocketFramesTests {
    private func head(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        WebSocketFrames.appendText([UInt8](repeating: 0x78, count: count).span, to: &bytes)
        #expect(Array(bytes.suffix(count)) == [UInt8](repeating: 0x78, count: count))
        return Array(bytes.dropLast(count))
    }

    @Test func lengthsAreWrittenInTheirShortestForm() {
        #expect(head(0) == [0x81, 0])
        #expect(head(125) == [0x81, 125])
        #expect(head(126) == [0x81, 126, 0, 126])
        #expect(head(65535) == [0x81, 126, 0xFF, 0xFF])
        #expect(head(65536) == [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0])
    }

    @Test func controlFramesAreWhole() {
        var bytes: [UInt8] = []
        WebSocketFrames.appendPing(to: &bytes)
        WebSocketFrames.appendPong([1, 2], to: &bytes)
        WebSocketFrames.appendClose(nil, to: &bytes)
        WebSocketFrames.appendClose(1001, "bye", to: &bytes)
        #expect(
            bytes == [0x89, 0, 0x8A, 2, 1, 2, 0x88, 0, 0x88, 5, 0x03, 0xE9] + Array("bye".utf8))
    }

    @Test func aReasonIsCutToWhatACloseFrameHolds() {
        var bytes: [UInt8] = []
        WebSocketFrames.appendClose(1000, String(repeating: "r", count: 500), to: &bytes)
        #expect(bytes.count == 127 && bytes[1] == 125)
    }

    @Test func linesAreHandedOnWithoutTheirEnds() {
        var lines: [String] = []
        let bytes = Array("{}\n\n[DONE]\n".utf8)
        WebSocketFrames.forEachLine(in: bytes.span) { lines.append(text($0)) }
        #expect(lines == ["{}", "", "[DONE]"])
        WebSocketFrames.forEachLine(in: Span()) { _ in Issue.record("there is no line") }
    }

    // RFC 6455, section 1.3.
    @Test func theKeyIsAnsweredAsTheStandardSays() {
        let accept = WebSocketHandshake.accept(key: "dGhlIHNhbXBsZSBub25jZQ==")
        #expect(accept == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    @Test(arguments: [
        "", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=a", "dGhlIHNhbXBsZSBub25j*Q==",
        "dGhlIHNhbXBsZSBub25jZQ===", "dGhlIHNhbXBsZSBub25=ZQ==", "AAAA==",
    ])
    func aKeyThatIsNot16BytesIsRefused(_ key: String) {
        #expect(WebSocketHandshake.accept(key: key) == nil)
    }

    @Test func subprotocolsAreAList() {
        #expect(WebSocketHandshake.protocols(" a,b ,, c\t") == ["a", "b", "c"])
        #expect(WebSocketHandshake.protocols("") == [])
    }

    // RFC 3174, section 7.3: TEST1, TEST2, TEST4, and a text that ends where its padding must begin
    // a block of its own (digests by sha1sum).
    @Test(arguments: [
        ("abc", 1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        ),
        (
            "0123456701234567012345670123456701234567012345670123456701234567", 10,
            "dea356a2cddd90c7a7ecedc5ebb563934f460452"
        ),
        ("", 1, "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("a", 55, "c1c8bbdc22796e28c0e15163d20899b65621d65a"),
        ("a", 56, "c2db330f6083854c99d4b5bfb6e8f29f201be699"),
        ("a", 64, "0098ba824b5c16427bd7a1122a5a442a25ec644d"),
    ])
    func digestsAreThoseOfTheStandard(_ text: String, _ count: Int, _ expected: String) {
        let digest = SHA1.digest(Array(String(repeating: text, count: count).utf8))
        let digits = digest.map { byte in
            let text = String(byte, radix: 16)
            return byte < 16 ? "0" + text : text
        }
        #expect(digits.joined() == expected)
    }
}
