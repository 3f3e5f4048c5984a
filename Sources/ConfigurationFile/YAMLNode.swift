// A YAML document as a tree in which every node knows where it stands.

/// A place in a file, counted from 1; columns count characters.
package struct Mark: Equatable, Sendable {
    package var file: String
    package var line: Int
    package var column: Int
}

/// One value of a document.
package struct Node: Sendable {
    package enum Content: Sendable {
        /// Text; `isPlain` if it stood without quotes, so that `null`, `true` or `12` may be more
        /// than text.
        case scalar(String, isPlain: Bool)
        case list([Node])
        case map([Entry])
    }

    package var content: Content
    package var mark: Mark

    /// Whether nothing was written: `key:`, `key: ~` or `key: null`.
    package var isNull: Bool {
        guard case .scalar(let text, isPlain: true) = content else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(text)
    }

    /// What it is, for a message that expected something else.
    package var title: String {
        switch content {
        case .scalar: isNull ? "nothing" : "a single value"
        case .list: "a list"
        case .map: "a map"
        }
    }
}

/// One `key: value`.
package struct Entry: Sendable {
    package var key: String
    package var keyMark: Mark
    package var value: Node
}
