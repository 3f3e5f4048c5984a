// Requests of clients, read twice: what the strict parser lets through, our own naive reader frames
// the same, head by head and body by body.
// needs: Tests/FramingTests/RequestRun.swift Tests/FramingTests/RequestPlainHead.swift
// needs: Tests/FramingTests/RequestSecondReading.swift

import Framing

private let limits = RequestLimits(requestLine: 100, head: 400, headFields: 10, body: 50)

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = input(start, count)
    let whole = RequestRun([bytes], limits: limits)
    keep(whole.faults.first)
    keep(faultOfSecondReading(of: whole, in: bytes))
    for pieces in someCuts(of: bytes) {
        require(RequestRun(pieces, limits: limits) == whole, "requests differ")
    }
    return 0
}
