// Server-sent events and lines: the same findings, or the same refusal, however the bytes are cut.
// needs: Tests/FramingTests/Text.swift

import Framing

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = input(start, count)
    let cuts = someCuts(of: bytes)
    // One limit a run keeps runs short; a low one is reached by short inputs.
    let limit = [16, 40, 4096][count % 3]
    let whole = events([bytes], limit: limit)
    for pieces in cuts { require(events(pieces, limit: limit) == whole, "events differ") }
    let all = lines([bytes], limit: limit)
    for pieces in cuts { require(lines(pieces, limit: limit) == all, "lines differ") }
    return 0
}

private func events(_ pieces: [[UInt8]], limit: Int) -> [String] {
    var decoder = SSEDecoder(limit: limit)
    var found: [String] = []
    func note(_ item: SSEItem, _ name: Span<UInt8>, _ data: Span<UInt8>) {
        require(name.count + data.count <= limit + 1, "longer than allowed")
        found.append("\(item) \(text(name)) \(text(data))")
    }
    do {
        for piece in pieces { try decoder.feed(piece.span, note) }
        try decoder.finish(note)
    } catch {
        found.append("\(error)")
    }
    return found
}

private func lines(_ pieces: [[UInt8]], limit: Int) -> [String] {
    var splitter = LineSplitter(limit: limit)
    var found: [String] = []
    func note(_ line: Span<UInt8>) {
        require(line.count <= limit, "longer than allowed")
        found.append(text(line))
    }
    do {
        for piece in pieces { try splitter.feed(piece.span, note) }
        try splitter.finish(note)
    } catch {
        found.append("\(error)")
    }
    return found
}
