// Reads nodes as values, collects what is wrong with them, and remembers where each setting stands.

internal import Configuration

/// Walks the tree of a configuration file.
///
/// A value that cannot be read is reported and counts as not set, so that one run finds every
/// mistake.
struct ConfigurationReader {
    private(set) var problems: [Problem] = []
    let readFile: (String) throws(FileError) -> [UInt8]

    private let file: String
    private let environment: [String: String]
    /// Where the values stand, by their paths; needed for mistakes that show only when all is read.
    private var marks: [String: Mark] = [:]

    init(
        file: String, environment: [String: String],
        readFile: @escaping (String) throws(FileError) -> [UInt8]
    ) {
        self.file = file
        self.environment = environment
        self.readFile = readFile
    }

    // MARK: - Places

    /// Where the setting stands, or the nearest section around it that stands in the file.
    func mark(of path: String) -> Mark {
        var path = path[...]
        while !path.isEmpty {
            if let mark = marks[String(path)] { return mark }
            let end = path.lastIndex { $0 == "." || $0 == "[" }
            path = path[..<(end ?? path.startIndex)]
        }
        return Mark(file: file, line: 1, column: 1)
    }

    /// The problems as somebody mends them: from the top of the file down.
    var sortedProblems: [Problem] {
        problems.sorted {
            ($0.file != file ? 1 : 0, $0.line, $0.column)
                < ($1.file != file ? 1 : 0, $1.line, $1.column)
        }
    }

    mutating func report(_ mark: Mark, _ path: String, _ message: String) {
        problems.append(Problem(mark, path, message))
    }

    mutating func remember(_ path: String, _ mark: Mark) { marks[path] = mark }

    // MARK: - Containers

    /// The entries of a map whose keys are names of the user's own.
    mutating func entries(_ node: Node, _ path: String) -> [Entry] {
        remember(path, node.mark)
        guard case .map(let entries) = node.content else {
            if !node.isNull {
                report(node.mark, path, "is \(node.title), but must be a map, like {name: value}")
            }
            return []
        }
        for entry in entries { remember(join(path, entry.key), entry.value.mark) }
        return entries
    }

    /// The entries of a section: keys that the table of settings does not have under `section` are
    /// reported, and keys without a value left out.
    mutating func entries(
        _ node: Node, _ path: String, section: String
    ) -> [Entry] {
        let known = Setting.keys(under: section)
        var result: [Entry] = []
        for entry in entries(node, path) {
            if !known.contains(entry.key) {
                report(
                    entry.keyMark, join(path, entry.key),
                    "unknown key; " + Self.suggestion(entry.key, known))
            } else if !entry.value.isNull {
                result.append(entry)
            }
        }
        return result
    }

    /// Reports the required keys of a section that are not there.
    mutating func require(
        _ entries: [Entry], of section: String, at path: String, _ mark: Mark
    ) {
        for key in Setting.keys(under: section) {
            guard Setting.named("\(section).\(key)")?.isRequired == true,
                !entries.contains(where: { $0.key == key })
            else { continue }
            let missing = join(path, key)
            report(mark, missing, "is missing; write \(key): and its value")
        }
    }

    /// The elements of a list.
    mutating func elements(_ node: Node, _ path: String) -> [(path: String, node: Node)] {
        remember(path, node.mark)
        guard case .list(let nodes) = node.content else {
            report(node.mark, path, "is \(node.title), but must be a list, like [a, b]")
            return []
        }
        return nodes.enumerated().map { index, node in
            remember("\(path)[\(index)]", node.mark)
            return ("\(path)[\(index)]", node)
        }
    }

    /// A list of texts.
    mutating func texts(_ node: Node, _ path: String) -> [String] {
        elements(node, path).compactMap { text($0.node, $0.path) }
    }

    // MARK: - Values

    /// The text of a single value, with `${VARIABLE}` replaced.
    mutating func text(_ node: Node, _ path: String) -> String? {
        guard case .scalar(let text, _) = node.content else {
            report(node.mark, path, "is \(node.title), but must be a single value")
            return nil
        }
        do {
            return try expand(text, environment)
        } catch {
            report(node.mark, path, "\(error)")
            return nil
        }
    }

    /// A single value of some type.
    mutating func value<Value>(
        _ node: Node, _ path: String, _ parse: (String) throws(ValueError) -> Value
    ) -> Value? {
        guard let text = text(node, path) else { return nil }
        do {
            return try parse(text)
        } catch {
            report(node.mark, path, "\(error)")
            return nil
        }
    }

    mutating func flag(_ node: Node, _ path: String) -> Bool? {
        value(node, path) { text throws(ValueError) in
            // YAML 1.1 would take `yes` and `on` too, YAML 1.2 takes them for words. We take
            // neither's side.
            try parseChoice(text, as: Switch.self) == .true
        }
    }

    /// A path; a relative one starts where the configuration file is, as the working directory of a
    /// service is seldom what one thinks.
    mutating func path(_ node: Node, _ path: String) -> String? {
        text(node, path).map { resolve($0) }
    }

    /// A secret: `file:` and a path, or the text itself. No message about it shows what was read.
    mutating func secret(_ node: Node, _ path: String) -> Secret? {
        guard let text = text(node, path) else { return nil }
        guard text.hasPrefix("file:") else { return Secret(text) }
        let name = resolve(String(text.dropFirst("file:".count)))
        do {
            var bytes = try readFile(name)[...]
            // Editors and `echo` close a file with a line feed that nobody means.
            while bytes.last == UInt8(ascii: "\n") || bytes.last == UInt8(ascii: "\r") {
                bytes.removeLast()
            }
            return Secret(String(decoding: bytes, as: UTF8.self))
        } catch {
            report(
                node.mark, path,
                "\(quoted(name)) cannot be read: \(error); name a file that holds the key")
            return nil
        }
    }

    private func resolve(_ path: String) -> String {
        guard !path.isEmpty, !path.hasPrefix("/"), let slash = file.lastIndex(of: "/") else {
            return path
        }
        return file[...slash] + path
    }

    private static func suggestion(_ key: String, _ known: [String]) -> String {
        let nearest = nearestNames(to: key, among: known).first
        let sections = Setting.all.filter { $0.name.hasSuffix("." + key) }
            .map { String($0.name.dropLast(key.count + 1)) }
        let elsewhere = sections.isEmpty ? nil : alternatives(sections)
        switch (nearest, elsewhere) {
        case (let nearest?, let elsewhere?):
            return "did you mean \(nearest), or is it for \(elsewhere)?"
        case (let nearest?, nil): return "did you mean \(nearest)?"
        case (nil, let elsewhere?): return "it belongs under \(elsewhere)"
        case (nil, nil): break
        }
        return "known here: " + known.joined(separator: ", ")
    }
}

/// The words for a flag.
private enum Switch: String, CaseIterable {
    case `true`, `false`
}

func join(_ path: String, _ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }
