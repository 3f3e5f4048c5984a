// Runs the request parser over bytes in pieces and notes what came out, for comparing and for
// reading.

import Framing
import HTTPTypes

/// What a parser made of a connection's bytes.
struct RequestRun: Equatable {
    struct Request: Equatable {
        var head: RequestHead
        var body: [UInt8] = []
        var isComplete = false
    }

    enum Ending: Equatable {
        case betweenRequests, inHead, inBody
        case refused(RequestRefusal)
    }

    private(set) var requests: [Request] = []
    private(set) var ending = Ending.betweenRequests
    /// What the parser did against its own contract; empty if nothing.
    private(set) var faults: [String] = []

    init(_ pieces: [[UInt8]], limits: RequestLimits) {
        var parser = HTTPRequestParser(limits: limits)
        // The last, empty read is one too: a request may be complete without a further byte.
        for piece in pieces + [[]] {
            guard take(piece.span, &parser) else { break }
        }
        if case .refused = ending { return }
        ending = parser.isIdle ? .betweenRequests : parser.isReadingHead ? .inHead : .inBody
        if parser.isReadingBody != (ending == .inBody) { faults.append("states disagree") }
    }

    /// Takes one read; false once the connection is refused.
    private mutating func take(_ bytes: Span<UInt8>, _ parser: inout HTTPRequestParser) -> Bool {
        var i = 0
        while true {
            switch parser.next(bytes, &i) {
            case .needMore:
                if i != bytes.count { faults.append("needs more before the end of the read") }
                return true
            case .head(let head):
                requests.append(Request(head: head))
            case .body(let range):
                if range.isEmpty || range.upperBound != i { faults.append("strange body range") }
                requests[requests.count - 1].body.append(bytes: bytes.extracting(range))
            case .end:
                if !parser.isIdle { faults.append("not idle after the end") }
                requests[requests.count - 1].isComplete = true
            case .refused(let refusal):
                ending = .refused(refusal)
                if parser.next(bytes, &i) != .refused(refusal) { faults.append("refused once") }
                return false
            }
        }
    }

    /// One line for each request and one for the ending, in the notation of
    /// Tests/Fixtures/requests.
    var lines: [[UInt8]] {
        var lines = requests.map { request in
            let head = request.head
            var line = Array("= \(head.method.rawValue) \(head.target) ".utf8)
            switch head.body {
            case .none: line += "none".utf8
            case .length(let length): line += "length \(length)".utf8
            case .chunked: line += "chunked".utf8
            }
            if head.isHTTP10 { line += " 1.0".utf8 }
            if !head.keepsAlive { line += " close".utf8 }
            if head.expectsContinue { line += " continue".utf8 }
            if head.wantsUpgrade { line += " upgrade".utf8 }
            if head.body != .none { line += Array(" \"".utf8) + request.body + Array("\"".utf8) }
            return line
        }
        switch ending {
        case .betweenRequests: break
        case .inHead: lines.append(Array("? head".utf8))
        case .inBody: lines.append(Array("? body".utf8))
        case .refused(let refusal):
            let reason = "\(refusal)".prefix { $0 != "(" }
            lines.append(Array("! \(refusal.status) \(refusal.code) \(reason)".utf8))
        }
        return lines
    }
}

/// Bytes as a person can read them in a report.
func readable(_ bytes: [UInt8]) -> String {
    var text = ""
    for byte in bytes {
        switch byte {
        case 0x20..<0x7F: text.unicodeScalars.append(Unicode.Scalar(byte))
        case UInt8(ascii: "\r"): text += "\\r"
        case UInt8(ascii: "\n"): text += "\\n"
        default: text += "\\x" + String(byte, radix: 16)
        }
    }
    return text
}
