// WebSocket frames: the same messages, or the same refusal, however the bytes are cut; and texts are
// UTF-8.

import Framing

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = input(start, count)
    let limit = [16, 40, 4096][count % 3]
    let whole = steps([bytes], limit: limit)
    for pieces in someCuts(of: bytes) {
        require(steps(pieces, limit: limit) == whole, "steps differ")
    }
    return 0
}

private func steps(_ pieces: [[UInt8]], limit: Int) -> [WebSocketParser.Step] {
    var parser = WebSocketParser(messageLimit: limit)
    var found: [WebSocketParser.Step] = []
    for piece in pieces {
        var i = 0
        pull: while true {
            let step = parser.next(piece.span, &i)
            require(parser.heldBytes <= limit, "more held than allowed")
            switch step {
            case .needMore: break pull
            case .text(let text):
                require(text.count <= limit, "longer than allowed")
                require(String(validating: text, as: UTF8.self) != nil, "not UTF-8")
            case .ping(let data): require(data.count <= 125, "a long ping")
            case .pong: break
            case .close, .failed: return found + [step]
            }
            found.append(step)
        }
        require(i == piece.count, "bytes left")
    }
    return found
}
