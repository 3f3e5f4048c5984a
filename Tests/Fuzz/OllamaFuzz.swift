// Streams of Ollama: one valid stream for the client, however the bytes are cut.
// needs: Tests/DialectsTests/FuzzChecks.swift
// needs: Tests/TestSupport/ChunkSchema.swift Tests/TestSupport/JSONValue.swift

import Dialects

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = input(start, count)
    keep(brokenPromise(ofStream: bytes, .ollama, cuts: [someCuts(of: bytes)[count % 2]]))
    return 0
}
