// What the reader of scenario files makes of mistakes: a complaint with its line, never a scenario
// that says less.

import Testing

@Suite struct ScenarioParserTests {
    @Test(arguments: [
        ("client    asks", "line 1: the first line says 'scenario: what happens'"),
        ("scenario: x\nclient    dances", "line 2: 'client dances' is not understood"),
        ("scenario: x\n\n# why\nupstream  juggles", "line 4: 'upstream juggles' is not understood"),
        ("scenario: x\nupstream  sees stars", "line 2: 'upstream sees stars' is not understood"),
        (
            "scenario: x\nclient    asks\nupstream  is ollama",
            "line 3: what an upstream is stands before the first step"
        ),
        (
            "scenario: x\nclient    sends \\q",
            "line 2: unknown escape; there are \\r \\n \\t \\0 \\\\ \\xNN"
        ),
        ("scenario: x\nclient    sends \\x4", "line 2: \\x needs two hexadecimal digits"),
        ("scenario: x\nquiet for a while", "line 2: a duration is missing"),
        ("scenario: x\nquiet for 5", "line 2: a duration needs a unit: ms or s"),
        ("scenario: x\nupstream  floods 8", "line 2: a size needs a unit: bytes, KiB or MiB"),
        ("scenario: x\nclient    closes now", "line 2: 'now' is not understood"),
        ("scenario: x\nafter     peace", "line 2: 'peace' is not understood"),
        ("scenario: x\nclient    sees json error.code", "line 2: write: json path = value"),
        (
            "scenario: x\nmeanwhile",
            "line 2: a step begins with client, upstream, server, quiet, time, after, set, or is a title"
        ),
    ])
    func aMistakeIsToldWithItsLine(_ text: String, _ message: String) {
        #expect(throws: ScenarioError.self) { try Scenario(reading: text) }
        do { _ = try Scenario(reading: text) } catch { #expect("\(error)" == message) }
    }

    @Test func windowsAreTakenOffTheEnd() throws {
        var words = Words("close not before 40 ms within 50ms", line: 1)
        let window = try words.window()
        #expect(window.notBefore == .milliseconds(40))
        #expect(window.within == .milliseconds(50))
        #expect(words.rest == "close")
    }

    @Test func aWindowNeedsAnEnd() throws {
        var words = Words(#""content":"within 5 ms of" and more"#, line: 1)
        #expect(try words.window().within == nil)
        #expect(words.rest == #""content":"within 5 ms of" and more"#)
    }

    @Test(arguments: [
        ("(ab)*3", "ababab"), ("f(x)", "f(x)"), ("(a)*2(b)*2", "aabb"), ("x(a)*0y", "xy"),
        ("(a)*", "(a)*"), ("(open", "(open"),
    ])
    func repetitionsAreWrittenOut(_ text: String, _ written: String) {
        #expect(repeated(text) == written)
    }

    @Test func escapesBecomeBytes() throws {
        #expect(
            try unescaped(#"a\r\n\t\0\\\x7Fé"#, line: 1) == [
                97, 13, 10, 9, 0, 92, 0x7F, 0xC3, 0xA9,
            ])
    }

    @Test func theTitleNamesTheEndings() throws {
        let scenario = try Scenario(
            reading: "scenario: a b   ending: client_left, completed\nclient asks\n")
        #expect(scenario.title == "a b")
        #expect(scenario.endings == ["client_left", "completed"])
        #expect(scenario.steps.map(\.line) == [2])
    }

    @Test func indentedLinesBelongToTheStepAbove() throws {
        let scenario = try Scenario(
            reading: "scenario: x\nclient GET /\n          Origin: a\n          B: c")
        guard case .client(1, .request("GET", "/", let fields, nil)) = scenario.steps[0].action
        else {
            Issue.record("\(scenario.steps)")
            return
        }
        #expect(fields == ["Origin: a", "B: c"])
    }
}
