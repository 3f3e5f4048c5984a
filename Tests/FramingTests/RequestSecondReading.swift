// Compares what the strict parser let through with what a naive reader makes of the same bytes.

import Framing
import HTTPTypes

/// Lays what was let through beside what a plain parser reads from the same bytes.
func faultOfSecondReading(of run: RequestRun, in bytes: [UInt8]) -> String? {
    var rest = bytes[...]
    for request in run.requests {
        guard let raw = PlainHead(&rest) else { return "no head in the bytes" }
        let head = request.head
        guard raw.method == head.method.rawValue, raw.target == head.target else {
            return "method or target differ"
        }
        var canonical = head.canonical[...]
        guard let again = PlainHead(&canonical), canonical.isEmpty else {
            return "the canonical head is not one head"
        }
        guard again.version == "HTTP/1.1", again.target == raw.target,
            again.method == raw.method, again.fields == raw.expectedFields(in: head)
        else { return "the canonical head says something else" }
        if raw.isAmbiguous { return "two readers may disagree about the body" }
        guard request.isComplete else { return nil }
        // HTTP/1.0 may lack a host, and `Upgrade` is dropped without the `Connection` that
        // names it.
        let names = again.fields.map { $0.name.lowercased() }
        if names.contains("host"), !names.contains("upgrade") {
            let parsed = RequestRun([head.canonical], limits: canonicalLimits)
            guard parsed.requests.map(\.head.canonical) == [head.canonical] else {
                return "the canonical head is not stable"
            }
        }
        guard raw.skipBody(of: request, in: &rest) else { return "the body differs" }
    }
    return nil
}

/// A canonical head may be a little longer than the head it was made from.
private let canonicalLimits = RequestLimits(
    requestLine: 100, head: 500, headFields: 11, body: 0)
