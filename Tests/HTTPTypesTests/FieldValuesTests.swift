// Lists and numbers in field values.

import HTTPTypes
import Testing

@Suite struct FieldValuesTests {
    private func elements(of list: String) -> [String] {
        var elements: [String] = []
        Array(list.utf8).span.forEachListElement { elements.append($0.text) }
        return elements
    }

    private func decimal(_ text: String) -> Int? { Array(text.utf8).span.decimalValue }
    private func trimmed(_ text: String) -> Range<Int> {
        let bytes = Array(text.utf8)
        return bytes.span.trimmingHTTPWhitespace(0..<bytes.count)
    }
    private func isSame(_ name: String, as lowercased: StaticString) -> Bool {
        Array(name.utf8).span.equalsIgnoringCase(lowercased)
    }

    @Test func listsAreDividedAtCommasAndTrimmed() {
        #expect(elements(of: "a,b") == ["a", "b"])
        #expect(elements(of: " \ta b \t,\tc ") == ["a b", "c"])
        #expect(elements(of: "keep-alive, Upgrade") == ["keep-alive", "Upgrade"])
    }

    @Test func emptyElementsOfListsAreNoElements() {
        #expect(elements(of: "") == [])
        #expect(elements(of: " , ,\t,") == [])
        #expect(elements(of: ",a,,b,") == ["a", "b"])
    }

    @Test(arguments: [("0", 0), ("007", 7), ("9223372036854775807", Int.max)])
    func decimalNumbersHaveTheirValue(_ text: String, _ value: Int) {
        #expect(decimal(text) == value)
    }

    @Test(arguments: [
        "", " ", "+1", "-1", " 1", "1 ", "1.0", "0x1", "1e1", "١", "9223372036854775808",
        "99999999999999999999999999",
    ])
    func whatIsNoDecimalNumberHasNoValue(_ text: String) {
        #expect(decimal(text) == nil)
    }

    @Test func namesAreComparedWithoutRegardToCaseAndOnlyWhole() {
        #expect(isSame("Content-LENGTH", as: "content-length"))
        #expect(!isSame("Content-LENGTH", as: "content-lengt"))
        #expect(!isSame("Content-LENGTH", as: "content-lengths"))
        // `@` and the backquote differ in the bit that tells capitals from small letters, and are
        // no letters.
        #expect(!isSame("@", as: "`"))
    }

    @Test func trimmingTakesSpacesAndTabsOnly() {
        #expect(trimmed(" \t a\u{0B} \t") == 3..<5)
        #expect(trimmed(" \t ").isEmpty)
        #expect(trimmed("a") == 0..<1)
    }

    @Test func textReplacesWhatIsNoUTF8() {
        let text = ([0x61, 0xFF] as [UInt8]).span.text
        #expect(text == "a\u{FFFD}")
    }
}
