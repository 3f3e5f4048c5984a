// Streams and requests of the doors: events with a true end or none; requests refused or written.
// needs: Tests/DialectsTests/FuzzDoorChecks.swift Tests/TestSupport/JSONValue.swift

import Chat
import Dialects

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = input(start, count)
    for door in Door.allCases {
        keep(brokenPromise(ofAnswer: bytes, at: door, cuts: someCuts(of: bytes)))
        keep(brokenPromise(ofRequest: bytes, at: door))
    }
    return 0
}
