// The line of each request, to the byte: for people and for machines.

import Observability
import Relay
import Testing

private let time = WallTime(seconds: 1_795_183_200, nanoseconds: 123_456_789)

/// A record with what every request has.
private func record(_ change: (inout RequestRecord) -> Void = { _ in }) -> RequestRecord {
    var record = RequestRecord(
        id: "r1", method: "POST", path: "/v1/chat/completions", ending: .completed,
        totalMilliseconds: 40)
    change(&record)
    return record
}

/// A record in which everything is known.
private let full = record {
    $0.client = "127.0.0.1"
    $0.key = "alice"
    $0.model = "llama3:8b"
    $0.backend = "box"
    $0.status = 200
    $0.promptTokens = 12
    $0.completionTokens = 101
    $0.queueMilliseconds = 5
    $0.connectMilliseconds = 1
    $0.firstTokenMilliseconds = 495
    $0.totalMilliseconds = 2500
}

@Suite struct TheLineOfARequest {
    @Test func forPeople() {
        #expect(
            full.text(at: time)
                == "2026-11-20T14:00:00.123Z request id=r1 client=127.0.0.1 key=alice method=POST "
                + "path=/v1/chat/completions model=llama3:8b backend=box status=200 "
                + "ending=completed prompt_tokens=12 completion_tokens=101 queue_ms=5 "
                + "connect_ms=1 first_token_ms=495 total_ms=2500 tokens_per_second=50.0\n")
    }

    @Test func forMachines() {
        #expect(
            full.json(at: time)
                == #"{"time":"2026-11-20T14:00:00.123Z","level":"info","event":"request","id":"r1","#
                + #""client":"127.0.0.1","key":"alice","method":"POST","#
                + #""path":"/v1/chat/completions","model":"llama3:8b","backend":"box","#
                + #""status":200,"ending":"completed","prompt_tokens":12,"#
                + #""completion_tokens":101,"queue_ms":5,"connect_ms":1,"first_token_ms":495,"#
                + #""total_ms":2500,"tokens_per_second":50.0}"# + "\n")
    }

    @Test func leavesOutWhatIsNotKnown() {
        let left = record { $0.ending = .clientLeft }
        #expect(
            left.text(at: time)
                == "2026-11-20T14:00:00.123Z request id=r1 client=- method=POST "
                + "path=/v1/chat/completions ending=client_left total_ms=40\n")
        #expect(
            left.json(at: time)
                == #"{"time":"2026-11-20T14:00:00.123Z","level":"info","event":"request","id":"r1","#
                + #""client":"-","method":"POST","path":"/v1/chat/completions","#
                + #""ending":"client_left","total_ms":40}"# + "\n")
    }

    /// Words of clients and upstreams, and what stands in the line for them.
    static let awkward: KeyValuePairs<String, String> = [
        "qwen3": "qwen3",
        "a/b:c-d_e.f@g": "a/b:c-d_e.f@g",
        "": #""""#,
        "two words": #""two words""#,
        "a=b": #""a=b""#,
        #"a"b"#: #""a\"b""#,
        #"a\b"#: #"a\b"#,
        #"a \b"#: #""a \\b""#,
        "a\nfake request id=r2": #""a\u000afake request id=r2""#,
        "a\r\n": #""a\u000d\u000a""#,
        "\t\u{1B}[31m\u{7F}": #""\u0009\u001b[31m\u007f""#,
        "a\u{85}b\u{2028}c\u{2029}": #""a\u0085b\u2028c\u2029""#,
        "a\"\u{301} x=1": "\"a\\\"\u{301} x=1\"",
        "größe 🦙": #""größe 🦙""#,
        "e\u{301}": "\"e\u{301}\"",
    ]

    @Test(arguments: awkward.map(\.key))
    func isNotForgedByWordsOfOthers(_ model: String) throws {
        let written = try #require(Self.awkward.first { $0.key == model }).value
        let line = record { $0.model = model }.text(at: time)
        #expect(line.contains(" model=\(written) ending=completed"))
        // A line is a line, whoever counts.
        #expect(lineBreaks(line) == 1)
        #expect(line.hasSuffix("\n"))
    }

    @Test(arguments: awkward.map(\.key))
    func isOneJSONObjectWhateverOthersSay(_ model: String) throws {
        let line = record { $0.model = model }.json(at: time)
        // In JSON every text is quoted, and a backslash always doubled.
        let plain = try #require(Self.awkward.first { $0.key == model }).value
        let quoted =
            plain.hasPrefix("\"") ? plain : "\"" + plain.replacing(#"\"#, with: #"\\"#) + "\""
        #expect(line.contains(#","model":\#(quoted),"ending":"#))
        #expect(lineBreaks(line) == 1)
    }

    @Test(arguments: Ending.allCases)
    func saysHowItEnded(_ ending: Ending) {
        let line = record { $0.ending = ending }
        #expect(line.text(at: time).contains(" ending=\(ending.rawValue) "))
        #expect(line.json(at: time).contains(#","ending":"\#(ending.rawValue)","#))
    }
}

@Suite struct TokensPerSecond {
    /// A request that waited `queue` and then `first` milliseconds for its first token.
    private func speed(_ tokens: Int?, queue: Int? = nil, first: Int?, total: Int) -> Double? {
        record {
            $0.completionTokens = tokens
            $0.queueMilliseconds = queue
            $0.firstTokenMilliseconds = first
            $0.totalMilliseconds = total
        }.tokensPerSecond
    }

    @Test func countFromTheFirstToTheLast() {
        #expect(speed(11, first: 1000, total: 3000) == 5)
        #expect(speed(11, queue: 1000, first: 1000, total: 3000) == 10)
    }

    @Test func areNotToldOfNothing() {
        #expect(speed(nil, first: 1, total: 3000) == nil)
        #expect(speed(11, first: nil, total: 3000) == nil)
        #expect(speed(0, first: 1, total: 3000) == nil)
        // One token has no second to be fast in.
        #expect(speed(1, first: 1, total: 3000) == nil)
        #expect(speed(11, first: 3000, total: 3000) == nil)
        #expect(speed(11, queue: 10, first: 3000, total: 3000) == nil)
        #expect(speed(-5, first: 1, total: 3000) == nil)
    }

    @Test func haveOneDigitAfterThePoint() {
        for (tokens, milliseconds, written) in [
            (2, 1000, "1.0"), (2, 3000, "0.3"), (3, 3000, "0.7"), (2, 20_000, "0.1"),
            (2, 100_000, "0.0"), (1001, 1000, "1000.0"),
        ] {
            let line = record {
                $0.completionTokens = tokens
                $0.firstTokenMilliseconds = 0
                $0.totalMilliseconds = milliseconds
            }.text(at: time)
            #expect(line.hasSuffix(" tokens_per_second=\(written)\n"), "\(line)")
        }
    }

    /// The count is the upstream's, which may say anything.
    @Test(arguments: [Int.max, Int.max - 1, 1 << 60])
    func survivesAnUpstreamThatBoasts(_ tokens: Int) {
        let line = record {
            $0.completionTokens = tokens
            $0.firstTokenMilliseconds = 0
            $0.totalMilliseconds = 1
        }
        #expect(line.text(at: time).hasSuffix(" tokens_per_second=1000000000000000.0\n"))
        #expect(line.json(at: time).hasSuffix(#""tokens_per_second":1000000000000000.0}"# + "\n"))
    }
}

/// How many lines a reader sees that ends them wherever Unicode says so (section 5.8 of the
/// standard).
private func lineBreaks(_ text: String) -> Int {
    text.unicodeScalars.count { [0x0A, 0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029].contains($0.value) }
}
