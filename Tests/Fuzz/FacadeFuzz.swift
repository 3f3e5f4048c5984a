// The façade of Ollama's API: the first byte says whether a request follows, or which answer.
// needs: Tests/DialectsTests/FuzzChecks.swift
// needs: Tests/TestSupport/ChunkSchema.swift Tests/TestSupport/JSONValue.swift

import Dialects

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = input(start, count)
    guard let first = bytes.first else { return 0 }
    let rest = Array(bytes.dropFirst())
    switch first % 3 {
    case 0: keep(brokenPromise(ofOllamaRequest: rest))
    case 1: keep(brokenPromise(ofFacade: rest, .openAI, cuts: [someCuts(of: rest)[count % 2]]))
    default: keep(brokenPromise(ofFacade: rest, .ollama, cuts: [someCuts(of: rest)[count % 2]]))
    }
    return 0
}
