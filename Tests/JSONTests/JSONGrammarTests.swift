// Which texts are JSON: tables of the known traps, and comparison with a second grammar.

import JSON
import TestSupport
import Testing

@Suite struct JSONGrammarTests {
    private func isAccepted(_ bytes: [UInt8]) -> Bool {
        do {
            _ = try JSONText(bytes, depthLimit: 1000)
            return true
        } catch {
            return false
        }
    }

    @Test(arguments: [
        // Structures and white space.
        "[]", "[[]   ]", "[\"\"]", "[\"a\"]", "[false]", "[null, 1, \"1\", {}]", "[null]", "[1\n]",
        " [1]", "[1,null,null,null,2]", "[2] ", " [] ", "\t\r\n {}\t\r\n ",
        "{\"a\":\"b\",\"c\":\"d\"}", "{\"a\":\"b\",\"a\":\"c\"}", "{\"a\":\"b\",\"a\":\"b\"}",
        "{\"\":0}", "{\"a\":[]}", "{\"title\":\"\\u041f\"}", "{\n\"a\": \"b\"\n}",
        "{\"a\\u0000b\":1}",
        // Scalars at the top.
        "null", "true", "false", "\"asd\"", "\"\"", "42", "-0.1",
        // Numbers.
        "[123e65]", "[0e+1]", "[0e1]", "[ 4]", "[-0.000000000000000000000000000000000000000001]",
        "[20e1]", "[-0]", "[-123]", "[-1]", "[1E22]", "[1E-2]", "[1E+2]", "[123e45]",
        "[123.456e78]",
        "[1e-2]", "[1e+2]", "[123]", "[123.456789]", "[1.5e+9999]", "[-1e+9999]", "[0.4e00669999]",
        "[100000000000000000000]", "[-237462374673276894279832749832423479823246327846]",
        // Strings.
        #"["\u0060\u012a\u12AB"]"#, #"["\uD801\udc37"]"#, #"["\ud83d\ude39\ud83d\udc8d"]"#,
        #"["\"\\\/\b\f\n\r\t"]"#, #"["\\u0000"]"#, #"["\""]"#, "[\"a/*b*/c/*d//e\"]", #"["\\a"]"#,
        #"["\uDBFF\uDFFF"]"#, #"["new\u00A0line"]"#, "[\"\u{10FFFF}\"]", "[\"\u{FFFF}\"]",
        #"["\u0000"]"#, #"["\u002c"]"#, "[\"π\"]", "[\"\u{1BFFF}\"]", "[\"asd \"]", "\" \"",
        #"["\uD834\uDd1e"]"#, #"["\u0821"]"#, #"["\u0123"]"#, "[\"\u{2028}\"]", "[\"\u{2029}\"]",
        #"["\u0061\u30af\u30EA\u30b9"]"#, "[\"new\u{7F}line\"]", #"["\uA66D"]"#, "[\"⍂㈴⍂\"]",
        // Grammatical, though the surrogates have no partner.
        #"["\uDADA"]"#, #"["\uD888\u1234"]"#, #"["\uDd1ea"]"#, #"["\uD800\n"]"#, #"["\udfff"]"#,
    ])
    func theseAreJSON(_ text: String) {
        #expect(isAccepted(Array(text.utf8)))
        #expect(ReferenceGrammar.accepts(Array(text.utf8)))
    }

    @Test(arguments: [
        // Nothing, too little, too much.
        "", " ", "\u{FEFF}", "\u{FEFF}{}", "[", "]", "{", "}", "[]]", "{}}", "[\"x\"]]", "[][]",
        "{}{}",
        "1 2", "[1]x", "{\"a\":true} \"x\"", "{\"a\":\"b\"}/**/", "{\"a\":\"b\"}#", "// x\n1",
        "null null",
        "aå", "å", "<.>", "[<null>]", "*", "@", "\u{2060}", "\u{C}[]", "[\u{C}]", "[\u{B}1]",
        "[\u{A0}]",
        "\0", "[1]\0", "{\"a\":1}\0",
        // Lists.
        "[1 true]", "[a", "[\"\": 1]", "[\"\"],", "[,1]", "[1,,2]", "[\"x\",,]", "[\"x\"", "[1,]",
        "[,]",
        "[   , \"\"]", "[1,\n1\n,1", "[\"\",]", "[1,,]", "[\"a\",\n4\n,1,", "[1", "[{}", "[3[4]]",
        "[x",
        "[x]", "[inner [1]]", "[ false, nao]", "[}", "[1}", "[1:2]", "[\"a\" \"b\"]", "[*]",
        "[\\u000A\"\"]",
        // Objects.
        "{[: \"x\"}", "{\"x\", null}", "{\"x\"::\"b\"}", "{\"a\":\"a\" 123}", "{key: 'value'}",
        "{\"a\" b}",
        "{:\"b\"}", "{\"a\" \"b\"}", "{\"a\":", "{\"a\"", "{1:1}", "{9999E9999:1}",
        "{null:null,null:null}",
        "{\"id\":0,,,,,}", "{'a':0}", "{\"id\":0,}", "{\"a\":\"b\",,\"c\":\"d\"}", "{a: \"b\"}",
        "{,}",
        "{\"a\":\"a", "{ \"foo\" : \"bar\", \"a\" }", "{\"a\":1]", "{\"a\":}", "{\"a\":1,\"b\"}",
        "{[]:1}",
        // Words.
        "[fals]", "[nul]", "[tru]", "[True]", "[TRUE]", "nulll", "truee", "[truefalse]",
        "[undefined]", "n",
        // Numbers.
        "[++1234]", "[+1]", "[+Inf]", "[-01]", "[-1.0.]", "[-2.]", "[-NaN]", "[.-1]", "[.2e-3]",
        "[0.1.2]",
        "[0.3e+]", "[0.3e]", "[0.e1]", "[0E+]", "[0E]", "[0e+]", "[0e]", "[1.0e+]", "[1.0e-]",
        "[1.0e]",
        "[1 000.0]", "[1eE2]", "[2.e+3]", "[2.e-3]", "[2.e3]", "[9.e+]", "[Inf]", "[NaN]",
        "[\u{FF11}]",
        "[1+2]", "[0x1]", "[0x42]", "[Infinity]", "[0e+-1]", "[-123.123foo]", "[123\u{E9}]",
        "[-Infinity]",
        "[-foo]", "[- 1]", "[-012]", "[-.123]", "[-1x]", "[1ea]", "[1.]", "[.123]", "[1.2a-3]",
        "[012]",
        "-", "[-]", "2.", "00", "[1e1.5]", "[1_000]", "[1,5.]",
        // Strings.
        #"["\uD800\"]"#, #"["\uD800\u"]"#, #"["\uD800\u1"]"#, #"["\uD800\u1x"]"#, "[é]", #"["\"#,
        #"["\x00"]"#, #"["\\\"]"#, "[\"\\\t\"]", #"["\🌀"]"#, #"["\"]"#, #"["\u00A"]"#,
        #"["\uD834\uDd"]"#, #"["\a"]"#, #"["\uqqqq"]"#, #"["\U0061"]"#, #"["\u 061"]"#,
        #"["\u+061"]"#,
        "[\u{201C}a\u{201D}]", "['single']", "abc", "\"", "[\"new\nline\"]", "[\"\t\"]",
        "[\"a\0a\"]",
        "[\"\u{1F}\"]", #""\UA66D""#, "\"abc", "\"a\\", "\"abcdefg\n\"", "\"abcdefgh\n\"",
        "\"abcdefghi\n\"",
    ])
    func theseAreNot(_ text: String) {
        #expect(!isAccepted(Array(text.utf8)))
        #expect(!ReferenceGrammar.accepts(Array(text.utf8)))
    }

    @Test func anUnfinishedTextIsToldFromABrokenOne() throws {
        let text = Array(
            #" {"a" : [1.5e-3, -0, "é🦙\"\u00e9\\", true,false, null ,{}], "":{"x":[[ ]]} }"#.utf8)
        _ = try JSONText(text)
        for end in 0..<text.count {
            #expect(throws: JSONError.endedEarly) { try JSONText(Array(text[..<end])) }
        }
    }

    @Test(arguments: [
        ("[1 2]", 3), ("{\"a\":1,}", 7), ("[\"a\u{1}\"]", 3), ("[tru3]", 4), ("{} x", 3),
        (#"["\x"]"#, 3),
        (#"["\u00zz"]"#, 6), ("[01]", 2), ("x", 0), ("[1.x]", 3),
    ])
    func anErrorTellsWhereItIs(_ text: String, _ offset: Int) {
        #expect(throws: JSONError.unexpected(offset: offset)) { try JSONText(Array(text.utf8)) }
    }

    @Test func whatChangesInOneByteIsJudgedAsByTheReference() {
        var random = SplitMix(seed: 8259)
        let interesting =
            Array(#"{}[]",:\0129.-+eEtfnu /x"#.utf8) + [0, 0x1F, 0x7F, 0x80, 0xC3, 0xFF]
        for _ in 0..<150 {
            var text: [UInt8] = []
            appendValue(depth: 3, to: &text, &random)
            #expect(isAccepted(text) && ReferenceGrammar.accepts(text))
            for _ in 0..<12 where !text.isEmpty {
                var changed = text
                let place = Int.random(in: 0..<text.count, using: &random)
                let byte = interesting.randomElement(using: &random) ?? 0
                switch Int.random(in: 0..<3, using: &random) {
                case 0: changed[place] = byte
                case 1: changed.insert(byte, at: place)
                default: changed.remove(at: place)
                }
                let text = String(decoding: changed, as: UTF8.self)
                #expect(isAccepted(changed) == ReferenceGrammar.accepts(changed), "\(text)")
            }
        }
    }

    /// Appends a random value: every kind, white space now and then.
    private func appendValue(depth: Int, to text: inout [UInt8], _ random: inout SplitMix) {
        let scalars = [
            "0", "-1.5e+3", "12E-2", "true", "false", "null", #""""#, #""a\"b\\""#,
            #""\ud83e\udd99 é""#,
            #""a longer text, over eight bytes 漢字""#, " 7 ", "\n\"x\"\t",
        ]
        let kind = depth == 0 ? 0 : Int.random(in: 0..<3, using: &random)
        let count = Int.random(in: 0..<4, using: &random)
        switch kind {
        case 1:
            text += Array("[".utf8)
            for i in 0..<count {
                if i > 0 { text += Array(",".utf8) }
                appendValue(depth: depth - 1, to: &text, &random)
            }
            text += Array("]".utf8)
        case 2:
            text += Array("{".utf8)
            for i in 0..<count {
                text += Array((i > 0 ? " ,\"k\\n\" : " : "\"\":").utf8)
                appendValue(depth: depth - 1, to: &text, &random)
            }
            text += Array("}".utf8)
        default: text += Array((scalars.randomElement(using: &random) ?? "0").utf8)
        }
    }
}
