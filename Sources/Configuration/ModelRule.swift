// What the operator says about a model name: where it leads, and how requests for it are changed.

/// One entry of `models:`: an alias, a pool, a set of parameter rules, or all three.
public struct ModelRule: Sendable, Equatable {
    /// The name clients use; with a `*` in it a pattern for names.
    public var name: String
    /// The backends that may serve it; empty: all.
    public var backends: [String] = []
    /// The name the backends know it by; `nil`: the name the client uses.
    public var model: String?
    /// Names to try, in this order, if no backend can serve this one. Their own fallbacks are not
    /// followed.
    public var fallback: [String] = []
    /// Whether `<think>` tags in the text are to be taken for reasoning.
    public var thinkTags = false
    /// Fields for requests that do not have them.
    public var defaults: [JSONField] = []
    /// Fields that replace what a request says.
    public var set: [JSONField] = []
    /// The most that a field may say.
    public var caps: [FieldCap] = []
    /// Fields that are taken out of requests.
    public var drop: [String] = []

    /// A rule that changes nothing.
    public init(name: String) { self.name = name }

    /// Whether the name is a pattern.
    public var isWildcard: Bool { name.utf8.contains(UInt8(ascii: "*")) }
}

/// One member of a JSON object.
public struct JSONField: Sendable, Equatable {
    /// The key, unescaped.
    public var name: String
    /// The value as JSON text (RFC 8259), valid and without white space around it.
    public var json: String

    /// A member from its parts.
    public init(name: String, json: String) {
        self.name = name
        self.json = json
    }
}

/// The most that a number in a request may say.
public struct FieldCap: Sendable, Equatable {
    /// The key of the field.
    public var name: String
    /// The limit, for comparing; exact for integers below 2^53.
    public var limit: Double
    /// The limit as JSON text, for writing: `4096`, `0.5`.
    public var json: String

    /// A cap from its parts.
    public init(name: String, limit: Double, json: String) {
        self.name = name
        self.limit = limit
        self.json = json
    }
}

/// Whether `text` is matched by `pattern`, in which each `*` stands for any run of characters, also
/// an empty one.
///
/// Bytes are compared, case counts. Takes at most pattern × text steps, so a pattern from a file
/// cannot stall anything.
public func matches(_ text: String, pattern: String) -> Bool {
    let text = Array(text.utf8)
    let pattern = Array(pattern.utf8)
    var (i, j) = (0, 0)
    // Where to go on if a literal part does not fit: after the last star, one byte of text further.
    var afterStar: Int?
    var starText = 0
    while i < text.count {
        if j < pattern.count, pattern[j] == UInt8(ascii: "*") {
            j += 1
            (afterStar, starText) = (j, i)
        } else if j < pattern.count, pattern[j] == text[i] {
            (i, j) = (i + 1, j + 1)
        } else if let star = afterStar {
            starText += 1
            (i, j) = (starText, star)
        } else {
            return false
        }
    }
    return pattern[j...].allSatisfy { $0 == UInt8(ascii: "*") }
}
