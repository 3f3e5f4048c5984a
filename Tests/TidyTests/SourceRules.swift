// What every Swift file has to keep to: size, opening sentence, imports, words that stay out.
import Testing

@Suite struct SourceRules {
    /// All Swift files, taken apart once for all rules.
    static let files = Project.swiftFiles.map(TidyFile.init)
    static let sources = files.filter { $0.path.hasPrefix("Sources/") }

    @Test func thereIsSomethingToLookAt() {
        #expect(Self.sources.count > 10)
        #expect(Self.files.count > Self.sources.count)
    }

    // MARK: - Size

    @Test func aFileIsAtMostFiveHundredLinesLong() {
        for file in Self.files where file.lines.count > 501 {
            Issue.record("\(file.path) has \(file.lines.count) lines")
        }
    }

    /// A function over the ceiling needs a comment right above it that says `Long because`.
    @Test func aFunctionIsAtMostSixtyLinesLong() {
        for file in Self.files {
            for function in file.text.functions where function.length > 60 {
                let above = file.lines[..<(function.line - 1)].reversed().prefix { $0.isComment }
                if !above.contains(where: { $0.contains("Long because") }) {
                    Issue.record("\(file.path):\(function.line): \(function.length) lines")
                }
            }
        }
    }

    /// Code is at most 100 wide, comments 120; what is in a string may be as long as its bytes are.
    @Test func linesFitTheirWidth() {
        for file in Self.files {
            for (number, line) in file.lines.enumerated() where line.count > 100 {
                let code = file.code[number].trimmedEnd
                let isTooWide = code.count > 100 && !code.contains("\"")
                if isTooWide || file.comments[number].trimmedEnd.count > 120 {
                    Issue.record("\(file.path):\(number + 1): \(line.count) wide")
                }
            }
        }
    }

    // MARK: - Words

    @Test func aFileOpensWithASentenceThatSaysWhatItHolds() {
        for file in Self.files {
            let opening = file.lines.prefix { $0.hasPrefix("//") }
            let sentence = opening.map { $0.drop { $0 == "/" || $0 == " " } }.joined(separator: " ")
            if sentence.count <= 10 || !sentence.contains(".") {
                Issue.record("\(file.path) should open with a comment: a sentence on what it holds")
            }
        }
    }

    /// What is looked for in the code of others: strings are no code, so nothing is used here.
    static let forbidden = [
        "try!",  // only the word: an error that is not handled ends the process
        "as!",  // only the word: so does a value of another type
        "fatalError",  // only the word: so does this, for everybody's requests
        "@unchecked Sendable",  // only the word: a race the compiler may not see
        "Thread.sleep",  // only the word: blocks a loop; in a test, it guesses
        "usleep(",  // only the word: the same
        "import XCTest",  // only the word: Swift Testing alone is used
        "nonisolated(unsafe)",  // only the word: a race the compiler may not see
    ]

    @Test(arguments: forbidden)
    func whatHidesTroubleStaysOut(_ word: String) {
        for file in Self.files {
            for (number, line) in file.code.enumerated() where line.contains(word) {
                Issue.record("\(file.path):\(number + 1): \(word)")
            }
        }
    }

    /// What marks unfinished work. Put together, so that this file has no such mark itself.
    private static let toDo = "TO" + "DO"
    private static let otherMarks = ["FIX" + "ME", String(repeating: "X", count: 3)]

    /// The first mark with a colon, why it is not done, and when it goes: the only form.
    @Test func whatIsLeftToDoHasAReason() {
        for file in Self.files {
            for (number, line) in file.comments.enumerated() {
                for mark in [Self.toDo] + Self.otherMarks {
                    guard let reason = line.rest(afterWord: mark) else { continue }
                    let isExplained =
                        mark == Self.toDo && reason.hasPrefix(": ") && reason.count > 30
                    if !isExplained, !file.path.hasPrefix("Tests/TidyTests/") {
                        Issue.record("\(file.path):\(number + 1): \(line.trimmedEnd)")
                    }
                }
            }
        }
    }

    // MARK: - Imports

    static let seesC = [
        "CLibevent": ["EventLoop", "HTTPTransport"], "CYAML": ["ConfigurationFile"],
        "CTLS": ["HTTPTransport"],
    ]

    @Test func onlyTheEdgeSeesCAndKeepsItInternal() {
        for file in Self.files {
            for line in file.code {
                guard let allowed = line.importedModule.flatMap({ Self.seesC[$0] }) else {
                    continue
                }
                if !allowed.contains(file.target) || !line.hasPrefix("internal import ") {
                    Issue.record("\(file.path): \(line.trimmedEnd)")
                }
            }
        }
    }

    @Test func sourcesDoWithoutFoundation() {
        for file in Self.sources {
            for line in file.code where line.importedModule?.hasPrefix("Foundation") == true {
                Issue.record("\(file.path): \(line.trimmedEnd)")
            }
        }
    }

    static let pure: Set<String> = [
        "Text", "HTTPTypes", "JSON", "Framing", "Chat", "Dialects", "Routing", "Relay",
        "Configuration",
        "Observability",
    ]

    /// No clock, file, socket, environment or random number; all but the last come with libc only.
    @Test func pureTargetsStayPure() {
        let impure = [
            ".random(", "SystemRandomNumberGenerator", "ContinuousClock", "SuspendingClock",
        ]
        for file in Self.sources where Self.pure.contains(file.target) {
            for (number, line) in file.code.enumerated() {
                let imports = line.importedModule.map { !Self.pure.contains($0) } ?? false
                if imports || impure.contains(where: { line.contains($0) }) {
                    Issue.record("\(file.path):\(number + 1): \(line.trimmedEnd)")
                }
            }
        }
    }

    // MARK: - Declarations

    /// The edge targets may hand each other a pointer of C's within the package; nobody else sees
    /// one.
    @Test func rawPointersStayOutOfDeclarationsThatOthersSee() {
        for file in Self.sources {
            let isEdge = Self.seesC.values.contains { $0.contains(file.target) }
            for (number, line) in file.code.enumerated() {
                guard let level = line.declaredLevel, level == "public" || !isEdge else { continue }
                for type in ["OpaquePointer", "UnsafeMutableRawPointer"]
                where file.signature(at: number).contains(type) {
                    Issue.record("\(file.path):\(number + 1): \(type)")
                }
            }
        }
    }
}

/// A Swift file with its lines: as they are, without comments and strings, and comments alone.
struct TidyFile {
    let path: String
    let target: String
    let text: SwiftText
    let lines: [String]
    let code: [String]
    let comments: [String]

    init(_ file: ProjectFile) {
        path = file.path
        target = file.target
        text = SwiftText(file.bytes)
        lines = linesOf(file.bytes)
        code = linesOf(text.code)
        comments = linesOf(text.comments)
    }

    /// The declaration that begins in this line, until its parentheses are closed.
    func signature(at number: Int) -> String {
        var signature = code[number]
        var next = number + 1
        while signature.opensMoreThanItCloses, next < code.count {
            signature += code[next]
            next += 1
        }
        return signature
    }
}

private let accessLevels: Set<String> = ["public", "package", "internal", "fileprivate", "private"]

extension String {
    fileprivate var isComment: Bool { drop { $0 == " " }.hasPrefix("//") }

    fileprivate var trimmedEnd: Substring {
        var end = endIndex
        while end > startIndex, self[index(before: end)] == " " { end = index(before: end) }
        return self[..<end]
    }

    /// `Glibc` of `internal import Glibc`, `JSON` of `import struct JSON.JSONText`.
    fileprivate var importedModule: String? {
        guard utf8.count > 7, contains("import ") else { return nil }
        let words = split(separator: " ").map(String.init)
        guard let place = words.firstIndex(of: "import"), place <= 2, place + 1 < words.count,
            words[..<place].allSatisfy({ $0.hasPrefix("@") || accessLevels.contains($0) })
        else { return nil }
        let kinds = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
        let isOfOneName = kinds.contains(words[place + 1]) && place + 2 < words.count
        return words[place + (isOfOneName ? 2 : 1)].split(separator: ".").first.map(String.init)
    }

    /// `public` or `package` where a declaration with that level begins.
    fileprivate var declaredLevel: String? {
        guard contains("public ") || contains("package "), importedModule == nil else { return nil }
        return split(separator: " ").map(String.init)
            .prefix { $0.hasPrefix("@") || accessLevels.contains($0) }
            .first { $0 == "public" || $0 == "package" }
    }

    fileprivate var opensMoreThanItCloses: Bool {
        utf8.reduce(0) { $0 + ($1 == UInt8(ascii: "(") ? 1 : $1 == UInt8(ascii: ")") ? -1 : 0) } > 0
    }

    /// What follows the word, unless it is a part of a longer one.
    fileprivate func rest(afterWord word: String) -> Substring? {
        guard let found = firstRange(of: word) else { return nil }
        let before = self[..<found.lowerBound].last
        let rest = self[found.upperBound...]
        let isPart = [before, rest.first].contains {
            $0.map { $0.isLetter || $0.isNumber } ?? false
        }
        return isPart ? nil : rest
    }
}
