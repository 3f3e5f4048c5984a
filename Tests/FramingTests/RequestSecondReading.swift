// Compares what the strict parser let through with what a naive reader makes of the same bytes.

import Framing
import HTTPTypes

extension RequestHead {
    /// The head as it would be written again: the line for the server behind, and the fields kept.
    var canonical: [UInt8] {
        var bytes = Array(text[..<(lineBytes - 2)])
        for field in fields {
            bytes += text[field.name] + Array(": ".utf8) + text[field.value] + [13, 10]
        }
        return bytes + [13, 10]
    }
}

/// Lays what was let through beside what a plain parser reads from the same bytes.
func faultOfSecondReading(of run: RequestRun, in bytes: [UInt8]) -> String? {
    var rest = bytes[...]
    for request in run.requests {
        guard let raw = PlainHead(&rest) else { return "no head in the bytes" }
        let head = request.head
        guard raw.method == head.method.rawValue, raw.target == head.target else {
            return "method or target differ"
        }
        guard let again = PlainHead(head.canonical[...]) else {
            return "the canonical head is not one head"
        }
        guard again.version == "HTTP/1.1", again.target == raw.target,
            again.method == raw.method, again.fields == raw.expectedFields
        else { return "the canonical head says something else" }
        if raw.isAmbiguous { return "two readers may disagree about the body" }
        guard request.isComplete else { return nil }
        guard let line = PlainHead(head.text[..<head.lineBytes]), line.fields.isEmpty,
            line.target == raw.target
        else { return "the server behind is told something else" }
        // HTTP/1.0 may lack a host.
        if again.fields.contains(where: { $0.name.lowercased() == "host" }) {
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
