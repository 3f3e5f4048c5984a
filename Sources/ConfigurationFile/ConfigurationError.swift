// What is wrong with a configuration file, with the place of each mistake.

/// One mistake: where, which key, what is wrong, what would be right.
public struct Problem: Equatable, Sendable, CustomStringConvertible {
    /// The file as it was named to us, or the keys file.
    public let file: String
    /// The line, from 1.
    public let line: Int
    /// The column, from 1, in characters.
    public let column: Int
    /// The dotted path of the setting; empty if it is about the file as a whole.
    public let key: String
    /// What is wrong, and what would be right.
    public let message: String

    init(_ mark: Mark, _ key: String, _ message: String) {
        file = mark.file
        line = mark.line
        column = mark.column
        self.key = key
        self.message = message
    }

    /// `file:line:column: key: message`.
    public var description: String {
        "\(file):\(line):\(column): " + (key.isEmpty ? "" : "\(key): ") + message
    }
}

/// A configuration that cannot be used. Never empty; in the order of the file.
public struct ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The mistakes, at least one.
    public let problems: [Problem]

    init(_ problems: [Problem]) { self.problems = problems }

    /// One mistake a line.
    public var description: String {
        problems.map(\.description).joined(separator: "\n")
    }
}
