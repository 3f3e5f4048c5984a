// Recorded answers of real servers, read whole, byte by byte and in seeded random pieces.

import Framing
import TestSupport
import Testing

@Suite struct RecordedStreamTests {
    /// A recorded answer, and whether its request was HEAD.
    private struct Recording {
        let path: String
        let bytes: [UInt8]
        let isHEAD: Bool
    }

    /// The bodies that their server left unfinished: it was killed, or told to stop.
    private static let cutInBody = [
        "llama-server/shutdown/sigkill-stream", "llama-server/shutdown/sigterm-stream",
        "llama-server/shutdown/sigterm-stream-with-pings",
    ]

    private func llamaServerRecordings() throws -> [Recording] {
        let end = ".response.http"
        var recordings: [Recording] = []
        for folder in try fixtureNames(in: "llama-server") where !folder.contains(".") {
            for name in try fixtureNames(in: "llama-server/\(folder)") where name.hasSuffix(end) {
                let path = "llama-server/\(folder)/\(name.dropLast(end.count))"
                let request = try fixture(path + ".request.http")
                recordings.append(
                    Recording(
                        path: path, bytes: try fixture(path + end),
                        isHEAD: request.starts(with: "HEAD ".utf8)))
            }
        }
        return recordings
    }

    private func ollamaSamples() throws -> [Recording] {
        try fixtureNames(in: "ollama/samples").map { name in
            let path = "ollama/samples/\(name)"
            return Recording(path: path, bytes: try fixture(path), isHEAD: false)
        }
    }

    /// Byte by byte, if that is soon done, and in three kinds of random pieces.
    private func cuts(of bytes: [UInt8]) -> [[[UInt8]]] {
        var random = SplitMix(seed: UInt64(bytes.count))
        var cuts = bytes.count < 4096 ? [bytes.map { [$0] }] : []
        for size in [40, 700, 9000] as [UInt64] {
            var pieces: [[UInt8]] = []
            var start = 0
            while start < bytes.count {
                let end = min(bytes.count, start + 1 + Int(random.next() % size))
                pieces.append(Array(bytes[start..<end]))
                start = end
            }
            cuts.append(pieces)
        }
        return cuts
    }

    @Test func everyAnswerIsReadToItsEndHoweverItIsCut() throws {
        let recordings = try llamaServerRecordings()
        #expect(recordings.count > 200)
        for recording in recordings + (try ollamaSamples()) {
            let whole = Answer([recording.bytes], isHEAD: recording.isHEAD)
            #expect(whole.refusal == nil && whole.leftover == 0, "\(recording.path)")
            if recording.bytes.isEmpty {
                #expect(whole.closing == .nothingReceived)
            } else if Self.cutInBody.contains(recording.path) {
                #expect(whole.closing == .cutInBody, "\(recording.path)")
            } else {
                #expect(whole.isEnded, "\(recording.path)")
            }
            for pieces in cuts(of: recording.bytes) {
                #expect(Answer(pieces, isHEAD: recording.isHEAD) == whole, "\(recording.path)")
            }
        }
    }

    /// What is in an event stream: data of events, and the rest by kind.
    private struct Events: Equatable {
        var data: [String] = []
        var comments = 0
        var strays: [String] = []
        var unterminated = 0

        init(_ pieces: [[UInt8]]) throws {
            var decoder = SSEDecoder(limit: 1 << 20)
            for piece in pieces { try decoder.feed(piece.span) { note($0, text($2)) } }
            try decoder.finish { note($0, text($2)) }
        }

        private mutating func note(_ item: SSEItem, _ text: String) {
            switch item {
            case .data: data.append(text)
            case .comment: comments += 1
            case .stray: strays.append(text)
            case .unterminated: unterminated += 1
            }
        }
    }

    @Test func everyEventStreamGivesTheSameEventsHoweverItIsCut() throws {
        var streams = 0
        var comments = 0
        for recording in try llamaServerRecordings() {
            let answer = Answer([recording.bytes], isHEAD: recording.isHEAD)
            guard answer.head?.value(for: "content-type") == "text/event-stream" else { continue }
            streams += 1
            let events = try Events([answer.body])
            comments += events.comments
            #expect(events.unterminated == 0, "\(recording.path)")
            #expect(events.data.allSatisfy { $0.first != " " && !$0.contains("\n") })
            // A model process that was killed: its router writes this into the stream.
            let isKilled = recording.path == "llama-server/router/child-killed-midstream"
            let complaint = "proxy error: Failed to read connection"
            #expect(events.strays == (isKilled ? [complaint] : []), "\(recording.path)")
            for pieces in cuts(of: answer.body) {
                let found = try Events(pieces)
                #expect(found == events, "\(recording.path)")
            }
        }
        #expect(streams > 50 && comments > 0)
    }

    @Test func everyRecordOfOllamaIsALineHoweverItIsCut() throws {
        func lines(_ pieces: [[UInt8]]) throws -> [String] {
            var splitter = LineSplitter(limit: 1 << 20)
            var lines: [String] = []
            for piece in pieces { try splitter.feed(piece.span) { lines.append(text($0)) } }
            try splitter.finish { _ in Issue.record("every record ends with a line feed") }
            return lines
        }
        var records = 0
        for recording in try ollamaSamples() {
            let answer = Answer([recording.bytes])
            guard answer.head?.value(for: "content-type") == "application/x-ndjson" else {
                continue
            }
            let whole = try lines([answer.body])
            records += whole.count
            #expect(whole.allSatisfy { $0.hasPrefix("{") && $0.hasSuffix("}") })
            for pieces in cuts(of: answer.body) {
                let found = try lines(pieces)
                #expect(found == whole)
            }
        }
        #expect(records > 100)
    }
}
