// Chunks around what is sent to a client.

import Framing
import Testing

@Suite struct ChunkFramingTests {
    private func framed(_ payload: [UInt8]) -> [UInt8] {
        var buffer = [UInt8](repeating: 0xAA, count: ChunkFraming.headroom) + payload
        let start = ChunkFraming.frame(&buffer)
        return Array(buffer[start...])
    }

    @Test(arguments: [
        (1, "1"), (9, "9"), (10, "a"), (15, "f"), (16, "10"), (255, "ff"), (4096, "1000"),
        (0xABCDE, "abcde"),
    ])
    func theSizeStandsInFrontInHexadecimal(_ count: Int, _ size: String) {
        let payload = [UInt8](repeating: 0x78, count: count)
        #expect(framed(payload) == Array("\(size)\r\n".utf8) + payload + Array("\r\n".utf8))
    }

    @Test func nothingMakesNoChunkBecauseThatWouldEndTheBody() {
        #expect(framed([]).isEmpty)
    }

    @Test func theLastChunkMayFollowInTheSameBuffer() {
        var buffer = [UInt8](repeating: 0, count: ChunkFraming.headroom) + Array("end".utf8)
        let start = ChunkFraming.frame(&buffer)
        buffer += ChunkFraming.lastChunk
        #expect(String(decoding: buffer[start...], as: UTF8.self) == "3\r\nend\r\n0\r\n\r\n")
    }

    @Test func aClientReadsBackWhatWasFramed() throws {
        var body: [UInt8] = []
        var stream = Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".utf8)
        for count in [1, 17, 300] {
            let payload = [UInt8](repeating: UInt8(count & 0xFF), count: count)
            body += payload
            stream += framed(payload)
        }
        let answer = Answer([stream + ChunkFraming.lastChunk])
        #expect(answer.isEnded && answer.body == body)
    }
}
