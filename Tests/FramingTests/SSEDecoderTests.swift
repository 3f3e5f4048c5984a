// Server-sent events: the rules of WHATWG HTML 9.2.6, and what servers write besides.

import Framing
import TestSupport
import Testing

@Suite struct SSEDecoderTests {
    /// What a stream handed over in `pieces` holds, one string an item: `kind[name]|data`.
    private func items(_ pieces: [[UInt8]], limit: Int = 4096) throws -> [String] {
        var decoder = SSEDecoder(limit: limit)
        var items: [String] = []
        func note(_ item: SSEItem, _ name: Span<UInt8>, _ data: Span<UInt8>) {
            items.append("\(item)\(name.isEmpty ? "" : "[\(text(name))]")|\(text(data))")
        }
        for piece in pieces { try decoder.feed(piece.span, note) }
        try decoder.finish(note)
        return items
    }

    @Test(arguments: [
        ("", []),
        ("data: a\n\n", ["data|a"]),
        ("data: a\r\n\r\ndata: b\r\rdata: c\n\n", ["data|a", "data|b", "data|c"]),
        ("data: a\r\n\ndata: b\n\r\n", ["data|a", "data|b"]),
        ("data:a\n\ndata:  b\n\n", ["data|a", "data| b"]),
        ("data: one\ndata: two\ndata\ndata: four\n\n", ["data|one\ntwo\n\nfour"]),
        ("data\n\ndata\ndata\n\ndata:\n\n", ["data|", "data|\n", "data|"]),
        ("data: a:b: c\n\n", ["data|a:b: c"]),
        ("\n\n\r\n\r\n", []),
    ])
    func everyCutGivesTheSameEvents(_ input: String, _ expected: [String]) throws {
        try forEveryCut(of: Array(input.utf8)) { pieces in
            let found = try items(pieces)
            #expect(found == expected)
        }
    }

    @Test(arguments: [
        ("event: add\ndata: 1\n\ndata: 2\n\n", ["data[add]|1", "data|2"]),
        ("data: 1\nevent: late\ndata: 2\n\n", ["data[late]|1\n2"]),
        ("event: one\nevent: two\ndata: 1\n\n", ["data[two]|1"]),
        ("event: gone\n\ndata: 1\n\n", ["data|1"]),
        ("event\ndata: 1\n\n", ["data|1"]),
        ("id: 7\nretry: 100\nid\ndata: 1\n\n", ["data|1"]),
    ])
    func fieldsOtherThanDataBelongToTheirEvent(_ input: String, _ expected: [String]) throws {
        try forEveryCut(of: Array(input.utf8)) { pieces in
            let found = try items(pieces)
            #expect(found == expected)
        }
    }

    @Test(arguments: [
        (":\n\n", ["comment|"]),
        (": keep-alive\n\ndata: 1\n\n", ["comment| keep-alive", "data|1"]),
        ("data: 1\n: in between\ndata: 2\n\n", ["comment| in between", "data|1\n2"]),
        ("event: a\n:x\ndata: 1\n\n", ["comment|x", "data[a]|1"]),
    ])
    func commentsAreToldAndChangeNothing(_ input: String, _ expected: [String]) throws {
        try forEveryCut(of: Array(input.utf8)) { pieces in
            let found = try items(pieces)
            #expect(found == expected)
        }
    }

    @Test(
        arguments: [
            (
                "data: 1\n\nproxy error: Failed to read connection",
                ["data|1", "stray|proxy error: Failed to read connection"]
            ),
            ("{\"error\":\"no\"}\n", ["stray|{\"error\":\"no\"}"]),
            ("plain text\r\ndata: 1\n\n", ["stray|plain text", "data|1"]),
            ("data: 1\noops\n\n", ["stray|oops", "data|1"]),
            ("dat: 1\ndatabase: 1\n data: 1\nDATA: 1\n", nil),
            ("events: 1\nidx\nretryy:\ne\n", nil),
        ] as [(String, [String]?)])
    func linesThatAreNoFieldAreHeard(_ input: String, _ expected: [String]?) throws {
        let all = input.split(separator: "\n").map { "stray|\($0)" }
        try forEveryCut(of: Array(input.utf8)) { pieces in
            let found = try items(pieces)
            #expect(found == expected ?? all)
        }
    }

    @Test(arguments: [
        ("data: 1\n\ndata: 2\n", ["data|1", "unterminated|2"]),
        ("data: 1\n\ndata: 2", ["data|1", "unterminated|2"]),
        ("data: 1\r", ["unterminated|1"]),
        ("event: a\ndata: 1\ndata: 2", ["unterminated[a]|1\n2"]),
        ("data: 1\n: bye", ["comment| bye", "unterminated|1"]),
        ("data: 1\nda", ["stray|da", "unterminated|1"]),
        ("event: a\n", []),
        ("id: 1", []),
        ("data: 1\n\r", ["data|1"]),
    ])
    func whatIsUnfinishedAtTheEndIsToldApart(_ input: String, _ expected: [String]) throws {
        try forEveryCut(of: Array(input.utf8)) { pieces in
            let found = try items(pieces)
            #expect(found == expected)
        }
    }

    @Test func aByteOrderMarkIsSkippedAtTheStartOnly() throws {
        let mark = "\u{FEFF}"
        for (input, expected) in [
            ("\(mark)data: 1\n\n", ["data|1"]),
            ("\(mark)\ndata: 1\n\n", ["data|1"]),
            ("\(mark): c\n", ["comment| c"]),
            (mark, []),
            ("\n\(mark)data: 1\n\n", ["stray|\(mark)data: 1"]),
            ("\(mark)\(mark)data: 1\n\n", ["stray|\(mark)data: 1"]),
        ] {
            try forEveryCut(of: Array(input.utf8)) { pieces in
                let found = try items(pieces)
                #expect(found == expected)
            }
        }
    }

    /// What counts: the longest line, with what is kept of the lines before it.
    @Test(arguments: [
        ("data: 123456\n\n", 12),
        ("data: 123456\r\n\r\ndata: 1\n\n", 12),
        ("data: 12\ndata: 34\n\n", 2 + 8),
        ("event: 1\ndata:12345\n\n", 1 + 10),
        (":23456789ab\n", 11),
        ("23456789abc\n", 11),
        ("id: 23456789", 12),
        ("data: 1234\n: comment", 4 + 9),
    ])
    func anEventAtTheLimitPassesAndOneOverItDoesNot(_ input: String, _ limit: Int) throws {
        typealias Failure = FeedError<SSEDecoder.Failure, Never>
        try forEveryCut(of: Array(input.utf8)) { pieces in
            _ = try items(pieces, limit: limit)
            #expect(throws: Failure.decoder(.eventTooLong(limit: limit - 1))) {
                try items(pieces, limit: limit - 1)
            }
        }
    }

    @Test func anEndlessEventIsRefusedBeforeItIsHeld() throws {
        var decoder = SSEDecoder(limit: 1000)
        let line = Array("data: 89\n".utf8)
        // Each line leaves two bytes and a line feed in between: 995 are held, and 8 come.
        for _ in 0..<332 { try decoder.feed(line.span) { _, _, _ in Issue.record("no event") } }
        #expect(throws: FeedError<SSEDecoder.Failure, Never>.decoder(.eventTooLong(limit: 1000))) {
            try decoder.feed(line.span) { _, _, _ in Issue.record("no event") }
        }
    }

    @Test func theHandlersErrorStopsTheDecoderAtThatEvent() {
        var decoder = SSEDecoder(limit: 100)
        var seen: [String] = []
        do {
            try decoder.feed(Array("data: a\n\ndata: b\n\ndata: c\n\n".utf8).span) {
                (item, name, data) throws(Unwanted) in
                seen.append(text(data))
                if seen.count == 2 { throw Unwanted(text: text(data)) }
            }
            Issue.record("the error was lost")
        } catch {
            #expect(error == .handler(Unwanted(text: "b")))
        }
        #expect(seen == ["a", "b"])
    }

    @Test func oneDataLineIsHandedOutWithoutBeingCopied() throws {
        var decoder = SSEDecoder(limit: 100)
        let bytes = Array("data: here\n\n".utf8)
        try decoder.feed(bytes.span) { _, _, data in
            #expect(bytes.span.indices(of: data) == 6..<10)
        }
    }
}
