// The closed list of endings, as operators find it in logs, metrics and documentation.

import Relay
import Testing

@Suite struct EndingTests {
    /// Each word, and whose doing it is.
    static let list: KeyValuePairs<String, Party?> = [
        "completed": nil,
        "client_left": .client,
        "client_stalled": .client,
        "stopped_by_operator": .sluice,
        "refused": .client,
        "queue_full": .sluice,
        "upstream_refused": .client,
        "upstream_unreachable": .upstream,
        "upstream_failed": .upstream,
        "upstream_closed": .upstream,
        "upstream_protocol": .upstream,
        "shutting_down": .sluice,
        "internal": .sluice,
        // Each deadline's code.
        "request_timeout": .client,
        "connect_timeout": .upstream,
        "queue_timeout": .sluice,
        "first_token_timeout": .upstream,
        "token_timeout": .upstream,
        "total_timeout": .upstream,
    ]

    @Test func theListIsClosed() {
        #expect(Ending.allCases.map(\.rawValue).sorted() == Self.list.map(\.key).sorted())
    }

    @Test func everyEndingButOneIsSomebodysDoing() {
        for (word, party) in Self.list {
            #expect(Ending(rawValue: word)?.fault == party, "\(word)")
        }
    }

    /// They are labels of metrics and values in logs, so they must need no quoting.
    @Test(arguments: Ending.allCases)
    func anEndingIsOnePlainWord(_ ending: Ending) {
        let isPlain = ending.rawValue.utf8.allSatisfy {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || $0 == UInt8(ascii: "_")
        }
        #expect(isPlain)
    }
}
