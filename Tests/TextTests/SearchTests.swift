// Searching text for text.

import Testing
import Text

@Suite struct Search {
    @Test(arguments: [
        ("abc", "abc", 0), ("xabc", "abc", 1), ("ababac", "abac", 2), ("aab", "ab", 1),
        ("ab", "abc", nil), ("", "a", nil), ("äöü", "ü", 4), ("aaa", "aab", nil),
    ])
    func findsTheFirstPlace(_ text: String, _ wanted: String, _ place: Int?) {
        let bytes = Array(text.utf8)
        let found = bytes.firstRange(of: wanted.utf8)
        #expect(found == place.map { $0..<($0 + wanted.utf8.count) })
        let range = Substring(text).firstRange(of: wanted)
        #expect(range.map { String(text[$0]) } == place.map { _ in wanted })
    }

    @Test func meansBytesNotLooks() {
        // One character each, and equal to Swift: é as one scalar, and as two.
        #expect(!"caf\u{65}\u{301}".contains("caf\u{E9}"))
    }

    @Test(arguments: [
        ("it's", "'", #"'\''"#, #"it'\''s"#), ("&&", "&", "&amp;", "&amp;&amp;"),
        ("", "a", "b", ""),
        ("abc", "", "x", "abc"), ("aaa", "aa", "b", "ba"),
    ])
    func replacesEachOnce(_ text: String, _ old: String, _ new: String, _ result: String) {
        #expect(text.replacing(old, with: new) == result)
    }
}
