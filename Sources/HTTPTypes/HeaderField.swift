// One header field.

/// A field of a message head: a name, compared without regard to case, and a value without white
/// space around it (RFC 9110 section 5).
public struct HeaderField: Sendable, Hashable {
    /// The name as it was spelled.
    public var name: String
    /// The value as it was sent.
    public var value: String

    /// A field as it is; nothing is checked here.
    public init(name: String, value: String) {
        self.name = name
        self.value = value
    }

    /// Whether both halves may be written into a head: a token, and no byte that could end the
    /// line.
    public var isValid: Bool {
        let name = Array(name.utf8)
        return name.span.isHTTPToken && value.utf8.allSatisfy { $0.isHTTPFieldContent }
    }
}
