// What every Swift file has to keep to: size, opening sentence, imports, words that stay out.
import Testing

@Suite struct SourceRules {
    @Test(arguments: Project.swiftFiles)
    func aFileIsAtMostFiveHundredLinesLong(_ file: ProjectFile) {
        #expect(file.lines.count <= 501, "\(file.path) has \(file.lines.count) lines")
    }

    /// A function over the ceiling needs a comment right above it that begins with `Long because`.
    @Test(arguments: Project.swiftFiles)
    func aFunctionIsAtMostSixtyLinesLong(_ file: ProjectFile) {
        let lines = file.lines
        for function in SwiftText(file.bytes).functions where function.length > 60 {
            let above = lines[..<(function.line - 1)].reversed().prefix { $0.isComment }
            #expect(
                above.contains { $0.contains("Long because") },
                "\(file.path):\(function.line): \(function.length) lines")
        }
    }

    /// Code is at most 100 wide, comments 120; what is in a string may be as long as its bytes are.
    @Test(arguments: Project.swiftFiles)
    func linesFitTheirWidth(_ file: ProjectFile) {
        let text = SwiftText(file.bytes)
        for (number, code) in linesOf(text.code).enumerated() where code.trimmedEnd.count > 100 {
            #expect(code.contains("\""), "\(file.path):\(number + 1): code wider than 100")
        }
        for (number, comment) in linesOf(text.comments).enumerated() {
            let width = comment.trimmedEnd.count
            #expect(width <= 120, "\(file.path):\(number + 1): comment \(width) wide")
        }
    }

    @Test(arguments: Project.swiftFiles)
    func aFileOpensWithASentenceThatSaysWhatItHolds(_ file: ProjectFile) {
        let opening = file.lines.prefix { $0.hasPrefix("//") }
        let sentence = opening.map { $0.drop { $0 == "/" || $0 == " " } }.joined(separator: " ")
        #expect(
            sentence.count > 10 && sentence.contains("."),
            "\(file.path) should open with a comment: a sentence on what it holds")
    }

    static let forbidden = [
        "try!", "as!", "fatalError", "@unchecked Sendable", "Thread.sleep", "usleep(",
        "import XCTest",
        "nonisolated(unsafe)",
    ]

    @Test(arguments: Project.swiftFiles)
    func wordsThatHideTroubleStayOut(_ file: ProjectFile) {
        for (number, line) in linesOf(SwiftText(file.bytes).code).enumerated() {
            for word in Self.forbidden where line.contains(word) {
                Issue.record("\(file.path):\(number + 1): \(word)")
            }
        }
    }

    /// `TODO: why it is not done, and when it goes` is the only form.
    @Test(arguments: Project.swiftFiles)
    func whatIsLeftToDoHasAReason(_ file: ProjectFile) {
        for (number, line) in linesOf(SwiftText(file.bytes).comments).enumerated() {
            for mark in ["TODO", "FIXME"] where line.contains(mark) {
                let reason = line.firstRange(of: mark).map { line[$0.upperBound...] } ?? ""
                let isExplained = mark == "TODO" && reason.hasPrefix(": ") && reason.count > 30
                #expect(
                    isExplained || file.path.hasPrefix("Tests/TidyTests/"),
                    "\(file.path):\(number + 1)")
            }
        }
    }

    // MARK: - Imports

    static let seesC = [
        "CLibevent": ["EventLoop", "HTTPTransport"], "CYAML": ["ConfigurationFile"],
    ]

    @Test(arguments: Project.swiftFiles)
    func onlyTheEdgeSeesCAndKeepsItInternal(_ file: ProjectFile) {
        for line in linesOf(SwiftText(file.bytes).code) {
            guard let module = line.importedModule, let allowed = Self.seesC[module] else {
                continue
            }
            #expect(allowed.contains(file.target), "\(file.path) imports \(module)")
            #expect(line.hasPrefix("internal import "), "\(file.path): \(line)")
        }
    }

    @Test(arguments: Project.sources)
    func sourcesDoWithoutFoundation(_ file: ProjectFile) {
        for line in linesOf(SwiftText(file.bytes).code) {
            let module = line.importedModule ?? ""
            #expect(!module.hasPrefix("Foundation"), "\(file.path): \(line)")
        }
    }

    static let pure: Set<String> = [
        "HTTPTypes", "JSON", "Framing", "Chat", "Dialects", "Routing", "Relay", "Configuration",
        "Observability",
    ]

    /// No clock, file, socket, environment or random number: without libc there is none to be had
    /// but the last.
    @Test(arguments: Project.sources.filter { pure.contains($0.target) })
    func pureTargetsStayPure(_ file: ProjectFile) {
        for line in linesOf(SwiftText(file.bytes).code) {
            if let module = line.importedModule {
                #expect(Self.pure.contains(module), "\(file.path): \(line)")
            }
            for word in [
                ".random(", "SystemRandomNumberGenerator", "ContinuousClock", "SuspendingClock",
            ] {
                #expect(!line.contains(word), "\(file.path): \(line)")
            }
        }
    }

    @Test(arguments: Project.sources)
    func rawPointersStayOutOfPublicDeclarations(_ file: ProjectFile) {
        let lines = linesOf(SwiftText(file.bytes).code)
        // The one seam between the two targets that see libevent.
        let seam = file.path == "Sources/EventLoop/Loop.swift" ? "package let " : "none"
        for (number, line) in lines.enumerated()
        where line.isPublicDeclaration && !line.contains(seam) {
            // A signature goes on until its body, or until its parentheses are closed.
            var signature = line
            var next = number + 1
            while signature.opensMoreThanItCloses, next < lines.count {
                signature += lines[next]
                next += 1
            }
            for type in ["OpaquePointer", "UnsafeMutableRawPointer"] {
                #expect(!signature.contains(type), "\(file.path):\(number + 1): \(type)")
            }
        }
    }
}

extension StringProtocol {
    var isComment: Bool { drop { $0 == " " }.hasPrefix("//") }

    var trimmedEnd: SubSequence {
        var end = endIndex
        while end > startIndex, self[index(before: end)] == " " { end = index(before: end) }
        return self[..<end]
    }

    /// `Glibc` of `internal import Glibc`, `JSON` of `import struct JSON.JSONText`.
    var importedModule: String? {
        let words = String(self).split(separator: " ").map(String.init)
        guard let place = words.firstIndex(of: "import"), place <= 2, place + 1 < words.count,
            words[..<place].allSatisfy({ $0.hasPrefix("@") || accessLevels.contains($0) })
        else { return nil }
        let kinds = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
        let isOfOneName = kinds.contains(words[place + 1]) && place + 2 < words.count
        return words[place + (isOfOneName ? 2 : 1)].split(separator: ".").first.map(String.init)
    }

    var isPublicDeclaration: Bool {
        let words = String(self).split(separator: " ").prefix {
            $0.hasPrefix("@") || accessLevels.contains(String($0))
        }
        return words.contains { $0 == "public" || $0 == "package" } && importedModule == nil
    }

    var opensMoreThanItCloses: Bool {
        reduce(0) { $0 + ($1 == "(" ? 1 : $1 == ")" ? -1 : 0) } > 0
    }
}

private let accessLevels: Set<String> = ["public", "package", "internal", "fileprivate", "private"]
