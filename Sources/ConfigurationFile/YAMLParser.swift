// Builds the tree of a YAML document, and refuses the parts of YAML that a configuration does not
// need.

internal import Text

/// Parses one YAML document; `nil` if the text is empty. `depthLimit` bounds nested lists and maps.
///
/// Refused: anchors, aliases and tags (a file that refers to itself is hard to read and can grow
/// without bound), several documents, keys that are not plain text, and a key that stands twice in
/// one map.
package func parseYAML(
    _ bytes: [UInt8], file: String, depthLimit: Int
) throws(ConfigurationError) -> Node? {
    var parser = YAMLParser(bytes, file: file, depthLimit: depthLimit)
    return try parser.document()
}

private struct YAMLParser: ~Copyable {
    private let reader: YAMLEventReader
    private let bytes: [UInt8]
    private let depthLimit: Int
    private var duplicates: [Problem] = []

    init(_ bytes: [UInt8], file: String, depthLimit: Int) {
        reader = YAMLEventReader(bytes, file: file)
        self.bytes = bytes
        self.depthLimit = depthLimit
    }

    mutating func document() throws(ConfigurationError) -> Node? {
        _ = try next()  // The start of the stream.
        guard case .documentStart = try next().kind else { return nil }
        let root = try node(try next(), depth: 0)
        _ = try next()  // The end of the document.
        let after = try next()
        guard case .streamEnd = after.kind else {
            throw refusal(after.mark, "a second document begins; write everything into one")
        }
        if !duplicates.isEmpty { throw ConfigurationError(duplicates) }
        return root
    }

    private mutating func node(
        _ event: YAMLEvent, depth: Int
    ) throws(ConfigurationError) -> Node {
        guard !event.hasProperties else {
            throw refusal(event.mark, "anchors and tags are not supported; write only the value")
        }
        switch event.kind {
        case .scalar(let text, let isPlain):
            return Node(content: .scalar(text, isPlain: isPlain), mark: event.mark)
        case .listStart:
            try checkDepth(event, depth)
            return Node(content: .list(try elements(depth: depth + 1)), mark: event.mark)
        case .mapStart:
            try checkDepth(event, depth)
            return Node(content: .map(try entries(depth: depth + 1)), mark: event.mark)
        case .alias:
            throw refusal(event.mark, "aliases are not supported; write the value out")
        case .streamStart, .streamEnd, .documentStart, .documentEnd, .listEnd, .mapEnd:
            throw refusal(event.mark, "a value is missing")
        }
    }

    private mutating func elements(depth: Int) throws(ConfigurationError) -> [Node] {
        var elements: [Node] = []
        while true {
            let event = try next()
            if case .listEnd = event.kind { return elements }
            elements.append(try node(event, depth: depth))
        }
    }

    private mutating func entries(depth: Int) throws(ConfigurationError) -> [Entry] {
        var entries: [Entry] = []
        var lines: [String: Int] = [:]
        while true {
            let event = try next()
            if case .mapEnd = event.kind { return entries }
            guard case .scalar(let key, _) = event.kind, !event.hasProperties else {
                throw refusal(event.mark, "a key must be a single word; quote it if it is none")
            }
            if let line = lines[key] {
                duplicates.append(
                    Problem(event.mark, key, "stands twice, first in line \(line); leave one out"))
            }
            lines[key] = event.mark.line
            let value = try node(try next(), depth: depth)
            entries.append(Entry(key: key, keyMark: event.mark, value: value))
        }
    }

    private func checkDepth(_ event: YAMLEvent, _ depth: Int) throws(ConfigurationError) {
        guard depth < depthLimit else {
            throw refusal(
                event.mark, "lists and maps are nested deeper than \(depthLimit); make it flatter")
        }
    }

    private func next() throws(ConfigurationError) -> YAMLEvent {
        do {
            return try reader.next()
        } catch {
            throw refusal(error.mark, "not YAML: \(error.problem)" + hint(error))
        }
    }

    private func refusal(_ mark: Mark, _ message: String) -> ConfigurationError {
        ConfigurationError([Problem(mark, "", message)])
    }

    /// What usually is behind a message of libyaml, whose words are about its own rules.
    private func hint(_ failure: YAMLFailure) -> String {
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        guard failure.mark.line <= lines.count, failure.mark.line > 0 else { return "" }
        let line = lines[failure.mark.line - 1]
        let indentation = line.prefix { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        if indentation.contains(UInt8(ascii: "\t")) {
            return "; the line begins with a tab, indent it with spaces"
        }
        if failure.problem.contains("UTF-8") { return "; save the file as UTF-8" }
        let text = String(decoding: line, as: UTF8.self)
        if text.contains(": [:") || text.contains(": [f") || text.contains("- [:") {
            return "; an IPv6 address must stand in quotes, like \"[::1]:8484\""
        }
        if failure.problem.contains("mapping values") {
            return "; a text with \": \" in it must stand in quotes"
        }
        if failure.problem.contains("cannot start any token") {
            return "; a text that begins with this character must stand in quotes"
        }
        return "; look for a wrong indentation, or a missing quote or bracket, here or above"
    }
}
