// What a response parser makes of a stream: a whole answer as one value, for tests.

import Framing

struct Answer: Equatable {
    var head: ResponseHead?
    var body: [UInt8] = []
    var isEnded = false
    var refusal: ResponseRefusal?
    var mayReuse = false
    /// Bytes after the end of the answer.
    var leftover = 0
    /// What `connectionClosed` said after the last byte.
    var closing = HTTPResponseParser.Closing.nothingReceived

    init(_ pieces: [[UInt8]], headLimit: Int = 4096, isHEAD: Bool = false) {
        var parser = HTTPResponseParser(headLimit: headLimit, isHEAD: isHEAD)
        for piece in pieces { read(piece, &parser) }
        mayReuse = parser.mayReuseConnection
        closing = parser.connectionClosed()
    }

    init(_ text: String, headLimit: Int = 4096, isHEAD: Bool = false) {
        self.init([Array(text.utf8)], headLimit: headLimit, isHEAD: isHEAD)
    }

    private mutating func read(_ piece: [UInt8], _ parser: inout HTTPResponseParser) {
        var i = 0
        while true {
            switch parser.next(piece.span, &i) {
            case .needMore: return
            case .head(let found): head = found
            case .body(let range): body += piece[range]
            case .end:
                isEnded = true
                leftover += piece.count - i
                return
            case .refused(let refused):
                refusal = refused
                return
            }
        }
    }
}
