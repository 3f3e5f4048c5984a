// How the text of chunks is escaped, held back and cut.

import Chat
import TestSupport
import Testing

/// Cutting long escaped texts, and the sink they end up in.
@Suite struct ChunkTextTests {
    /// Texts, and the parts that must stay whole.
    static let texts: [[String]] = [
        ["a", "b", "c", "d"], ["é", "水", "🦙", "a"], [#"\n"#, #"\\"#, #"\""#, #"\/"#],
        [#"\u00e9"#, #"\ud83e\udd99"#, "x"], [#"\\"#, "u", "d", "8", "3", "e"],
        [#"\ud83e"#, "a", #"\udd99"#],
    ]

    @Test(arguments: texts, 1...14)
    func cutsFallBetweenCharacters(_ parts: [String], room: Int) {
        let text = Array(parts.joined().utf8)
        let ranges = cuts(of: text.span, room: room)
        #expect(ranges.flatMap { Array(text[$0]) } == text)
        let longest = parts.map(\.utf8.count).max() ?? 0
        #expect(ranges.allSatisfy { $0.count <= max(room, longest) && !$0.isEmpty })
        var borders: Set<Int> = [0]
        var border = 0
        for part in parts {
            border += part.utf8.count
            borders.insert(border)
        }
        #expect(ranges.allSatisfy { borders.contains($0.upperBound) })
    }

    @Test func aSinkKeepsItsHeadroomAndItsMemory() {
        var sink = ChunkSink(framing: .serverSentEvents, headroom: 8)
        #expect(sink.isEmpty && sink.bytes.count == 8)
        sink.beginEvent()
        sink.bytes.append(0x78)
        sink.endEvent()
        sink.appendDone()
        #expect(
            String(decoding: sink.bytes.dropFirst(8), as: UTF8.self)
                == "data: x\n\ndata: [DONE]\n\n")
        #expect(!sink.isEmpty)
        let capacity = sink.bytes.capacity
        sink.reset()
        #expect(sink.isEmpty && sink.bytes.count == 8 && sink.bytes.capacity == capacity)
    }

    @Test func aSinkOfLinesHasNoEndMark() {
        var sink = ChunkSink(framing: .lines, headroom: 0)
        sink.beginEvent()
        sink.bytes.append(0x78)
        sink.endEvent()
        sink.appendDone()
        #expect(sink.bytes == [0x78, 0x0A])
    }
}
