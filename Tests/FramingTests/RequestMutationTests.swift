// Mutated requests against a second, naive reader.

import Framing
import TestSupport
import Testing

/// Spoils good and bad requests at random and holds what is let through to promises that need no
/// table.
@Suite struct RequestMutationTests {
    /// Bytes that mean something to one reader or another.
    private static let pieces: [[UInt8]] = [
        "\r\n", "\r", "\n", "\r\n\r\n", "\0", " ", "\t", ":", ",", ";", "chunked", "Host: b\r\n",
        "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n", "0\r\n",
        "5", "HTTP/1.0", "GET /evil HTTP/1.1\r\nHost: e\r\n\r\n", "+", "-", "\u{B}", "\u{85}", "#",
        "//", "Expect: 100-continue\r\n", "Upgrade: websocket\r\n", "Connection: upgrade\r\n",
    ].map { Array($0.utf8) }

    private static func mutate(_ bytes: inout [UInt8], _ random: inout SplitMix) {
        let place = Int.random(in: 0...bytes.count, using: &random)
        let end = min(bytes.count, place + Int.random(in: 1...8, using: &random))
        switch Int.random(in: 0..<6, using: &random) {
        case 0: bytes.insert(contentsOf: pieces.randomElement(using: &random) ?? [], at: place)
        case 1: bytes.removeSubrange(place..<end)
        case 2: bytes.insert(contentsOf: bytes[place..<end], at: place)
        case 3 where place < bytes.count: bytes[place] = UInt8.random(in: 0...255, using: &random)
        case 4 where place < bytes.count:
            bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        default:
            let tail = Array(bytes[place...])
            bytes.replaceSubrange(
                place..., with: pieces.randomElement(using: &random).map { $0 + tail } ?? tail)
        }
    }

    private static func cut(_ bytes: [UInt8], _ random: inout SplitMix) -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        var start = 0
        while start < bytes.count {
            let end = min(bytes.count, start + Int.random(in: 1...24, using: &random))
            pieces.append(Array(bytes[start..<end]))
            start = end
        }
        return pieces
    }

    @Test(arguments: try requestTables())
    func whateverIsLetThroughReadsTheSameToAnotherParser(_ table: String) throws {
        var random = SplitMix(seed: 0x6A7E)
        var accepted = 0
        // Most spoiled requests are refused, so those that were good get the greater part.
        let cases = try requestCases(in: table)
        let good = cases.filter { $0.expected.allSatisfy { $0.first == UInt8(ascii: "=") } }
        for round in 0...(800 / good.count) {
            for request in round == 0 ? cases : good {
                var bytes = request.bytes
                for _ in 0..<Int.random(in: 1...2, using: &random) { Self.mutate(&bytes, &random) }
                let whole = RequestRun([bytes], limits: corpusLimits)
                let pieces = Self.cut(bytes, &random)
                let cut = RequestRun(pieces, limits: corpusLimits)
                guard whole == cut, whole.faults.isEmpty else {
                    Issue.record("cuts matter: \(pieces.map(readable).joined(separator: " | "))")
                    return
                }
                guard let fault = faultOfSecondReading(of: whole, in: bytes) else {
                    accepted += whole.requests.count
                    continue
                }
                Issue.record("\(fault): \(readable(bytes))")
                return
            }
        }
        // Mutations that are all refused would test nothing.
        #expect(accepted > 30)
    }
}
