// Ids of requests, and the trace that a client hands on.

import Testing

@testable import SluiceServer

@Suite struct RequestIDTests {
    @Test(
        arguments: [
            "a", "req_8f14e45f", "c0ffee00-1234-4abc-8def-0123456789ab", "a=b;c:d/e",
            String(repeating: "x", count: 128),
        ])
    func aClientsIDIsKept(_ id: String) {
        var ids = RequestIDs(seed: 1)
        #expect(ids.accept(id) == id)
    }

    /// It goes into a header field of the upstream's and into a line of the log.
    @Test(
        arguments: [
            "", " ", "a b", "a\tb", "a\nb", "a\r\nx-evil: 1", "a\u{0}", "a\u{7F}", "a\"b", "größe",
            String(repeating: "x", count: 129),
        ])
    func anIDThatIsNotFitIsReplaced(_ id: String) {
        var ids = RequestIDs(seed: 1)
        let accepted = ids.accept(id)
        #expect(accepted != id)
        #expect(isMadeHere(accepted))
    }

    @Test func withoutAnIDOneIsMade() {
        var ids = RequestIDs(seed: 7)
        #expect(isMadeHere(ids.accept(nil)))
    }

    @Test func idsDoNotRepeatAndWorkersDoNotShareThem() {
        var seen: Set<String> = []
        for seed in UInt64(0)..<4 {
            var ids = RequestIDs(seed: seed)
            for _ in 0..<1000 { seen.insert(ids.next()) }
        }
        #expect(seen.count == 4000)
        #expect(seen.allSatisfy { isMadeHere($0) })
    }

    private func isMadeHere(_ id: String) -> Bool {
        id.utf8.count == 32 && id.allSatisfy { $0.isHexDigit && !$0.isUppercase }
    }
}

@Suite struct TraceparentTests {
    static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    static let span = "00f067aa0ba902b7"

    @Test(
        arguments: [
            "00-\(trace)-\(span)-01", "00-\(trace)-\(span)-00",
            // A later version may say more.
            "cc-\(trace)-\(span)-01", "cc-\(trace)-\(span)-01-0f",
        ])
    func isPassedOnAsItIs(_ text: String) { #expect(validTraceparent(text) == text) }

    @Test(
        arguments: [
            "", "-", "---", "00", "00-\(trace)-\(span)", "00-\(trace)-\(span)-1",
            "00-\(trace)-\(span)-001", "0-\(trace)-\(span)-01", "00-\(trace.dropLast())-\(span)-01",
            "00-\(trace)-\(span)0-01", "00-\(trace.uppercased())-\(span)-01",
            "00-\(trace)-\(span)-zz", "00-\(trace)-\(span)-01-more", "00-\(trace)-\(span)-01-",
            "00-\(trace)-\(span)-01\r\nx: y", " 00-\(trace)-\(span)-01", "ff-\(trace)-\(span)-01",
            "00-\(String(repeating: "0", count: 32))-\(span)-01",
            "00-\(trace)-\(String(repeating: "0", count: 16))-01",
            "cc-\(trace)-\(span)-01-" + String(repeating: "a", count: 256),
        ])
    func isDroppedIfItIsWrong(_ text: String) { #expect(validTraceparent(text) == nil) }
}
