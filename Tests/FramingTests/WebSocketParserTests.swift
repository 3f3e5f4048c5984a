// WebSocket frames: what comes out of them, and what is refused, however they were cut.

import Framing
import TestSupport
import Testing

@Suite struct WebSocketParserTests {
    /// What comes out of bytes handed over in `pieces`, as words; the parser's own steps but
    /// `needMore`.
    private func found(_ pieces: [[UInt8]], limit: Int = 1000) -> [String] {
        var parser = WebSocketParser(messageLimit: limit)
        var found: [String] = []
        for piece in pieces {
            var i = 0
            loop: while true {
                switch parser.next(piece.span, &i) {
                case .needMore: break loop
                case .text(let text): found.append("text " + String(decoding: text, as: UTF8.self))
                case .ping(let data): found.append("ping " + String(decoding: data, as: UTF8.self))
                case .pong: found.append("pong")
                case .close(let code):
                    found.append("close \(code.map(String.init) ?? "-")")
                    return found
                case .failed(let failure):
                    found.append("\(failure) \(failure.closeCode.rawValue)")
                    return found
                }
            }
            #expect(i == piece.count)
            #expect(parser.heldBytes <= limit)
        }
        return found
    }

    private func expect(
        _ bytes: [UInt8], gives expected: [String], limit: Int = 1000,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        forEveryCut(of: bytes) { pieces in
            #expect(found(pieces, limit: limit) == expected, sourceLocation: sourceLocation)
        }
    }

    @Test(arguments: [0, 1, 125, 126, 127, 128, 700])
    func aTextComesWholeWhateverItsLength(_ length: Int) {
        let text = String(repeating: "*", count: length)
        expect(frame(0x81, text), gives: ["text " + text])
    }

    @Test func aTextOfMoreThan64KiBHasALongLength() {
        let text = String(repeating: "é", count: 40_000)
        let bytes = frame(0x81, text)
        #expect(found([bytes], limit: 80_000) == ["text " + text])
        #expect(found([bytes], limit: 79_999) == ["tooBig(limitBytes: 79999) 1009"])
    }

    @Test func aMessageMayComeInFragmentsWithControlFramesBetween() {
        let bytes =
            frame(0x01, "He") + frame(0x89, "are you there?") + frame(0x00, "")
            + frame(0x8A, "") + frame(0x00, "ll") + frame(0x80, "o") + frame(0x81, "next")
        expect(bytes, gives: ["ping are you there?", "pong", "text Hello", "text next"])
    }

    @Test func emptyMessagesAreMessages() {
        let bytes = frame(0x81, "") + frame(0x01, "") + frame(0x00, "") + frame(0x80, "")
        expect(bytes, gives: ["text ", "text "])
    }

    @Test func aCharacterMayBeCutByFragments() {
        let bytes = Array("κόσμε 🦙".utf8)
        for cut in 0...bytes.count {
            let frames = frame(0x01, Array(bytes[..<cut])) + frame(0x80, Array(bytes[cut...]))
            #expect(found([frames]) == ["text κόσμε 🦙"])
        }
    }

    @Test(arguments: [
        ("reserved bit 1", frame(0xC1, "x"), "reservedBits 1002"),
        ("reserved bit 2", frame(0xA1, "x"), "reservedBits 1002"),
        ("reserved bit 3 of a ping", frame(0x99, "x"), "reservedBits 1002"),
        ("opcode 3", frame(0x83, "x"), "unknownOpcode(3) 1002"),
        ("opcode 7", frame(0x87, ""), "unknownOpcode(7) 1002"),
        ("opcode 11", frame(0x8B, ""), "unknownOpcode(11) 1002"),
        ("opcode 15", frame(0x8F, ""), "unknownOpcode(15) 1002"),
        ("a binary message", frame(0x82, "x"), "binary 1003"),
        ("a fragment of a binary message", frame(0x02, "x"), "binary 1003"),
        ("not masked", [0x81, 0x01, 0x78], "notMasked 1002"),
        ("a ping in fragments", frame(0x09, "x"), "malformedControl 1002"),
        ("a close in fragments", frame(0x08, ""), "malformedControl 1002"),
        ("a ping of 126 bytes", [0x89, 0xFE], "malformedControl 1002"),
        ("a continuation of nothing", frame(0x80, "x"), "misplacedFragment 1002"),
        ("a text in a text", frame(0x01, "a") + frame(0x81, "b"), "misplacedFragment 1002"),
        ("a text in an empty text", frame(0x01, "") + frame(0x01, ""), "misplacedFragment 1002"),
        ("binary in a text", frame(0x01, "a") + frame(0x82, "b"), "misplacedFragment 1002"),
        ("125 bytes in two", [0x81, 0xFE, 0, 125, 0, 0, 0, 0], "malformedLength 1002"),
        (
            "65535 bytes in eight", [0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0],
            "malformedLength 1002"
        ),
        (
            "a length of 64 bits", [0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            "malformedLength 1002"
        ),
        ("a close of one byte", frame(0x88, [3]), "malformedClose 1002"),
        ("a reason that is not UTF-8", frame(0x88, [3, 0xE8, 0xFF]), "notUTF8 1007"),
        ("a reason that is cut", frame(0x88, [3, 0xE8, 0xC3]), "notUTF8 1007"),
    ])
    func whatBreaksARuleIsRefused(_ name: String, _ bytes: [UInt8], _ expected: String) {
        expect(frame(0x81, "before") + bytes, gives: ["text before", expected])
    }

    @Test(arguments: [
        [0xC3], [0x80], [0xC0, 0xAF], [0xC1, 0xBF], [0xE0, 0x9F, 0xBF], [0xED, 0xA0, 0x80],
        [0xED, 0xBF, 0xBF], [0xF0, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80], [0xF5], [0xFE],
        [0xE2, 0x82], [0xF0, 0x9F, 0xA6], [0x61, 0xC3, 0x28],
    ])
    func aTextThatIsNotUTF8IsRefused(_ bytes: [UInt8]) {
        expect(frame(0x81, bytes), gives: ["notUTF8 1007"])
        expect(frame(0x01, Array("ok".utf8)) + frame(0x80, bytes), gives: ["notUTF8 1007"])
    }

    @Test func UTF8IsCheckedLikeTheStandardLibraryChecksIt() {
        var random = SplitMix(seed: 7)
        let interesting: [UInt8] = [
            0x00, 0x61, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1,
            0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF,
        ]
        var good = 0
        for _ in 0..<50_000 {
            let text = (0..<(1 + Int(random.next() % 5))).map { _ in
                interesting[Int(random.next() % UInt64(interesting.count))]
            }
            let isValid = String(validating: text, as: UTF8.self) != nil
            if isValid { good += 1 }
            let isTaken = found([frame(0x81, text)]) != ["notUTF8 1007"]
            #expect(isTaken == isValid, "\(text)")
        }
        #expect(good > 500)
    }

    @Test func aBadByteIsRefusedBeforeTheMessageIsComplete() {
        var parser = WebSocketParser(messageLimit: 1000)
        let start = frame(0x01, [0x61, 0xFF])
        var i = 0
        #expect(parser.next(start.span, &i) == .failed(.notUTF8))
        #expect(parser.next(Span(), &i) == .failed(.notUTF8))
    }

    @Test func whatIsTooLongIsRefusedByItsHead() {
        let head = Array(frame(0x81, String(repeating: "x", count: 200)).prefix(8))
        #expect(found([head], limit: 199) == ["tooBig(limitBytes: 199) 1009"])
        #expect(found([head], limit: 200) == [])
        let fragments = frame(0x01, "12345") + frame(0x80, "67890")
        expect(fragments, gives: ["text 1234567890"], limit: 10)
        expect(fragments, gives: ["tooBig(limitBytes: 9) 1009"], limit: 9)
    }

    @Test(arguments: [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1014, 3000, 4999])
    func aCloseSaysItsCode(_ code: Int) {
        let bytes = frame(0x88, [UInt8(code >> 8), UInt8(code & 255)] + Array("bye".utf8))
        expect(bytes + frame(0x81, "late"), gives: ["close \(code)"])
    }

    @Test(arguments: [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
    func aCodeThatMayNotBeSaidIsRefused(_ code: Int) {
        expect(
            frame(0x88, [UInt8(code >> 8), UInt8(code & 255)]), gives: ["malformedClose 1002"])
    }

    @Test func aCloseMaySayNothing() {
        expect(frame(0x01, "unfinished") + frame(0x88, ""), gives: ["close -"])
    }
}

/// A frame as a client sends it, masked.
private func frame(_ first: UInt8, _ text: String) -> [UInt8] { frame(first, Array(text.utf8)) }

private func frame(_ first: UInt8, _ payload: [UInt8]) -> [UInt8] {
    let mask: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
    var bytes = [first]
    switch payload.count {
    case ..<126: bytes.append(0x80 | UInt8(payload.count))
    case ...0xFFFF: bytes += [0xFE, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
    default:
        bytes.append(0xFF)
        bytes += (0..<8).reversed().map { UInt8(payload.count >> ($0 * 8) & 255) }
    }
    return bytes + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] }
}
