// What every request has, whatever it asks for.

internal import Configuration
internal import EventLoop
internal import HTTPTransport
internal import Observability

/// A request that has passed the gate. There is one of each, which goes from hand to hand.
final class IncomingRequest {
    let exchange: Exchange
    let identity: RequestIdentity
    let began: Instant
    /// The path without the query.
    let path: String
    /// What its client speaks.
    var clientProtocol: ClientProtocol
    /// The key it is made with; `nil` without keys.
    var key: KeySettings?
    /// The log line, begun.
    var record: RequestRecord

    init(_ exchange: Exchange, id: String, began: Instant) {
        self.exchange = exchange
        self.began = began
        identity = RequestIdentity(
            id: id, traceparent: exchange.header("traceparent").flatMap(validTraceparent))
        path = exchange.path
        clientProtocol = ClientProtocol(path: path)
        var record = RequestRecord(
            id: id, method: exchange.method.rawValue, path: path, ending: .completed,
            totalMilliseconds: 0)
        record.client = exchange.clientAddress
        self.record = record
    }
}

extension Exchange {
    /// The target without its query.
    var path: String {
        // Bytes, for finding the borders of characters costs more than all else here.
        let query = unsafe target.utf8.withContiguousStorageIfAvailable {
            unsafe $0.contains(UInt8(ascii: "?"))
        }
        guard query != false, let end = target.utf8.firstIndex(of: UInt8(ascii: "?")) else {
            return target
        }
        return String(target[..<end])
    }
}

/// Ids of requests: the client's own if it is fit to stand in a header and a log, else made here.
struct RequestIDs {
    private var state: UInt64

    /// Different seeds give different ids; 64 random bits are enough, since ids are names and not
    /// secrets.
    init(seed: UInt64) { state = seed }

    mutating func accept(_ offered: String?) -> String {
        guard let offered, (1...128).contains(offered.utf8.count),
            offered.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") })
        else { return next() }
        return offered
    }

    /// 128 bits as 32 hexadecimal digits.
    mutating func next() -> String {
        let halves = (random(), random())
        return unsafe String(unsafeUninitializedCapacity: 32) { text in
            for place in 0..<32 {
                let half = place < 16 ? halves.0 : halves.1
                let digit = UInt8(truncatingIfNeeded: half >> UInt64(60 - place % 16 * 4)) & 15
                let zero = digit < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10
                unsafe text[place] = zero + digit
            }
            return 32
        }
    }

    /// SplitMix64.
    private mutating func random() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// A `traceparent` of the form that W3C Trace Context (section 3.2) prescribes, or nothing. One
/// that is wrong is dropped, as it wants, so that it cannot spoil the upstream's traces.
func validTraceparent(_ text: String) -> String? {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count >= 4, parts[..<4].map(\.utf8.count) == [2, 32, 16, 2],
        text.utf8.count <= 256
    else { return nil }
    let isFit = text.utf8.allSatisfy { byte in
        byte == UInt8(ascii: "-") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }
    // Later versions may say more than the first one did; ids of zeros alone are no ids.
    guard isFit, parts[0] != "ff", parts[0] != "00" || parts.count == 4,
        parts[1].contains(where: { $0 != "0" }), parts[2].contains(where: { $0 != "0" })
    else { return nil }
    return text
}

extension Instant {
    /// Whole milliseconds from here to `later`.
    func milliseconds(to later: Instant) -> Int {
        Int((later.nanoseconds &- nanoseconds) / 1_000_000)
    }
}
