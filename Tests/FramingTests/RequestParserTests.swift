// The request parser: pipelining, limits, and the cost of drips.

import Framing
import HTTPTypes
import TestSupport
import Testing

@Suite struct RequestParserTests {
    private let limits = RequestLimits(
        requestLine: 8192, head: 65536, headFields: 100, body: 1 << 26)

    private func run(_ text: String) -> RequestRun {
        RequestRun([Array(text.utf8)], limits: limits)
    }

    /// One connection, read by read.
    private struct Connection {
        var parser: HTTPRequestParser

        /// The steps one read gives, up to the one that ends it.
        mutating func read(_ text: String) -> [String] {
            let bytes = Array(text.utf8)
            var i = 0
            var steps: [String] = []
            while true {
                switch parser.next(bytes.span, &i) {
                case .needMore: return steps
                case .head(let head): steps.append("head \(head.target)")
                case .body(let range):
                    steps.append("body \(String(decoding: bytes[range], as: UTF8.self))")
                case .end: steps.append("end")
                case .refused(let refusal): return steps + ["refused \(refusal)"]
                }
            }
        }

        var state: String {
            switch (parser.isIdle, parser.isReadingHead, parser.isReadingBody) {
            case (true, false, false): "idle"
            case (false, true, false): "head"
            case (false, false, true): "body"
            case (false, false, false): "none"
            default: "several"
            }
        }
    }

    @Test func aBodyMayBeReadPastTheParser() {
        var client = Connection(parser: HTTPRequestParser(limits: limits))
        #expect(client.parser.bodyBytesToCome == 0)
        let begin = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na"
        #expect(client.read(begin) == ["head /", "body a"])
        #expect(client.parser.bodyBytesToCome == 4)
        client.parser.skipBody(3)
        #expect(client.parser.bodyBytesToCome == 1)
        // More than is to come moves nothing.
        client.parser.skipBody(2)
        #expect(client.parser.bodyBytesToCome == 1)
        client.parser.skipBody(1)
        let next = "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na"
        #expect(client.read(next) == ["end", "head /2", "body a"])
        // Only what has no framing of its own can be read so.
        #expect(client.parser.bodyBytesToCome == 0)
    }

    @Test func itSaysWhatItIsWaitingFor() {
        var client = Connection(parser: HTTPRequestParser(limits: limits))
        #expect(client.state == "idle")
        for (text, steps, state) in [
            ("", [], "idle"), ("\r", [], "head"), ("\n", [], "idle"), ("P", [], "head"),
            ("OST / HTTP/1.1\r\n", [], "head"), ("Host: a\r\nContent-Length: 3\r\n\r", [], "head"),
            ("\n", ["head /"], "body"), ("ab", ["body ab"], "body"), ("", [], "body"),
            ("c", ["body c", "end"], "idle"), ("POST /2 HTTP/1.1\r\nHost: a\r\n", [], "head"),
            ("Transfer-Encoding: chunked\r\n\r\n", ["head /2"], "body"), ("2", [], "body"),
            ("\r\nab", ["body ab"], "body"), ("\r\n0\r\n", [], "body"), ("X: y\r\n", [], "body"),
            ("\r\n", ["end"], "idle"), ("\n", ["refused bareLineEnd"], "none"),
            ("GET / HTTP/1.1\r\n", ["refused bareLineEnd"], "none"),
        ] as [(String, [String], String)] {
            #expect(client.read(text) == steps, "after \(text.debugDescription)")
            #expect(client.state == state, "after \(text.debugDescription)")
        }
    }

    @Test func aBodyIsHandedOnAsItComesAndNotKept() {
        var client = Connection(parser: HTTPRequestParser(limits: limits))
        #expect(
            client.read("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nab") == [
                "head /", "body ab",
            ])
        #expect(client.read("cd") == ["body cd"])
        #expect(client.read("efGET /2 HTTP/1.1\r\n") == ["body ef", "end"])
        #expect(client.read("Host: a\r\n\r\n") == ["head /2", "end"])
    }

    @Test func theOriginIsKnownAsSoonAsItsLineWasRead() {
        var parser = HTTPRequestParser(
            limits: RequestLimits(
                requestLine: 100, head: 400, headFields: 10, body: 50))
        func feed(_ text: String) -> String? {
            var i = 0
            let bytes = Array(text.utf8)
            loop: while true {
                switch parser.next(bytes.span, &i) {
                case .needMore, .refused: break loop
                case .head, .body, .end: continue
                }
            }
            return parser.origin
        }
        #expect(feed("POST / HTTP/1.1\r\nHost: a\r\nOrigin: http://one") == nil)
        #expect(feed("\r\nX: y\r\n") == "http://one")
        #expect(feed("ORIGIN: http://two\r\nContent-Length: 2\r\n\r\n1") == "http://one")
        #expect(feed("2") == nil)
        #expect(feed("GET / HTTP/1.1\r\norigin:  http://three \r\nbad line\r\n") == "http://three")
    }

    @Test func theCallerMayPauseBetweenTwoRequests() {
        let bytes = Array(
            "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        var parser = HTTPRequestParser(limits: limits)
        var i = 0
        guard case .head(let first) = parser.next(bytes.span, &i) else {
            Issue.record("no first head")
            return
        }
        #expect(first.target == "/1")
        #expect(i == bytes.count / 2)
        let end = parser.next(bytes.span, &i)
        #expect(end == .end && i == bytes.count / 2)
        // What is left may be handed over again, as a later read.
        let rest = Array(bytes[i...])
        i = 0
        guard case .head(let second) = parser.next(rest.span, &i) else {
            Issue.record("no second head")
            return
        }
        #expect(second.target == "/2")
    }

    @Test func anUnboundedLimitIsNoTrap() {
        let none = RequestLimits(requestLine: .max, head: .max, headFields: .max, body: .max)
        let text = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        for (size, ending) in [
            ("7FFFFFFFFFFFFFFF", RequestRun.Ending.inBody),
            ("8000000000000000", .refused(.bodyTooLarge(limitBytes: .max))),
            ("2\r\nab\r\n7FFFFFFFFFFFFFFF", .refused(.bodyTooLarge(limitBytes: .max))),
        ] {
            let run = RequestRun([Array((text + size + "\r\n").utf8)], limits: none)
            #expect(run.ending == ending, "\(size)")
        }
    }

    @Test func limitsOfZeroRefuseEverythingAndDoNotTrap() {
        let none = RequestLimits(requestLine: 0, head: 0, headFields: 0, body: 0)
        let run = RequestRun([Array("GET / HTTP/1.1\r\n".utf8)], limits: none)
        #expect(run.ending == .refused(.requestLineTooLong(limitBytes: 0)))
        let noHead = RequestLimits(requestLine: 100, head: 0, headFields: 0, body: 0)
        let second = RequestRun([Array("GET / HTTP/1.1\r\n".utf8)], limits: noHead)
        #expect(second.ending == .refused(.headTooLarge(limitBytes: 0)))
        let noFields = RequestLimits(requestLine: 100, head: 100, headFields: 0, body: 0)
        let third = RequestRun([Array("GET / HTTP/1.1\r\nHost: a\r\n".utf8)], limits: noFields)
        #expect(third.ending == .refused(.tooManyFields(limit: 0)))
    }

    // MARK: - Chunk extensions

    private func chunked(_ chunks: String) -> String {
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    }

    private func chunk(_ data: String, extensionBytes: Int) -> String {
        let padding = String(repeating: "x", count: extensionBytes - 1)
        return String(data.utf8.count, radix: 16) + ";" + padding + "\r\n" + data + "\r\n"
    }

    @Test func aChunkLineMayHaveAThousandBytesOfExtensionsAndNoMore() {
        let longest = run(chunked(chunk("a", extensionBytes: 1023) + "0\r\n\r\n"))
        #expect(longest.requests.first?.isComplete == true)
        let over = run(chunked(chunk("a", extensionBytes: 1024)))
        #expect(over.ending == .refused(.chunkExtensionTooLong))
        let endless = run(chunked("1;" + String(repeating: "x", count: 1023)))
        #expect(endless.ending == .refused(.chunkExtensionTooLong))
    }

    @Test func extensionsOfAllChunksAreBoundedByTheDataTheyCarry() {
        // Sixteen kilobytes are free; after that, extensions may be as long as the data.
        let tiny = String(repeating: chunk("a", extensionBytes: 1000), count: 17)
        #expect(run(chunked(tiny)).ending == .refused(.chunkExtensionTooLong))
        let data = String(repeating: "a", count: 1000)
        let honest = String(repeating: chunk(data, extensionBytes: 1000), count: 40)
        #expect(run(chunked(honest)).ending == .inBody)
    }

    // MARK: - Cost

    @Test(.timeLimit(.minutes(1))) func aHeadThatComesByteByByteIsReadOnce() {
        // Reading again from the start with each byte would take over a thousand million steps
        // here, not 50,000.
        let large = RequestLimits(requestLine: 8192, head: 200_000, headFields: 100, body: 0)
        let text = "GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "y", count: 50_000)
        var parser = HTTPRequestParser(limits: large)
        for byte in (text + "\r\n\r\n").utf8 {
            let read = [byte]
            var i = 0
            if case .head(let head) = parser.next(read.span, &i) {
                #expect(head.canonical.count == text.utf8.count + 4)
                return
            }
        }
        Issue.record("no head")
    }
}
