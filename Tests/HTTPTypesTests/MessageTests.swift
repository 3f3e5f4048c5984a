// Methods, statuses and header fields.

import HTTPTypes
import Testing

@Suite struct MessageTests {
    private func method(_ name: String) -> Method? { Method(Array(name.utf8).span) }

    @Test(arguments: Method.allCases)
    func aMethodIsReadFromItsNameAndNothingElse(_ method: Method) {
        #expect(self.method(method.rawValue) == method)
        #expect("\(method.name)" == method.rawValue)
        #expect(self.method(method.rawValue.lowercased()) == nil)
        #expect(self.method(method.rawValue + "S") == nil)
        #expect(self.method(String(method.rawValue.dropLast())) == nil)
    }

    @Test(arguments: ["", "TRACE", "CONNECT", "PROPFIND", "GE T"])
    func otherMethodsAreUnknown(_ name: String) {
        #expect(self.method(name) == nil)
    }

    @Test(arguments: [
        200, 400, 401, 403, 404, 405, 408, 413, 414, 415, 417, 429, 431, 500, 501, 502, 503, 504,
    ])
    func everyStatusSluiceSendsHasAReasonOfItsOwn(_ code: Int) {
        let generic = ["Informational", "Success", "Redirection", "Client Error", "Server Error"]
        #expect(!generic.contains("\(Status(rawValue: code).reasonPhrase)"))
    }

    @Test func otherStatusesAreNamedByTheirClass() {
        let phrases = [199, 299, 399, 499, 599].map { "\(Status(rawValue: $0).reasonPhrase)" }
        #expect(
            phrases == [
                "Informational", "Success", "Redirection", "Client Error", "Server Error",
            ])
    }

    @Test(arguments: [
        ("X-A", "b c", true), ("x", "", true), ("", "b", false), ("a b", "c", false),
        ("a:", "c", false), ("a", "b\r\nc: d", false), ("a", "b\u{0}", false), ("a", "é\t", true),
    ])
    func aFieldIsValidIfItCannotEndItsLine(_ name: String, _ value: String, _ valid: Bool) {
        #expect(HeaderField(name: name, value: value).isValid == valid)
    }
}
