// The grammar of RFC 8259, accepted and refused.

import JSON
import Testing

@Suite struct JSONScannerTests {
    @Test(arguments: [
        "{}", "[]", "null", "true", "false", "0", "-0", "1.5e+10", "\"\"", " [ 1 , 2 ] ",
        #"{"a":{"b":[1,{"c":null}]},"d":"\u00e9\n\"é🦙"}"#, #""12345678901234567""#,
        #"{"a":1,"a":2}"#, "[[[[[[[[]]]]]]]]", "[{},{},[]]",
    ])
    func acceptsWhatTheGrammarAllows(_ text: String) throws {
        let value = try JSONText(Array(text.utf8))
        #expect(value.description == text.trimmed)
    }

    @Test(arguments: [
        "", " ", "{", "[1,]", "{\"a\":1,}", "{a:1}", "01", "1.", ".5", "+1", "1e", "tru", "nul",
        "\"\u{1}\"",
        #""\x""#, #""\u12g4""#, "\"abc", "[1 2]", "{\"a\" 1}", "1 2", "[}", "{]", "'a'", "NaN",
        "[,1]", "{,}",
    ])
    func refusesEverythingElse(_ text: String) {
        #expect(throws: JSONError.self) { try JSONText(Array(text.utf8)) }
    }

    @Test func depthIsLimitedAtTheLimitAndNotBefore() throws {
        let deepest = String(repeating: "[", count: 200) + String(repeating: "]", count: 200)
        _ = try JSONText(Array(deepest.utf8), depthLimit: 200)
        #expect(throws: JSONError.tooDeep(limit: 199)) {
            try JSONText(Array(deepest.utf8), depthLimit: 199)
        }
    }

    @Test func containersOfBothKindsNestBeyondSixtyFourLevels() throws {
        var text = ""
        var end = ""
        for level in 0..<150 {
            text += level % 3 == 0 ? "{\"k\":" : "["
            end = (level % 3 == 0 ? "}" : "]") + end
        }
        _ = try JSONText(Array((text + "1" + end).utf8), depthLimit: 150)
        #expect(throws: JSONError.self) {
            try JSONText(Array((text + "1" + end.dropLast() + "]").utf8), depthLimit: 150)
        }
    }

    @Test(
        arguments: [
            [0x80], [0xC0, 0xAF], [0xC3], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80],
            [0xF4, 0x90, 0x80, 0x80],
            [0xF0, 0x80, 0x80, 0x80], [0xFF], [0xE2, 0x80],
        ] as [[UInt8]])
    func refusesWhatIsNotUTF8(_ bytes: [UInt8]) {
        #expect(throws: JSONError.self) { try JSONText([0x22] + bytes + [0x22]) }
    }

    @Test func theLastOfDuplicateKeysCounts() throws {
        let value = try JSONText(Array(#"{"a":1,"b":2,"a":3}"#.utf8))
        #expect(value["a"]?.int == 3)
    }

    @Test func escapesAreUndone() throws {
        let value = try JSONText(Array(#""a\"\\\/\b\f\n\r\t\u00e9\ud83e\udd99\ud800x""#.utf8))
        #expect(value.string == "a\"\\/\u{8}\u{c}\n\r\té🦙\u{FFFD}x")
    }

    @Test func whatIsWrittenIsReadBack() throws {
        let text = "a\"\\\u{1}\u{1f}\n\r\té🦙\u{85}\u{2028}\u{2029}â€"
        var json: [UInt8] = []
        json.appendJSONString(text)
        #expect(try JSONText(json).string == text)
        #expect(!String(decoding: json, as: UTF8.self).unicodeScalars.contains("\u{2028}"))
    }

    @Test func numbersAreReadWhenTheyFit() throws {
        func number(_ text: String) throws -> JSONText { try JSONText(Array(text.utf8)) }
        #expect(try number("12").int == 12)
        #expect(try number("2.0").int == 2)
        #expect(try number("1e3").int == 1000)
        #expect(try number("2.5").int == nil)
        #expect(try number("1e400").double == nil)
        #expect(try number("123456789012345678901234567890").int == nil)
    }
}

extension String {
    fileprivate var trimmed: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }

    @Test func longStringsAreLookedAtByteForByte() {
        // Whatever must not be passed over, at every place of a string of several blocks.
        for place in 0..<100 {
            for (special, isFine) in [
                ("x", true), (#"\n"#, true), (#"\x"#, false), ("\u{1}", false), ("\u{E9}", true),
            ] {
                let before = String(repeating: "a", count: place)
                let after = String(repeating: "b", count: 99 - place)
                let text = Array("\"\(before)\(special)\(after)\"".utf8)
                var scanner = JSONScanner(depthLimit: 1)
                let range = try? scanner.scanString(text.span)
                #expect(range == (isFine ? 1..<(text.count - 1) : nil), "\(special) at \(place)")
                #expect(!isFine || scanner.hasNonASCII == (special == "\u{E9}"))
            }
        }
    }
}
