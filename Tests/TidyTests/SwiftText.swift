// A Swift source file taken apart just enough for the rules: code, comments and strings told from
// each other, functions measured.

/// The bytes of a Swift file in two copies of equal length: in each, what belongs to the other is
/// blank.
///
/// `code` holds neither comments nor the contents of strings (but what is interpolated into them);
/// `comments` holds nothing else. Line ends stay in both.
struct SwiftText {
    private(set) var code: [UInt8]
    private(set) var comments: [UInt8]
    private let bytes: [UInt8]
    private var at = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        let blank = bytes.map { $0 == UInt8(ascii: "\n") ? $0 : UInt8(ascii: " ") }
        code = blank
        comments = blank
        scanCode(untilParenthesis: false)
    }

    private func sees(_ text: StaticString, at index: Int) -> Bool {
        let wanted = text.description.utf8
        return index + wanted.count <= bytes.count
            && bytes[index..<index + wanted.count].elementsEqual(wanted)
    }

    /// Scans code up to the end, or to the parenthesis that closes an interpolation.
    private mutating func scanCode(untilParenthesis: Bool) {
        var depth = 0
        while at < bytes.count {
            if sees("//", at: at) {
                scanLineComment()
            } else if sees("/*", at: at) {
                scanBlockComment()
            } else if let hashes = stringBegins() {
                scanString(hashes: hashes)
            } else {
                if bytes[at] == UInt8(ascii: "(") { depth += 1 }
                if bytes[at] == UInt8(ascii: ")") { depth -= 1 }
                code[at] = bytes[at]
                at += 1
                if untilParenthesis, depth < 0 { return }
            }
        }
    }

    private mutating func scanLineComment() {
        while at < bytes.count, bytes[at] != UInt8(ascii: "\n") {
            comments[at] = bytes[at]
            at += 1
        }
    }

    private mutating func scanBlockComment() {
        var depth = 0
        repeat {
            let opens = sees("/*", at: at)
            let closes = sees("*/", at: at)
            depth += opens ? 1 : closes ? -1 : 0
            for _ in 0..<(opens || closes ? 2 : 1) where at < bytes.count {
                comments[at] = bytes[at]
                at += 1
            }
        } while depth > 0 && at < bytes.count
    }

    /// The number of `#` before the quotation mark if a string begins here.
    private func stringBegins() -> Int? {
        var index = at
        while index < bytes.count, bytes[index] == UInt8(ascii: "#") { index += 1 }
        return index < bytes.count && bytes[index] == UInt8(ascii: "\"") ? index - at : nil
    }

    private mutating func scanString(hashes: Int) {
        let start = at
        at += hashes
        let quotes = sees("\"\"\"", at: at) ? 3 : 1
        at += quotes
        while at < bytes.count {
            if bytes[at] == UInt8(ascii: "\\"), hashesFollow(hashes, after: at) {
                at += 1 + hashes
                let opens = at < bytes.count && bytes[at] == UInt8(ascii: "(")
                at += 1
                if opens { scanCode(untilParenthesis: true) }
            } else if closes(quotes: quotes, hashes: hashes) {
                at += quotes + hashes
                // The quotation marks stay, so that code is not blank where a string is.
                code[start] = UInt8(ascii: "\"")
                code[at - 1] = UInt8(ascii: "\"")
                return
            } else {
                at += 1
            }
        }
    }

    private func closes(quotes: Int, hashes: Int) -> Bool {
        let mark = quotes == 3 ? sees("\"\"\"", at: at) : bytes[at] == UInt8(ascii: "\"")
        return mark && hashesFollow(hashes, after: at + quotes - 1)
    }

    private func hashesFollow(_ count: Int, after index: Int) -> Bool {
        index + count < bytes.count
            && bytes[(index + 1)..<(index + 1 + count)].allSatisfy { $0 == UInt8(ascii: "#") }
    }
}

/// A function with a body: the line of its first word (from 1) and its length in lines.
struct MeasuredFunction: Equatable {
    let line: Int
    let length: Int
}

extension SwiftText {
    /// All functions and initialisers that have a body.
    var functions: [MeasuredFunction] {
        let lineEnds = code.indices.filter { code[$0] == UInt8(ascii: "\n") }
        func line(of index: Int) -> Int {
            (lineEnds.firstIndex { $0 >= index } ?? lineEnds.count) + 1
        }
        return words(in: ["func", "init", "deinit", "subscript"]).compactMap { start in
            guard let end = bodyEnd(from: start) else { return nil }
            return MeasuredFunction(
                line: line(of: start), length: line(of: end) - line(of: start) + 1)
        }
    }

    /// Where one of the words stands by itself and is not a call such as `.init(`.
    private func words(in wanted: [String]) -> [Int] {
        var found: [Int] = []
        var index = 0
        while index < code.count {
            guard code[index].isLetter else {
                index += 1
                continue
            }
            var end = index
            while end < code.count, code[end].isLetter { end += 1 }
            let isCall = index > 0 && code[index - 1] == UInt8(ascii: ".")
            if !isCall, wanted.contains(where: { $0.utf8.elementsEqual(code[index..<end]) }) {
                found.append(index)
            }
            index = end
        }
        return found
    }

    /// The closing brace of the declaration that begins at `start`; nil for a requirement of a
    /// protocol.
    private func bodyEnd(from start: Int) -> Int? {
        var parentheses = 0
        var braces = 0
        for index in start..<code.count {
            switch code[index] {
            case UInt8(ascii: "("), UInt8(ascii: "["): parentheses += 1
            case UInt8(ascii: ")"), UInt8(ascii: "]"): parentheses -= 1
            // Braces within parentheses before the body are default arguments.
            case UInt8(ascii: "{") where parentheses == 0 || braces > 0: braces += 1
            case UInt8(ascii: "}") where braces > 0:
                braces -= 1
                if braces == 0 { return index }
            case UInt8(ascii: "}") where parentheses == 0: return nil
            case UInt8(ascii: "\n") where parentheses == 0 && braces == 0:
                if declarationEnds(after: index) { return nil }
            default: break
            }
        }
        return nil
    }

    /// Whether the line after a line end begins something new, so that no body belongs to what was
    /// before.
    private func declarationEnds(after index: Int) -> Bool {
        let rest = code[(index + 1)...].drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") }
        let continued = ["where", "{", "->", "throws", "async", "rethrows"]
        return !continued.contains { rest.starts(with: $0.utf8) }
    }
}

extension UInt8 {
    /// A letter, digit or underscore: what an identifier is made of.
    fileprivate var isLetter: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

/// Splits bytes at line ends, keeping empty lines.
func linesOf(_ bytes: [UInt8]) -> [String] {
    bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        .map { String(decoding: $0, as: UTF8.self) }
}
