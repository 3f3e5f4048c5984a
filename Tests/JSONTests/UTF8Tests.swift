// Which bytes are characters: the scanner's answer beside that of the standard library.

import JSON
import Testing

@Suite struct UTF8Tests {
    /// Whether a string with these bytes in it is accepted at each place in a word of eight bytes.
    private func expectSameVerdict(_ bytes: [UInt8]) {
        let isText = String(validating: bytes, as: UTF8.self) != nil
        for padding in [0, 5] {
            let text = [0x22] + [UInt8](repeating: 0x61, count: padding) + bytes + [0x22]
            var scanner = JSONScanner(depthLimit: 1)
            do {
                let range = try scanner.scanString(text.span)
                #expect(isText && range.count == padding + bytes.count, "\(bytes)")
            } catch {
                #expect(!isText, "\(bytes)")
            }
        }
    }

    @Test func allPairsOfBytesAreJudgedAsByTheStandardLibrary() {
        for first in UInt8(0x80)...0xFF {
            expectSameVerdict([first])
            for second in stride(from: UInt8(0x7E), through: 0xFE, by: 1) {
                expectSameVerdict([first, second])
            }
        }
    }

    @Test func theEdgesOfLongCharactersAreJudgedAsByTheStandardLibrary() {
        let leads: [UInt8] = [
            0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF,
        ]
        let edges: [UInt8] = [0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0]
        for lead in leads {
            for second in edges {
                for third in edges {
                    expectSameVerdict([lead, second, third])
                    for fourth in edges { expectSameVerdict([lead, second, third, fourth]) }
                }
            }
        }
    }

    @Test func aCharacterThatStopsTooEarlyIsToldFromABrokenOne() {
        for character in ["é", "漢", "🦙"] {
            let bytes = Array(character.utf8)
            #expect(characterLength(bytes.span, 0) == bytes.count)
            for end in 1..<bytes.count {
                let cut = Array(bytes[..<end])
                #expect(characterLength(cut.span, 0) == -1)
                #expect(throws: JSONError.endedEarly) { try JSONText([0x22] + cut) }
                let broken = [0x22] + cut + [0x22]
                #expect(throws: JSONError.invalidUTF8(offset: 1)) { try JSONText(broken) }
            }
        }
    }

    @Test func aScannerTellsWhetherItSawMoreThanASCII() throws {
        for (text, expected) in [("\"plain, and long enough\"", false), ("\"not plain: é\"", true)]
        {
            var scanner = JSONScanner(depthLimit: 1)
            let bytes = Array(text.utf8)
            _ = try scanner.scanString(bytes.span)
            #expect(scanner.hasNonASCII == expected)
        }
    }
}
