// The assembler of whole answers, fed with any lines: a completion that is JSON, or its own error.

import Chat
import JSON

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = input(start, count)
    var assembler = CompletionAssembler(limitBytes: 2048)
    do {
        try assembler.take(lines: bytes.span)
    } catch .tooLong, .malformedChunk {
        return 0
    } catch {
        return 0
    }
    let completion = assembler.completion()
    require((try? JSONText(completion)) != nil, "a completion that is no JSON")
    require(completion.count <= 4096 + count, "a completion out of nothing")
    return 0
}
