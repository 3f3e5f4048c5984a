// The tokens that keys have used on one day, as they stand in the state file.

/// What the state file holds: so that a restart gives nobody a second day's worth of tokens.
///
/// The file is text that can be read and mended by hand: the form's name and number, the day, a
/// line for each key, and how many those are, so that a file that was cut off is noticed.
///
/// ```
/// sluice-tokens 1
/// day 20777
/// key alice 12345
/// end 1
/// ```
public struct KeyTokens: Sendable, Equatable {
    /// What is wrong with a file.
    public enum Failure: Error, Equatable {
        /// A line, counted from 1, is not what has to stand there.
        case malformed(line: Int)
        /// It ends before its end.
        case cutOff
    }

    /// Days since 1970 in UTC.
    public var day: Int
    /// Tokens by the names of keys.
    public var tokens: [String: Int]

    /// Joins the two.
    public init(day: Int, tokens: [String: Int]) {
        self.day = day
        self.tokens = tokens
    }

    private static let heading = "sluice-tokens 1"

    /// Reads a file's text.
    public init(reading text: String) throws(Failure) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.last == "" else { throw .cutOff }
        func words(_ number: Int) -> [Substring] {
            lines[number].split(separator: " ", omittingEmptySubsequences: false)
        }
        guard lines[0] == Self.heading else { throw .malformed(line: 1) }
        guard lines.count >= 4 else { throw .cutOff }
        guard words(1).count == 2, words(1)[0] == "day", let day = Self.count(words(1)[1]) else {
            throw .malformed(line: 2)
        }
        self.day = day
        tokens = [:]
        let last = lines.count - 2
        for number in 2..<last {
            let words = words(number)
            guard words.count == 3, words[0] == "key", !words[1].isEmpty,
                let count = Self.count(words[2]),
                tokens.updateValue(count, forKey: String(words[1])) == nil
            else { throw .malformed(line: number + 1) }
        }
        guard words(last) == ["end", Substring(String(tokens.count))] else { throw .cutOff }
    }

    /// The file's text. Keys are in order, so that the same counts are the same bytes.
    public var text: String {
        var text = "\(Self.heading)\nday \(day)\n"
        for (name, count) in tokens.sorted(by: { $0.key < $1.key }) {
            text += "key \(name) \(count)\n"
        }
        return text + "end \(tokens.count)\n"
    }

    /// Digits alone: no sign, no space.
    private static func count(_ word: Substring) -> Int? {
        word.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            ? Int(word) : nil
    }
}
