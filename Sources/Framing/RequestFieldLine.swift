// Takes one field line of a request apart: a head's or a trailer's.

import HTTPTypes

/// `field-name ":" OWS field-value OWS` (RFC 9112 section 5), as places in the line. That the line
/// holds no control bytes has been seen to by `RequestLineCollector`.
struct RequestFieldLine {
    let name: Range<Int>
    let value: Range<Int>

    init(_ line: Span<UInt8>) throws(RequestRefusal) {
        // Section 5.2: a line that begins with white space continues the one before it. That form
        // is obsolete, and readers disagree about it; before the first field (section 2.2) it hides
        // the line altogether.
        if line.count > 0, line[0].isHTTPWhitespace { throw .foldedField }
        var colon = 0
        while colon < line.count, line[colon].isHTTPToken { colon += 1 }
        guard colon > 0, colon < line.count, line[colon] == UInt8(ascii: ":") else {
            throw Self.problem(line, afterToken: colon)
        }
        name = 0..<colon
        value = line.trimmingHTTPWhitespace((colon + 1)..<line.count)
    }

    private static func problem(_ line: Span<UInt8>, afterToken end: Int) -> RequestRefusal {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":"), from: end) else {
            return .fieldWithoutColon
        }
        // Section 5.1: "A server MUST reject" white space before the colon.
        return .malformedFieldName(
            spaceBeforeColon: colon > 0 && line[colon - 1].isHTTPWhitespace)
    }

    /// What a field means to the parser, told by its name.
    enum Role {
        case endToEnd, host, contentLength, transferEncoding, connection, expect, upgrade
        /// For this connection or this body only, and nothing to be done about it.
        case thisConnection

        init(of name: Span<UInt8>) {
            // By length first: most fields are none of these and need no comparison.
            switch name.count {
            case 2: self = name.equalsIgnoringCase("te") ? .thisConnection : .endToEnd
            case 4: self = name.equalsIgnoringCase("host") ? .host : .endToEnd
            case 6: self = name.equalsIgnoringCase("expect") ? .expect : .endToEnd
            case 7 where name.equalsIgnoringCase("upgrade"): self = .upgrade
            case 7: self = name.equalsIgnoringCase("trailer") ? .thisConnection : .endToEnd
            case 10 where name.equalsIgnoringCase("connection"): self = .connection
            case 10: self = name.equalsIgnoringCase("keep-alive") ? .thisConnection : .endToEnd
            case 14 where name.equalsIgnoringCase("content-length"): self = .contentLength
            case 14: self = name.equalsIgnoringCase("http2-settings") ? .thisConnection : .endToEnd
            case 16:
                self = name.equalsIgnoringCase("proxy-connection") ? .thisConnection : .endToEnd
            case 17:
                self = name.equalsIgnoringCase("transfer-encoding") ? .transferEncoding : .endToEnd
            default: self = .endToEnd
            }
        }
    }
}
