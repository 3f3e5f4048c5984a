// Requests of clients: the same ones, or the same refusal, however the bytes are cut; and what the
// server behind is told of one reads as exactly one head without fields.

import Framing
import HTTPTypes

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = input(start, count)
    let whole = Requests([bytes])
    for pieces in someCuts(of: bytes) {
        require(Requests(pieces) == whole, "requests differ")
    }
    for head in whole.heads {
        // With the one field that HTTP/1.1 wants.
        let told = head.text[..<(head.lineBytes - 2)] + Array("Host: a\r\n\r\n".utf8)
        let again = Requests([Array(told)])
        require(again.refusal == nil && again.heads.count == 1, "a head hid something")
        require(again.ends == 1 && again.body.isEmpty, "a head has a body")
        require(again.heads[0].target == head.target, "another target")
        for field in head.fields {
            require(head.text[field.name].allSatisfy(\.isHTTPToken), "no name")
            require(head.text[field.value].allSatisfy(\.isHTTPFieldContent), "no value")
        }
    }
    return 0
}

/// What a connection's bytes hold, one request after the other.
private struct Requests: Equatable {
    var heads: [RequestHead] = []
    var body: [UInt8] = []
    var ends = 0
    var refusal: RequestRefusal?

    init(_ pieces: [[UInt8]]) {
        let limits = RequestLimits(
            requestLine: 128, head: 400, headFields: 13, body: 200)
        var parser = HTTPRequestParser(limits: limits)
        for piece in pieces { read(piece, &parser) }
    }

    private mutating func read(_ piece: [UInt8], _ parser: inout HTTPRequestParser) {
        var i = 0
        while true {
            switch parser.next(piece.span, &i) {
            case .needMore: return
            case .head(let head): heads.append(head)
            case .body(let range): body += piece[range]
            case .end: ends += 1
            case .refused(let refused):
                refusal = refused
                return
            }
        }
    }
}
