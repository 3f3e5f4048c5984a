// The value of Host, taken apart.

import HTTPTypes
import Testing

@Suite struct AuthorityTests {
    private func authority(of value: String) -> Authority? { Authority(Array(value.utf8).span) }
    private func isIPv6(_ address: String) -> Bool { Array(address.utf8).span.isIPv6Address }

    @Test(
        arguments: [
            ("localhost", "localhost", nil), ("a:", "a", nil), ("a:0", "a", 0),
            ("127.0.0.1:8484", "127.0.0.1", 8484), ("[::1]:65535", "[::1]", 65535),
            ("[::]", "[::]", nil), ("a.b-c_d~e", "a.b-c_d~e", nil), ("%41%7f", "%41%7f", nil),
            ("a:00080", "a", 80), ("999.1.2.3", "999.1.2.3", nil),
        ] as [(String, String, UInt16?)])
    func aHostIsToldFromItsPort(_ value: String, _ host: String, _ port: UInt16?) throws {
        let bytes = Array(value.utf8)
        let authority = try #require(self.authority(of: value))
        #expect(String(decoding: bytes[authority.host], as: UTF8.self) == host)
        #expect(authority.port == port)
    }

    @Test(arguments: [
        "", " ", ":", ":80", "a b", "a/", "/a", "a@b", "a:b", "a:65536", "a:+1", "a: 1", "a:1:2",
        "[", "]", "[]", "[::1", "::1]", "[::1]1", "[::1]:x", "[1.2.3.4]", "a[", "a]", "%", "%4",
        "%4g", "a%", "é", "\"a\"", "<a>", "a|b", "a\\b", "a?b", "a#b", "a\tb", "a\u{0}",
    ])
    func whatIsNoHostWithAPortIsRefused(_ value: String) {
        #expect(authority(of: value) == nil)
    }

    @Test(arguments: [
        "::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::8",
        "fe80::abcd:EF01", "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "::1.2.3.4", "1::1.2.3.4",
        "0000:0:00:000::",
    ])
    func addressesOfIPv6AreTaken(_ address: String) {
        #expect(isIPv6(address))
    }

    @Test(arguments: [
        "", ":", "1", ":1", "1:", ":::", "1:::2", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:",
        "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8", "::1:2:3:4:5:6:7:8", "12345::", "g::", "::1.2.3",
        "::1.2.3.4.5", "::1.2.3.256", "::01.2.3.4", "1.2.3.4::", "1:2:3:4:5:6:7:1.2.3.4", "1.2.3.4",
        "::1.2.3.4:5", "fe80::1%eth0", " ::1", "::1 ", "::-1", "[::1]",
    ])
    func whatIsNoAddressOfIPv6IsRefused(_ address: String) {
        #expect(!isIPv6(address))
    }
}
