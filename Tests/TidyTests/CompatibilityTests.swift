// docs/COMPATIBILITY.md against the tests: each test that it names is there.

import Testing

@Suite struct CompatibilityTests {
    @Test func everyTestBehindANeedIsThere() throws {
        let lines = try Project.file("docs/COMPATIBILITY.md").lines
        let start = try #require(lines.firstIndex(of: "| a client needs | tests |"))
        let rows = lines[(start + 2)...].prefix { $0.hasPrefix("|") }
        #expect(rows.count > 25)
        let known = Self.tests
        for row in rows {
            let cells = row.split(separator: " | ")
            let names = cells.last?.split(separator: "`").filter { !", |".contains($0) } ?? []
            #expect(cells.count == 2 && !names.isEmpty, "\(row)")
            for name in names where !known.contains(String(name)) {
                Issue.record("no test is called '\(name)'")
            }
        }
    }

    /// The names of all tests: functions, scenario files, cases of real clients.
    private static var tests: Set<String> {
        var names: Set<String> = []
        let folder = "Tests/Scenarios/"
        let ending = ".scenario"
        for file in Project.files where file.path.hasPrefix("Tests/") {
            if file.path.hasPrefix(folder), file.path.hasSuffix(ending) {
                names.insert(String(file.path.dropFirst(folder.count).dropLast(ending.count)))
            }
            for line in file.lines {
                for mark in ["func ", "@case(\""] {
                    guard let start = line.firstRange(of: mark)?.upperBound else { continue }
                    let closing: Character = mark.hasSuffix("\"") ? "\"" : "("
                    names.insert(String(line[start...].prefix { $0 != closing }))
                }
            }
        }
        return names
    }
}
