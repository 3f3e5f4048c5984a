// Views into a checked text, and writing: values, escapes, line separators.

import JSON
import Testing

@Suite struct JSONTextTests {
    private func json(_ text: String) throws -> JSONText { try JSONText(Array(text.utf8)) }

    @Test func membersAndElementsKeepTheirOrderAndDuplicates() throws {
        let value = try json(#"{ "b" : 1 , "a":[true, null,"x"], "b":{"c":2} }"#)
        #expect(value.members.map(\.key.string) == ["b", "a", "b"])
        #expect(value.members.map(\.value.description) == ["1", #"[true, null,"x"]"#, #"{"c":2}"#])
        #expect(value["a"]?.elements.map(\.kind) == [.bool, .null, .string])
        #expect(value["b"]?["c"]?.int == 2)
        #expect(value["c"] == nil)
        #expect(value.elements.isEmpty && value["a"]?.members.isEmpty == true)
    }

    @Test func keysAreComparedAsTextNotAsBytes() throws {
        let value = try json(#"{"\u0061\/b":1}"#)
        #expect(value["a/b"]?.int == 1)
        #expect(value[#"\u0061\/b"#] == nil)
        // Equal as Swift strings, but not the same text.
        let composed = try json("{\"\u{E9}\":1}")
        #expect(composed["\u{E9}"] != nil && composed["e\u{301}"] == nil)
    }

    @Test func membersAreFoundByTheirText() throws {
        let members = try json(#"{"id":1,"":2,"a\\":3,"\u0069d":4,"idea":5}"#).members
        for (name, found) in [
            ("id", [true, false, false, true, false]), ("", [false, true, false, false, false]),
            (#"a\"#, [false, false, true, false, false]),
            ("idea", [false, false, false, false, true]),
            (#"a\\"#, [false, false, false, false, false]),
            ("i", [false, false, false, false, false]),
        ] {
            #expect(members.map { $0.isNamed(name) } == found, "\(name)")
        }
    }

    @Test func aValueOfAnotherKindIsNothing() throws {
        let text = try json("\"1\"")
        #expect(text.int == nil && text.double == nil && text.bool == nil && !text.isNull)
        #expect(text["a"] == nil && text.elements.isEmpty && text.members.isEmpty)
        let number = try json("1")
        #expect(number.string == nil && number.bool == nil && !number.isString("1"))
        #expect(number.decodedBytes.isEmpty)
        #expect(try json("true").bool == true)
        #expect(try json("false").bool == false)
        #expect(try json("null").isNull)
    }

    @Test(
        arguments: [
            ("0", 0), ("-0", 0), ("-0.0", 0), ("9223372036854775807", .max),
            ("-9223372036854775808", .min), ("9223372036854775808", nil),
            ("1e18", 1_000_000_000_000_000_000),
            ("1e19", nil), ("-1e19", nil), ("1e400", nil), ("1e-400", 0), ("120e-1", 12),
            ("0.1", nil),
        ] as [(String, Int?)])
    func integersAreReadIfTheyAreExactlyThat(_ text: String, _ expected: Int?) throws {
        #expect(try json(text).int == expected)
    }

    @Test(arguments: [
        (#""\ud83e\udd99""#, "🦙"), (#""\ud83e""#, "\u{FFFD}"),
        (#""\udd99\ud83e""#, "\u{FFFD}\u{FFFD}"),
        (#""\ud83e\ud83e\udd99""#, "\u{FFFD}🦙"), (#""\ud83ex\udd99""#, "\u{FFFD}x\u{FFFD}"),
        (#""\ud83e\n""#, "\u{FFFD}\n"), (#""\u0000""#, "\0"), (#""\u00E9\u00e9""#, "éé"),
        (#""\uFFFF\uffff""#, "\u{FFFF}\u{FFFF}"), (#""plain""#, "plain"), (#""""#, ""),
        (#""\/\\\"\b\f""#, "/\\\"\u{8}\u{C}"), (#""\\u0041""#, "\\u0041"),
    ])
    func escapesAreUndone(_ text: String, _ expected: String) throws {
        let value = try json(text)
        #expect(value.string == expected && value.isString(expected))
        #expect(value.decodedBytes == Array(expected.utf8))
        #expect(!value.isString(expected + "x"))
    }

    @Test func everyScalarThatIsWrittenIsReadBack() throws {
        for start in stride(from: UInt32(0), to: 0x11_0000, by: 0x400) {
            // Every scalar of the first pages, then a few of each.
            let end = start < 0x2400 ? start + 0x400 : start + 3
            let scalars = (start..<end).compactMap { Unicode.Scalar($0) }
            let text = String(String.UnicodeScalarView(scalars))
            var written: [UInt8] = []
            written.appendJSONString(text)
            #expect(try JSONText(written).string == text)
        }
    }

    @Test func lineSeparatorsNeverLeaveUnescaped() throws {
        let text = #"{"a":"x‎\#u{85}y\#u{2028}\#u{2029}Â…z\\","b":[1]}"#
        var written: [UInt8] = []
        written.appendEscapingLineSeparators(Array(text.utf8).span)
        let separators: [Unicode.Scalar] = ["\u{85}", "\u{2028}", "\u{2029}"]
        #expect(
            !String(decoding: written, as: UTF8.self).unicodeScalars.contains {
                separators.contains($0)
            })
        #expect(try JSONText(written)["a"]?.string == (try json(text))["a"]?.string)
    }

    @Test(arguments: [0, 7, -7, 10, 1234567890, .max, .min])
    func integersAreWritten(_ number: Int) {
        var written: [UInt8] = []
        written.append(decimal: number)
        #expect(String(decoding: written, as: UTF8.self) == "\(number)")
    }

    @Test func aScannerMayBeginInTheMiddleOfAText() throws {
        let bytes = Array(#"data: {"a":[1,2]} rest"#.utf8)
        var scanner = JSONScanner(at: 5, depthLimit: 2)
        #expect(try scanner.peekKind(bytes.span) == .object)
        #expect(try scanner.skipValue(bytes.span) == 6..<17)
        #expect(throws: JSONError.unexpected(offset: 18)) { try scanner.finish(bytes.span) }
    }

    @Test func depthCountsWhatWasSteppedIntoAndWhatIsSkipped() throws {
        let bytes = Array("[[[]],[[]]]".utf8)
        for (limit, fits) in [(3, true), (2, false)] {
            var scanner = JSONScanner(depthLimit: limit)
            var error: JSONError?
            do {
                try scanner.enterArray(bytes.span)
                while try scanner.nextElement(bytes.span) { try scanner.skipValue(bytes.span) }
                try scanner.finish(bytes.span)
            } catch let thrown {
                error = thrown
            }
            #expect(error == (fits ? nil : .tooDeep(limit: limit)))
        }
    }
}
