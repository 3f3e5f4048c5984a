// Answers of upstreams: the same head, body and verdict however the bytes are cut.
// needs: Tests/FramingTests/Answer.swift

import Framing

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = input(start, count)
    let cuts = someCuts(of: bytes)
    for isHEAD in [false, true] {
        let whole = Answer([bytes], headLimit: 1024, isHEAD: isHEAD)
        check(whole, size: count)
        for pieces in cuts {
            let answer = Answer(pieces, headLimit: 1024, isHEAD: isHEAD)
            require(answer == whole, "answers differ")
        }
    }
    return 0
}

private func check(_ answer: Answer, size: Int) {
    require(answer.body.count <= size, "a body out of nothing")
    require(!(answer.isEnded && answer.refusal != nil), "refused after its end")
    require(!answer.mayReuse || answer.isEnded && answer.leftover == 0, "reused too early")
    guard let head = answer.head else {
        require(answer.body.isEmpty && !answer.isEnded, "a body without a head")
        return
    }
    require((200...599).contains(head.status), "status")
    if case .length(let length) = head.body {
        require(answer.body.count <= length, "a body too long")
        require(answer.isEnded == (answer.body.count == length), "the wrong end")
    }
    for field in head.fields {
        let clean = field.value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }
        require(!field.name.isEmpty && clean, "a control byte got through")
    }
}
