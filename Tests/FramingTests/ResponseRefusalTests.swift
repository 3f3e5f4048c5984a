// Answers that must not be read, and connections that close in the middle of one.

import Framing
import TestSupport
import Testing

@Suite struct ResponseRefusalTests {
    private static let ok = "HTTP/1.1 200 OK\r\n"
    private static let chunked = "\(ok)Transfer-Encoding: chunked\r\n\r\n"

    /// The refusal must be the same for every cut, and nothing may follow it.
    private func expectRefusal(_ input: String, _ refusal: ResponseRefusal) {
        forEveryCut(of: Array(input.utf8)) { pieces in
            let answer = Answer(pieces, headLimit: 200)
            #expect(answer.refusal == refusal, "\(input)")
            #expect(!answer.isEnded && !answer.mayReuse)
        }
        #expect(!refusal.description.isEmpty)
    }

    @Test(
        arguments: [
            ("\r\nHTTP/1.1 200 OK\r\n\r\n", .statusLine), ("SSH-2.0-OpenSSH_9.2\r\n", .statusLine),
            ("<html>", .statusLine), ("\u{15}\u{3}\u{3}\0\u{2}", .statusLine),
            ("http/1.1 200 OK\r\n\r\n", .statusLine), ("HTTP/1.1\r\n\r\n", .statusLine),
            ("HTTP/1.1 20\r\n\r\n", .statusLine), ("HTTP/1.1 2000 OK\r\n\r\n", .statusLine),
            ("HTTP/1.1  200 OK\r\n\r\n", .statusLine), ("HTTP/1.1 2x0 OK\r\n\r\n", .statusLine),
            ("HTTP/1.1 -20 OK\r\n\r\n", .statusLine), ("HTTP/1.1 200\tOK\r\n\r\n", .statusLine),
            ("HTTP/1.1 200 O\0K\r\n\r\n", .statusLine), ("HTTP/1.1 200 O\rK\r\n\r\n", .statusLine),
            ("HTTP/11 200 OK\r\n\r\n", .statusLine), ("HTTP/+1.1 200 OK\r\n\r\n", .statusLine),
            ("HTTP/2.0 200 OK\r\n\r\n", .version), ("HTTP/1.2 200 OK\r\n\r\n", .version),
            ("HTTP/0.9 200 OK\r\n\r\n", .version),
            ("HTTP/1.1 099 Low\r\n\r\n", .status(99)), ("HTTP/1.1 000 Low\r\n\r\n", .status(0)),
            ("HTTP/1.1 600 High\r\n\r\n", .status(600)),
            ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", .switchedProtocols),
        ] as [(String, ResponseRefusal)])
    func aStatusLineMustBeOne(_ input: String, _ refusal: ResponseRefusal) {
        expectRefusal(input, refusal)
    }

    @Test(
        arguments: [
            ("A : 1\r\n", .fieldName), (": 1\r\n", .fieldName), ("A\r\n", .fieldName),
            ("A(: 1\r\n", .fieldName), ("A\0: 1\r\n", .fieldName), ("Ä: 1\r\n", .fieldName),
            ("Transfer-Encoding : chunked\r\n", .fieldName), ("\rA: 1\r\n", .fieldName),
            ("A: 1\r\n folded\r\n", .foldedField), (" A: 1\r\n", .foldedField),
            ("A: 1\r\n\t\r\n", .foldedField),
            ("A: 1\u{1}\r\n", .fieldValue), ("A: 1\r2\r\n", .fieldValue),
            ("A: \0\r\n", .fieldValue),
            ("A: 1\u{7F}\r\n", .fieldValue), ("A: 1\r\r\n", .fieldValue),
        ] as [(String, ResponseRefusal)])
    func aFieldLineMustBeOne(_ line: String, _ refusal: ResponseRefusal) {
        expectRefusal("\(Self.ok)\(line)\r\n", refusal)
    }

    @Test(
        arguments: [
            ("Content-Length: 5\r\nContent-Length: 6\r\n", .conflictingLengths),
            ("Content-Length: 5, 6\r\n", .conflictingLengths),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", .conflictingLengths),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", .conflictingLengths),
            ("Content-Length: \r\n", .contentLength), ("Content-Length: ,\r\n", .contentLength),
            ("Content-Length: -1\r\n", .contentLength), ("Content-Length: +5\r\n", .contentLength),
            ("Content-Length: 0x5\r\n", .contentLength),
            ("Content-Length: 5 5\r\n", .contentLength),
            ("Content-Length: 5.0\r\n", .contentLength),
            ("Content-Length: 9223372036854775808\r\n", .contentLength),
            ("Content-Length: 0000000000000000005\r\n", .contentLength),
            ("Transfer-Encoding: gzip, chunked\r\n", .transferEncoding),
            ("Transfer-Encoding: chunked, chunked\r\n", .transferEncoding),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", .transferEncoding),
            ("Transfer-Encoding: xchunked\r\n", .transferEncoding),
            ("Transfer-Encoding: \"chunked\"\r\n", .transferEncoding),
            ("Transfer-Encoding: chunked;q=1\r\n", .transferEncoding),
            ("Transfer-Encoding: identity\r\n", .transferEncoding),
            ("Transfer-Encoding:\r\n", .transferEncoding),
        ] as [(String, ResponseRefusal)])
    func theLengthOfABodyMustBeClear(_ fields: String, _ refusal: ResponseRefusal) {
        expectRefusal("\(Self.ok)\(fields)\r\n", refusal)
    }

    @Test(
        arguments: [
            ("\r\n", .chunkSize), ("\n", .chunkSize), (" 5\r\n", .chunkSize),
            (";x\r\n", .chunkSize),
            ("0x5\r\n", .chunkSize), ("+5\r\n", .chunkSize), ("-0\r\n", .chunkSize),
            ("g\r\n", .chunkSize),
            ("5 5\r\n", .chunkSize), ("5 x\r\n", .chunkSize), ("5\0\r\n", .chunkSize),
            ("5\n", .chunkSize), ("5;x\n", .chunkSize), ("5\rx", .chunkSize),
            ("5;\r\r\n", .chunkSize),
            ("5;\u{1}\r\n", .chunkSize), ("5 \r;x\r\n", .chunkSize),
            ("7fffffffffffffff\r\n", .chunkSize), ("0000000000000005\r\n", .chunkSize),
            ("2\r\nabc\r\n", .chunkEnd), ("2\r\nab\n", .chunkEnd), ("2\r\nab\rx", .chunkEnd),
            ("2\r\nab0\r\n\r\n", .chunkEnd),
        ] as [(String, ResponseRefusal)])
    func aChunkMustBeOne(_ chunk: String, _ refusal: ResponseRefusal) {
        expectRefusal(Self.chunked + chunk, refusal)
    }

    @Test func aHeadAtTheLimitPassesAndOneOverItDoesNot() {
        let head = Self.ok + "A: 1\r\nContent-Length: 0\r\n\r\n"
        let input = Array(head.utf8)
        forEveryCut(of: input) { pieces in
            #expect(Answer(pieces, headLimit: input.count).isEnded)
            let limit = input.count - 1
            #expect(Answer(pieces, headLimit: limit).refusal == .headTooLong(limitBytes: limit))
        }
    }

    @Test func trailersAtTheLimitPassAndOneByteOverItDoesNot() {
        let trailers = String(repeating: "A: 1\r\n", count: 20) + "\r\n"
        let input = Array((Self.chunked + "0\r\n" + trailers).utf8)
        forEveryCut(of: input) { pieces in
            #expect(Answer(pieces, headLimit: trailers.utf8.count).isEnded)
            let limit = trailers.utf8.count - 1
            #expect(Answer(pieces, headLimit: limit).refusal == .headTooLong(limitBytes: limit))
        }
    }

    @Test func aChunkExtensionIsReadOverOnlySoFar() {
        let start = Self.chunked + "1;"
        #expect(Answer(start + String(repeating: "x", count: 1020) + "\r\n").refusal == nil)
        #expect(Answer(start + String(repeating: "x", count: 1021) + "\r\n").refusal == .chunkSize)
    }

    @Test func interimAnswersAreSkippedButNotForEver() {
        let interim = "HTTP/1.1 102 Processing\r\n\r\n"
        let final = "\(Self.ok)Content-Length: 0\r\n\r\n"
        #expect(Answer(String(repeating: interim, count: 16) + final).isEnded)
        #expect(
            Answer(String(repeating: interim, count: 17) + final).refusal
                == .tooManyInterimAnswers(limit: 16))
    }

    @Test(
        arguments: [
            ("", .nothingReceived), ("H", .cutInHead), ("HTTP/1.1 200 OK\r\n", .cutInHead),
            ("HTTP/1.1 200 OK\r\nA: 1\r\n\r", .cutInHead),
            ("HTTP/1.1 100 Continue\r\n\r\n", .cutInHead),
            ("\(ok)Content-Length: 3\r\n\r\n", .cutInBody),
            ("\(ok)Content-Length: 3\r\n\r\nab", .cutInBody),
            ("\(ok)Content-Length: 3\r\n\r\nabc", .complete),
            ("\(ok)Content-Length: 0\r\n\r\n", .complete),
            ("\(ok)\r\n", .complete), ("\(ok)\r\nabc", .complete),
            (chunked, .cutInBody), ("\(chunked)1", .cutInBody), ("\(chunked)1;x\r", .cutInBody),
            ("\(chunked)2\r\na", .cutInBody), ("\(chunked)2\r\nab", .cutInBody),
            ("\(chunked)2\r\nab\r", .cutInBody), ("\(chunked)2\r\nab\r\n", .cutInBody),
            ("\(chunked)0", .cutInBody), ("\(chunked)0\r\n", .cutInBody),
            ("\(chunked)0\r\nA: 1\r\n", .cutInBody), ("\(chunked)0\r\n\r\n", .complete),
        ] as [(String, HTTPResponseParser.Closing)])
    func whatAClosedConnectionMeansDependsOnWhereItCloses(
        _ input: String, _ closing: HTTPResponseParser.Closing
    ) {
        forEveryCut(of: Array(input.utf8)) { pieces in
            let answer = Answer(pieces)
            #expect(answer.closing == closing, "\(input)")
            #expect(answer.refusal == nil)
        }
    }
}
