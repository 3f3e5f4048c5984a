// Answers of upstreams: what ends a body, what is refused, what a closed connection means.

import Framing
import TestSupport
import Testing

@Suite struct HTTPResponseParserTests {
    private static let ok = "HTTP/1.1 200 OK\r\n"

    private func body(_ answer: Answer) -> String { String(decoding: answer.body, as: UTF8.self) }

    @Test(arguments: [
        ("\(ok)Content-Length: 5\r\n\r\nhello", "hello"),
        ("\(ok)content-length:5, 5\r\nCONTENT-LENGTH: 5\r\n\r\nhello", "hello"),
        ("\(ok)Content-Length: 0\r\n\r\n", ""),
        ("\(ok)Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("\(ok)transfer-encoding:\tChunked \r\n\r\n3\r\nhel\r\n02\r\nlo\r\n000\r\n\r\n", "hello"),
        ("\(ok)Transfer-Encoding: chunked\r\n\r\n5;a=b;c=\"d e\"\r\nhello\r\n0;z\r\n\r\n", "hello"),
        ("\(ok)Transfer-Encoding: chunked\r\n\r\nA \t\r\n0123456789\r\n0 ;x\r\n\r\n", "0123456789"),
        ("\(ok)Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nExpires: now\r\nA: b\n\r\n", "x"),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", ""),
        ("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "ok"),
        ("HTTP/1.1 200 \nContent-Length: 2\n\nok", "ok"),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
                + "\(ok)Content-Length: 2\r\n\r\nok", "ok"
        ),
    ])
    func everyCutGivesTheSameAnswerAndTheConnectionLives(_ input: String, _ expected: String) {
        let whole = Answer(input)
        forEveryCut(of: Array(input.utf8)) { pieces in
            let answer = Answer(pieces)
            #expect(answer == whole)
            #expect(answer.isEnded && body(answer) == expected && answer.mayReuse)
            #expect(answer.leftover == 0 && answer.closing == .complete)
        }
    }

    @Test(arguments: [
        "\(ok)\r\nhello", "\(ok)Connection: keep-alive\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhello",
    ])
    func aBodyWithoutLengthEndsWithTheConnection(_ input: String) {
        forEveryCut(of: Array(input.utf8)) { pieces in
            let answer = Answer(pieces)
            #expect(body(answer) == "hello" && !answer.isEnded)
            #expect(answer.head?.body == .untilClose && answer.head?.keepsAlive == false)
            #expect(answer.closing == .complete && !answer.mayReuse)
        }
    }

    @Test(arguments: [
        ("HTTP/1.1", "", true), ("HTTP/1.1", "Connection: close\r\n", false),
        ("HTTP/1.1", "Connection: x, Close\r\n", false),
        ("HTTP/1.1", "Connection: x\r\nConnection:,,close,\r\n", false),
        ("HTTP/1.1", "Connection: closed\r\nKeep-Alive: close\r\n", true),
        ("HTTP/1.1", "Connection: keep-alive, close\r\n", false),
        ("HTTP/1.0", "", false), ("HTTP/1.0", "Connection: Keep-Alive\r\n", true),
        ("HTTP/1.0", "Connection: keep-alive\r\nConnection: close\r\n", false),
    ])
    func aConnectionIsReusedOnlyIfBothSidesAgree(
        _ version: String, _ fields: String, _ expected: Bool
    ) {
        let answer = Answer("\(version) 200 OK\r\n\(fields)Content-Length: 2\r\n\r\nok")
        #expect(
            answer.isEnded && answer.head?.keepsAlive == expected && answer.mayReuse == expected)
        #expect(answer.head?.isHTTP10 == (version == "HTTP/1.0"))
    }

    @Test func chunksInHTTP10AreReadButEndTheConnection() {
        let answer = Answer(
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "2\r\nok\r\n0\r\n\r\n")
        #expect(answer.isEnded && body(answer) == "ok" && !answer.mayReuse)
    }

    @Test func theAnswerToHEADHasNoBodyWhateverItsHeadSays() {
        for fields in ["Content-Length: 5", "Transfer-Encoding: chunked", "X: y"] {
            let answer = Answer("\(Self.ok)\(fields)\r\n\r\n", isHEAD: true)
            #expect(
                answer.isEnded && answer.head?.body == ResponseHead.Body.none && answer.mayReuse)
        }
    }

    @Test func bytesNobodyAskedForForbidReuse() {
        let input = Array("\(Self.ok)Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n".utf8)
        forEveryCut(of: input) { pieces in
            let answer = Answer(pieces)
            #expect(answer.isEnded && !answer.mayReuse && answer.leftover == 17)
        }
    }

    @Test func fieldsAreFoundInAnyCaseAndWithoutWhiteSpace() {
        let head = Answer(
            "\(Self.ok)Content-Type: \t text/event-stream \r\nX-A: 1\r\nx-a:2\r\nEmpty:\r\n\r\n"
        ).head
        #expect(head?.status == 200)
        #expect(head?.value(for: "content-type") == "text/event-stream")
        #expect(head?.value(for: "empty") == "")
        #expect(head?.value(for: "content") == nil)
        #expect(head?.values(for: "x-a") == ["1", "2"])
        #expect(head?.fields.map(\.name) == ["Content-Type", "X-A", "x-a", "Empty"])
    }
}
