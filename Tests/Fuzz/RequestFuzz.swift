// Requests of clients: the same ones, or the same refusal, however the bytes are cut; and a head
// that was let through reads as exactly one request without a body.

import Framing

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = input(start, count)
    let whole = Requests([bytes])
    for pieces in someCuts(of: bytes) {
        require(Requests(pieces) == whole, "requests differ")
    }
    // HTTP/1.0 needs no Host; the rewritten head says HTTP/1.1 and would be asked for one.
    for head in whole.heads where !head.isHTTP10 {
        // Room to spare: a rewritten head may be a little longer than what came.
        let again = Requests([head.canonical], headLimit: 1000)
        require(again.refusal == nil && again.heads.count == 1, "a head hid something")
        require(again.ends == 1 && again.body.isEmpty, "a head has a body")
        require(again.heads[0].target == head.target, "another target")
    }
    return 0
}

/// What a connection's bytes hold, one request after the other.
private struct Requests: Equatable {
    var heads: [RequestHead] = []
    var body: [UInt8] = []
    var ends = 0
    var refusal: RequestRefusal?

    init(_ pieces: [[UInt8]], headLimit: Int = 400) {
        let fields = headLimit / 30
        let limits = RequestLimits(
            requestLine: 128, head: headLimit, headFields: fields, body: 200)
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
