// The assembler of whole answers, fed with any lines: a completion that is JSON, or its own error.
// needs: Tests/DialectsTests/FuzzChecks.swift
// needs: Tests/TestSupport/ChunkSchema.swift Tests/TestSupport/JSONValue.swift

import Dialects

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    keep(brokenPromise(ofLines: input(start, count)))
    return 0
}
