// What fuzzing of the scanner has found worth keeping.

import JSON
import TestSupport
import Testing

@Suite struct JSONCorpusTests {
    @Test func scannerAndReferenceAgreeOnTheCorpus() throws {
        let names = try fixtureNames(in: "../Fuzz/corpus/json")
        #expect(names.count > 20)
        for name in names {
            let bytes = try fixture("../Fuzz/corpus/json/" + name)
            let isAccepted = (try? JSONText(bytes, depthLimit: .max)) != nil
            #expect(isAccepted == ReferenceGrammar.accepts(bytes), "json/\(name)")
        }
    }
}
