// The corpus of requests in Tests/Fixtures/requests, each refused or framed exactly.

import Framing
import TestSupport
import Testing

@Suite struct RequestCorpusTests {
    @Test(arguments: try requestTables())
    func everyRequestIsTakenOrRefusedAsItsTableSays(_ table: String) throws {
        for request in try requestCases(in: table) {
            let run = RequestRun([request.bytes], limits: corpusLimits)
            let comment = Comment("\(table): \(request.name)")
            #expect(run.lines.map(readable) == request.expected.map(readable), comment)
            #expect(run.faults == [], comment)
        }
    }

    @Test(arguments: try requestTables())
    func whereTheNetworkCutsARequestMakesNoDifference(_ table: String) throws {
        for request in try requestCases(in: table) {
            let whole = RequestRun([request.bytes], limits: corpusLimits)
            forEveryCut(of: request.bytes, singleCutLimit: 100) { pieces in
                let run = RequestRun(pieces, limits: corpusLimits)
                guard run != whole else { return }
                let cuts = pieces.map(readable).joined(separator: " | ")
                Issue.record("\(table): \(request.name): \(run) after \(cuts)")
            }
        }
    }

    @Test func theTablesAreLargeAndNameEveryReasonThatBytesCanGive() throws {
        let cases = try requestTables().flatMap(requestCases)
        #expect(cases.count >= 400)
        let lines = cases.flatMap(\.expected).map { String(decoding: $0, as: UTF8.self) }
        let reasons = Set(lines.filter { $0.hasPrefix("!") }.map { $0.split(separator: " ")[3] })
        // Extensions of a kilobyte would not be readable in a table; they have tests of their own.
        #expect(reasons.count == RequestRefusal.samples.count - 3)
    }
}
