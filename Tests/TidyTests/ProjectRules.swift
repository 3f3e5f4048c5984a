// What the project as a whole has to keep to: scripts, paths, and the arrows between targets.
import Testing

@Suite struct ProjectRules {
    /// What people run, not what these read.
    static let scripts = Project.files.filter {
        let isData = [".sh", ".txt", ".supp"].contains(where: $0.path.hasSuffix)
        let inScripts = $0.path.hasPrefix("scripts/") && !isData
        let others = [
            ".ci/run", "Tests/RealClients/run", "Tests/RealClients/replay-ollama",
            "Tests/RealClients/llama-cpp-tests", "Benchmarks/compare",
        ]
        return inScripts || others.contains($0.path)
    }

    @Test func thereAreScripts() {
        let wanted = ["setup", "demo", "test", "check", "bench", "package"].map { "scripts/" + $0 }
        #expect(Set(wanted).isSubset(of: Self.scripts.map(\.path)))
    }

    @Test(arguments: scripts)
    func aScriptCanBeRunAndExplainsItself(_ file: ProjectFile) {
        #expect(Project.isExecutable(file.path), "\(file.path) is not executable")
        #expect(file.text.hasPrefix("#!/usr/bin/env "), "\(file.path) has no interpreter line")
        let explains = file.text.contains("--help") || file.text.contains("argparse")
        #expect(explains || file.path == ".ci/run", "\(file.path) has no --help")
    }

    @Test(arguments: scripts.filter { !$0.text.contains("argparse") })
    func aShellScriptStopsAtTheFirstError(_ file: ProjectFile) {
        #expect(file.text.contains("set -euo pipefail"), "\(file.path)")
    }

    @Test func noPathOfAParticularMachine() {
        let folders = ["home", "root", "work", "Users"].map { "/" + $0 + "/" }
        for file in Project.files {
            for (number, line) in file.lines.enumerated()
            where folders.contains(where: line.hasPath) {
                Issue.record("\(file.path):\(number + 1): \(line)")
            }
        }
    }

    // MARK: - Arrows

    /// The table of docs/ARCHITECTURE.md says who may import whom; Package.swift says who does.
    @Test func thePackageHasTheArrowsOfTheArchitecture() throws {
        let table = try arrowsOfTheTable()
        let package = try arrowsOfThePackage()
        #expect(!table.isEmpty)
        #expect(Set(table.keys) == Set(package.keys))
        for (target, allowed) in table where target != "SluiceServer" {
            #expect(package[target] == allowed, "\(target)")
        }
        // Its row says "all of the above but C": it need not use everything that it may.
        let server = try #require(package["SluiceServer"])
        #expect(try server.isSubset(of: #require(table["SluiceServer"])))
    }

    /// Rows such as "| `Framing` | … | `HTTPTypes` |"; several targets may share one.
    private func arrowsOfTheTable() throws -> [String: Set<String>] {
        var arrows: [String: Set<String>] = [:]
        for line in try Project.file("docs/ARCHITECTURE.md").lines where line.hasPrefix("| `") {
            let cells = line.split(separator: "|")
            guard cells.count == 3 else { continue }
            let above = arrows.keys.filter { SourceRules.seesC[$0] == nil }
            for target in quoted(cells[0]) {
                let everything = cells[2].contains("all of the above")
                arrows[target] = everything ? Set(above) : Set(quoted(cells[2]))
            }
        }
        return arrows
    }

    private func quoted(_ text: Substring) -> [String] {
        text.split(separator: "`", omittingEmptySubsequences: false).enumerated()
            .filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }

    private func arrowsOfThePackage() throws -> [String: Set<String>] {
        let text = try Project.file("Package.swift").text
        var arrows: [String: Set<String>] = [:]
        for opening in [
            "        target(", "        .target(", ".systemLibrary(", ".executableTarget(",
        ] {
            for part in text.split(separator: opening).dropFirst() {
                let declaration = part.upToItsParenthesis
                let names = declaration.split(separator: "\"", omittingEmptySubsequences: false)
                    .enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
                let isLibrary = opening == ".systemLibrary("
                guard let target = names.first, target != "TestSupport" else { continue }
                // The first `.target(` is inside the function that all targets are made with.
                if opening == "        .target(", arrows[target] != nil || !target.hasPrefix("C") {
                    continue
                }
                arrows[target] = isLibrary ? [] : Set(names.dropFirst())
            }
        }
        return arrows
    }
}

extension StringProtocol {
    /// Whether a path that begins with this folder is in it; as a part of a longer path it does not
    /// count.
    func hasPath(_ folder: String) -> Bool {
        guard let found = firstRange(of: folder) else { return false }
        let before = self[..<found.lowerBound].last
        return !(before.map { $0.isLetter || $0.isNumber || "_-.~}".contains($0) } ?? false)
    }

    /// The text up to the parenthesis that closes what was opened before it.
    var upToItsParenthesis: SubSequence {
        var depth = 1
        return prefix {
            depth += $0 == "(" ? 1 : $0 == ")" ? -1 : 0
            return depth > 0
        }
    }
}
