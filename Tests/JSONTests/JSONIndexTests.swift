// The list of a text's values: the same values as a walk finds, in one pass.

import JSON
import Testing

@Suite struct JSONIndexTests {
    private static let texts = [
        "1", " [ ] ", "{}", #""x\n""#, "[1,[2,[3,[]]],{}]",
        #"{ "b" : 1 , "a":[true, null,"x"], "id":{"c":2e1} }"#,
        #"{"id":1,"id":2}"#, #"{"id":1,"\u0069d":2,"x":{"id":[]}}"#,
        #"{"\u0069d":1,"id":2,"id":3}"#,
        #"{"":1,"":2,"a":3}"#, #"{"ab":1,"ac":2,"ab":3,"ad":4,"ac":5}"#,
        #"{"a\\":1,"a\\":2,"😀":3,"\ud83d\ude00":4}"#,
        "{" + (0..<20).map { "\"k\($0 % 17)\":\($0)" }.joined(separator: ",") + "}",
        "{" + (0..<16).map { "\"k\($0 % 15)\":\($0)" }.joined(separator: ",") + "}",
    ]

    @Test(arguments: texts, 0...4)
    func itSaysWhatAWalkFinds(_ text: String, _ levels: Int) throws {
        let bytes = Array(text.utf8)
        let index = try JSONIndex(bytes, indexedDepth: levels)
        #expect(agrees(index, index.root, with: try JSONText(bytes), levels: levels))
    }

    @Test(arguments: [
        "", "{", "[1,]", #"{"a"}"#, "01", "1 2", "[[[[1]]]]", "[[[[1]]]] x", "{\"a\":\"\u{1}\"}",
        #"{"a":[[[[tru]]]]}"#,
    ])
    func itRefusesWhatIsNoTextForTheSameReason(_ text: String) {
        let bytes = Array(text.utf8)
        func reason(_ read: () throws(JSONError) -> Void) -> JSONError? {
            do throws(JSONError) { try read() } catch { return error }
            return nil
        }
        let expected = reason { () throws(JSONError) in _ = try JSONText(bytes, depthLimit: 3) }
        #expect(expected != nil)
        for levels in 0...4 {
            let own = reason { () throws(JSONError) in
                _ = try JSONIndex(bytes, depthLimit: 3, indexedDepth: levels)
            }
            #expect(own == expected, "\(levels)")
        }
    }

    @Test func bytesThatAreNoCharacterAreRefused() {
        let bytes = Array("{\"a\":\"".utf8) + [0xC3] + Array("\"}".utf8)
        #expect(throws: JSONError.invalidUTF8(offset: 6)) {
            try JSONIndex(bytes, indexedDepth: 2)
        }
    }

    @Test func aMemberIsFoundByTheTextOfItsKey() throws {
        let index = try JSONIndex(
            Array(#"{"a":null,"\u0062":"x","c":{"a":1},"c2":"\n"}"#.utf8), indexedDepth: 1)
        let root = index.root
        #expect(index.member("a", of: root).map(index.kind) == .null)
        let second = try #require(index.member("b", of: root))
        #expect(String(decoding: index.bytes[index.contents(of: second)], as: UTF8.self) == "x")
        #expect(index.member("", of: root) == nil)
        // Deeper than asked for: there, but not listed.
        let third = try #require(index.member("c", of: root))
        #expect(index.member("a", of: third) == nil)
        #expect(index.text(of: third)["a"]?.int == 1)
    }

    @Test func lineBreaksBetweenTokensBecomeSpaces() throws {
        var index = try JSONIndex(Array("{\r\n\"a\\n\":\t[1 ,\n2]}\n".utf8), indexedDepth: 3)
        index.blankControls()
        #expect(String(decoding: index.bytes, as: UTF8.self) == "{  \"a\\n\": [1 , 2]} ")
        #expect(agrees(index, index.root, with: try JSONText(index.bytes), levels: 3))
    }
}
