// What fuzzing has found worth keeping, again and again.

import Chat
import Dialects
import TestSupport
import Testing

/// Every input in Tests/Fuzz/corpus, through the checks of its fuzz target.
@Suite struct FuzzCorpusTests {
    private static let folder = "../Fuzz/corpus/"

    private func inputs(_ target: String) throws -> [(name: String, bytes: [UInt8])] {
        let names = try fixtureNames(in: Self.folder + target)
        #expect(names.count > 20)
        return try names.map { ($0, try fixture(Self.folder + target + "/" + $0)) }
    }

    /// The two ways of a network that differ most from an answer in one piece.
    private func cuts(_ bytes: [UInt8]) -> [[[UInt8]]] {
        var pieces: [[UInt8]] = []
        for start in stride(from: 0, to: bytes.count, by: 7) {
            pieces.append(Array(bytes[start..<min(start + 7, bytes.count)]))
        }
        return [bytes.map { [$0] }, pieces]
    }

    @Test(arguments: [("openai", UpstreamDialect.openAI), ("ollama", .ollama)])
    func streamsKeepTheirPromises(_ target: String, _ dialect: UpstreamDialect) throws {
        for input in try inputs(target) {
            let broken = brokenPromise(ofStream: input.bytes, dialect, cuts: cuts(input.bytes))
            #expect(broken == nil, "\(target)/\(input.name)")
        }
    }

    @Test(arguments: [("openai", UpstreamDialect.openAI), ("ollama", .ollama)])
    func theFacadeKeepsItsPromises(_ target: String, _ dialect: UpstreamDialect) throws {
        for input in try inputs(target) {
            let broken = brokenPromise(ofFacade: input.bytes, dialect, cuts: cuts(input.bytes))
            #expect(broken == nil, "\(target)/\(input.name)")
        }
    }

    @Test func requestsKeepTheirPromises() throws {
        for input in try inputs("chat") {
            #expect(brokenPromise(ofRequest: input.bytes) == nil, "chat/\(input.name)")
            #expect(brokenPromise(ofOllamaRequest: input.bytes) == nil, "chat/\(input.name)")
        }
    }

    @Test(arguments: Door.allCases) func doorsKeepTheirPromises(_ door: Door) throws {
        for input in try inputs("door") {
            let answer = brokenPromise(ofAnswer: input.bytes, at: door, cuts: cuts(input.bytes))
            #expect(answer == nil, "door/\(input.name)")
            #expect(brokenPromise(ofRequest: input.bytes, at: door) == nil, "door/\(input.name)")
        }
    }

    @Test func linesKeepTheirPromises() throws {
        for input in try inputs("assembler") {
            #expect(brokenPromise(ofLines: input.bytes) == nil, "assembler/\(input.name)")
        }
    }
}
