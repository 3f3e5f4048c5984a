// What fuzzing of event streams and lines has found worth keeping.

import Framing
import TestSupport
import Testing

@Suite struct EventCorpusTests {
    @Test func cutsChangeNothingInTheCorpus() throws {
        let names = try fixtureNames(in: "../Fuzz/corpus/sse")
        #expect(names.count > 20)
        for name in names {
            let bytes = try fixture("../Fuzz/corpus/sse/" + name)
            let whole = findings([bytes])
            #expect(findings(bytes.map { [$0] }) == whole, "sse/\(name)")
            let middle = bytes.count / 2
            #expect(findings([Array(bytes[..<middle]), Array(bytes[middle...])]) == whole)
        }
    }

    /// The events, then the lines, each with what ended them.
    private func findings(_ pieces: [[UInt8]]) -> [String] {
        var found: [String] = []
        var decoder = SSEDecoder(limit: 40)
        func note(_ item: SSEItem, _ name: Span<UInt8>, _ data: Span<UInt8>) {
            found.append("\(item) \(text(name)) \(text(data))")
        }
        do {
            for piece in pieces { try decoder.feed(piece.span, note) }
            try decoder.finish(note)
        } catch { found.append("\(error)") }
        var splitter = LineSplitter(limit: 40)
        do {
            for piece in pieces { try splitter.feed(piece.span) { found.append(text($0)) } }
            try splitter.finish { found.append(text($0)) }
        } catch { found.append("\(error)") }
        return found
    }
}
