// Names that may stand where a client's or an upstream's text may not.

internal import Text

/// Whether `name` has 1 to `limit` plain characters: such a one can stand in a header field, or in
/// an `event:` line.
func isPlainName(_ name: String, limit: Int) -> Bool {
    (1...limit).contains(name.utf8.count) && hasPlainCharacters(name)
}
