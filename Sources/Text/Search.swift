// Searching text for text.

// The standard library has these in the runtime of regular expressions, which would be a sixth of
// the program; and it compares there what looks alike, where bytes are meant here.

extension Collection<UInt8> {
    /// Where `other` stands in here for the first time; `nil` if it does not, or if it is empty.
    public func firstRange(of other: some Collection<UInt8>) -> Range<Index>? {
        guard let first = other.first else { return nil }
        var rest = self[...]
        while let start = rest.firstIndex(of: first) {
            rest = rest[start...]
            var (i, j) = (start, other.startIndex)
            while j != other.endIndex, i != endIndex, self[i] == other[j] {
                formIndex(after: &i)
                other.formIndex(after: &j)
            }
            if j == other.endIndex { return start..<i }
            rest = rest.dropFirst()
        }
        return nil
    }
}

extension StringProtocol {
    /// Where `other` stands in here for the first time; `nil` if it does not, or if it is empty.
    public func firstRange(of other: String) -> Range<Index>? {
        utf8.firstRange(of: other.utf8)
    }

    /// Whether `other` is somewhere in here, byte for byte; the empty text is in every text.
    public func contains(_ other: String) -> Bool {
        other.isEmpty || firstRange(of: other) != nil
    }

    /// This text with `new` wherever `old` was.
    public func replacing(_ old: String, with new: String) -> String {
        var result = ""
        var rest = self[...]
        while let found = rest.firstRange(of: old) {
            result += rest[..<found.lowerBound]
            result += new
            rest = rest[found.upperBound...]
        }
        return result + rest
    }
}
