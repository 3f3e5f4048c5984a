// Chats, completions, embeddings as clients ask for them: a 4xx, or JSON for every kind of backend.
// needs: Tests/DialectsTests/FuzzChecks.swift
// needs: Tests/TestSupport/ChunkSchema.swift Tests/TestSupport/JSONValue.swift

import Dialects

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    keep(brokenPromise(ofRequest: input(start, count)))
    return 0
}
