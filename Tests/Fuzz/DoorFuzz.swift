// Streams and requests of the doors: events with a true end or none; requests refused or written.
// needs: Tests/DialectsTests/FuzzDoorChecks.swift Tests/TestSupport/JSONValue.swift

import Chat
import Dialects

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = input(start, count)
    // An object is a request or a document, and no stream begins like one.
    let isObject = bytes.first == UInt8(ascii: "{")
    for door in Door.allCases {
        if isObject { keep(brokenPromise(ofRequest: bytes, at: door)) }
        if isObject != door.hasEvents {
            keep(brokenPromise(ofAnswer: bytes, at: door, cuts: someCuts(of: bytes)))
        }
    }
    return 0
}
