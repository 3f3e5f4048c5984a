// Lines: the same however they were cut, and never longer than allowed.

import Framing
import TestSupport
import Testing

@Suite struct LineSplitterTests {
    /// The lines of a stream handed over in `pieces`, the one without an end among them.
    private func lines(_ pieces: [[UInt8]], limit: Int) throws -> [String] {
        var splitter = LineSplitter(limit: limit)
        var lines: [String] = []
        for piece in pieces {
            try splitter.feed(piece.span) { lines.append(text($0)) }
        }
        try splitter.finish { lines.append("rest:" + text($0)) }
        return lines
    }

    @Test(arguments: [
        ("", []),
        ("a\nbc\n\nlonger\n", ["a", "bc", "", "longer"]),
        ("a\r\nb\r\r\n\r\n", ["a", "b\r", ""]),
        ("a\rb\n", ["a\rb"]),
        ("{\"done\":true}", ["rest:{\"done\":true}"]),
        ("a\nb\r", ["a", "rest:b"]),
        ("12345678\n12345678\r\n", ["12345678", "12345678"]),
        ("héllo 🦙 wörld\nü", ["héllo 🦙 wörld", "rest:ü"]),
    ])
    func everyCutGivesTheSameLines(_ input: String, _ expected: [String]) throws {
        try forEveryCut(of: Array(input.utf8)) { pieces in
            let found = try lines(pieces, limit: 64)
            #expect(found == expected)
        }
    }

    @Test func aLineAtTheLimitPassesAndOneOverItDoesNot() throws {
        for end in ["\n", "\r\n", ""] {
            try forEveryCut(of: Array("12345678\(end)".utf8)) { pieces in
                let found = try lines(pieces, limit: 8)
                #expect(found.count == 1)
                #expect(throws: FeedError<LineSplitter.Failure, Never>.self) {
                    try lines(pieces, limit: 7)
                }
            }
        }
    }

    @Test func aLineWithoutEndIsRefusedBeforeItIsHeld() throws {
        var splitter = LineSplitter(limit: 1000)
        let piece = [UInt8](repeating: 0x61, count: 100)
        for _ in 0..<10 { try splitter.feed(piece.span) { _ in Issue.record("no line has ended") } }
        #expect(throws: FeedError<LineSplitter.Failure, Never>.decoder(.lineTooLong(limit: 1000))) {
            try splitter.feed([0x61].span) { _ in Issue.record("no line has ended") }
        }
    }

    @Test func theHandlersErrorStopsTheSplitterAtThatLine() {
        var splitter = LineSplitter(limit: 8)
        var seen: [String] = []
        do {
            try splitter.feed(Array("a\nb\nc\n".utf8).span) { line throws(Unwanted) in
                seen.append(text(line))
                if seen.count == 2 { throw Unwanted(text: text(line)) }
            }
            Issue.record("the error was lost")
        } catch {
            #expect(error == .handler(Unwanted(text: "b")))
            #expect(error.merged { _ in Unwanted(text: "too long") } == Unwanted(text: "b"))
        }
        #expect(seen == ["a", "b"])
    }

    @Test func theDecodersErrorCanBecomeTheHandlers() {
        var splitter = LineSplitter(limit: 2)
        do {
            try splitter.feed(Array("abc\n".utf8).span) { _ throws(Unwanted) in }
            Issue.record("the line was too long")
        } catch {
            #expect(error.merged { Unwanted(text: "\($0.limit)") } == Unwanted(text: "2"))
        }
    }
}
