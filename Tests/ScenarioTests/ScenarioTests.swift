// Plays every file under Tests/Scenarios against a server in this process. docs/SCENARIOS.md
// explains the files.

import Testing
import TestSupport

@Suite(.serialized) struct ScenarioTests {
    /// How often a scenario that missed only a time is played: a busy machine is late once, a slow
    /// program always.
    private static let attempts = 4

    @Test(arguments: ScenarioFiles.all)
    func plays(_ file: String) throws {
        let scenario: Scenario
        do { scenario = try Scenario(reading: ScenarioFiles.text(of: file)) } catch {
            Issue.record("\(file): \(error)")
            return
        }
        var failure: Failure?
        for _ in 0..<Self.attempts {
            do {
                try Runner.play(scenario)
                failure = nil
            } catch let caught as Failure { failure = caught }
            guard failure?.missesTimeOnly == true else { break }
        }
        if scenario.expectedFailure != nil {
            #expect(failure != nil, "\(file) passes: take its 'expected to fail' away")
        } else if let failure {
            Issue.record("\(file): \(scenario.title)\n\(failure)")
        }
    }

    @Test func thereAreScenarios() { #expect(ScenarioFiles.all.count >= 100) }
}
