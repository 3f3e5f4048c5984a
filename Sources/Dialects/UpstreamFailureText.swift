// Makes one readable line of whatever text a failing backend sent.

internal import Text

/// `text` with every run of white space and controls as one space, addresses taken out, and at most
/// `limit` bytes.
///
/// An address may be the backend's own, which is nobody else's business.
func oneLine(_ text: String, limit: Int) -> String {
    var words: [Substring] = []
    var length = 0
    for word in text.split(whereSeparator: { isBlank($0) }) {
        words.append(word)
        length += word.utf8.count + 1
        if length > limit { break }
    }
    let line = words.map { $0.contains("://") ? withoutAddress($0) : String($0) }
        .joined(separator: " ")
    guard line.utf8.count > limit else { return line }
    // Room for the ellipsis, then back to the start of a character.
    var kept = ""
    for character in line {
        guard kept.utf8.count + character.utf8.count <= limit - 3 else { break }
        kept.append(character)
    }
    return kept + "…"
}

/// White space of any kind, and controls: a log line or a terminal should not obey a backend's
/// error.
private func isBlank(_ character: Character) -> Bool {
    character.isWhitespace
        || character.unicodeScalars.allSatisfy { $0.properties.generalCategory == .control }
}

/// `word` with `scheme://…` replaced, up to what cannot stand in an address.
private func withoutAddress(_ word: Substring) -> String {
    var output = ""
    var rest = word
    while let mark = rest.firstRange(of: "://") {
        let before = rest[..<mark.lowerBound]
        // The scheme goes with the address; what stands before it (a quote, a bracket) stays.
        let scheme = before.reversed().prefix { $0.isASCII && ($0.isLetter || $0 == "+") }.count
        output += before.dropLast(scheme)
        output += "(address)"
        rest = rest[mark.upperBound...].drop { !"\"'<>()[]{},;".contains($0) }
    }
    return output + rest
}

/// The text of an HTML page: tags out, script and style with their contents, the commonest entities
/// read.
func withoutTags(_ html: String) -> String {
    var text = ""
    var rest = Substring(html)
    while let open = rest.firstIndex(of: "<") {
        text += rest[..<open]
        text += " "
        let tag = rest[open...]
        let name = tag.dropFirst().prefix { $0.isASCII && $0.isLetter }.lowercased()
        if name == "script" || name == "style" {
            rest = tag.afterClosing(name)
        } else {
            rest = tag.firstIndex(of: ">").map { tag[tag.index(after: $0)...] } ?? ""
        }
    }
    text += rest
    // `&amp;` last, so that `&amp;lt;` comes out as `&lt;`.
    for (entity, character) in [
        ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "),
        ("&amp;", "&"),
    ] {
        text = text.replacing(entity, with: character)
    }
    return text
}

extension Substring {
    /// What follows `</name…>`, or nothing.
    fileprivate func afterClosing(_ name: String) -> Substring {
        var rest = self
        while let close = rest.firstRange(of: "</") {
            rest = rest[close.upperBound...]
            guard rest.prefix(name.count).lowercased() == name else { continue }
            return rest.firstIndex(of: ">").map { rest[rest.index(after: $0)...] } ?? ""
        }
        return ""
    }
}
