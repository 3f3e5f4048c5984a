// The reader of Swift files is tested itself, because a rule that sees nothing passes always.
import Testing

@Suite struct SwiftTextTests {
    @Test(arguments: [
        ("let a = 1 // b", "let a = 1     "),
        ("a /* b /* c */ d */ e", "a                   e"),
        (#"f("x // y")"#, #"f("      ")"#),
        (##"f(#"a"b"#, 1)"##, #"f("     ", 1)"#),
        (#"f("\"a", b)"#, #"f("   ", b)"#),
        (#"f("a\(g("b"))c", d)"#, #"f("   g(" ")) ", d)"#),
    ])
    func commentsAndStringsAreNotCode(_ text: String, _ code: String) {
        #expect(String(decoding: SwiftText(Array(text.utf8)).code, as: UTF8.self) == code)
    }

    @Test func aStringOfSeveralLinesKeepsItsLineEnds() {
        let text = "let a = \"\"\"\n    while b\n    \"\"\"\nlet c = 2\n"
        let code = linesOf(SwiftText(Array(text.utf8)).code)
        #expect(code.count == 5)
        #expect(!code[1].contains("while"))
        #expect(code[3] == "let c = 2")
    }

    @Test func functionsAreMeasuredFromTheirFirstWordToTheirLastBrace() {
        let text = """
            protocol P {
                func a()
                init(b: Int)
            }
            func c(
                d: () -> Void = {}
            ) -> Int
            where T: P {
                if e { f() }
                return .init("}")
            }
            init() { g() }
            """
        #expect(
            SwiftText(Array(text.utf8)).functions == [
                MeasuredFunction(line: 5, length: 7), MeasuredFunction(line: 12, length: 1),
            ])
    }
}
