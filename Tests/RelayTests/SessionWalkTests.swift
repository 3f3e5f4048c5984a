// Walks every state a session can get into by every fact that can happen in it, and holds the
// promises there.

import Relay
import Testing

/// Every fact that the driver can tell, with every ending that it tells it with.
private let everyFact: [Fact] = {
    var facts: [Fact] = [
        .admitted, .upstreamConnected, .firstEvent, .answerCompleted, .headGracePassed,
        .clientBlocked, .clientDrained, .clientLeft, .clientStalled, .replyDelivered,
    ]
    for ending in [Ending.upstreamUnreachable, .upstreamClosed, .upstreamFailed, .connectTimeout] {
        facts.append(.attemptFailed(ending))
    }
    let failures: [Ending] = [
        .upstreamRefused, .upstreamFailed, .upstreamClosed, .upstreamProtocol,
    ]
    facts += failures.map { .upstreamFailed($0) }
    facts += [.queueFull, .upstreamFailed].map { .refused($0) }
    let deadlines: [Ending] = [.queueTimeout, .firstTokenTimeout, .tokenTimeout, .totalTimeout]
    facts += deadlines.map { .deadlinePassed($0) }
    facts += [.shuttingDown, .stoppedByOperator, .internal].map { .stopped($0) }
    return facts + [.cutOff(.shuttingDown)]
}()

/// Everything that can be reached from the beginning.
private struct Walk {
    /// The machine, and what its client and upstream have seen so far.
    struct Place: Hashable {
        var machine: SessionMachine
        var ledger: Ledger
    }

    private(set) var places: Set<Place> = []
    private(set) var endings: Set<Ending> = []
    /// Broken promises, each with the facts that lead there.
    private(set) var complaints: [String] = []

    init(wantsStream: Bool) {
        let start = Place(
            machine: SessionMachine(wantsStream: wantsStream),
            ledger: Ledger(wantsStream: wantsStream))
        places = [start]
        var paths: [(Place, [Fact])] = [(start, [])]
        while let (place, path) = paths.popLast() {
            for fact in everyFact {
                var next = place
                let orders = next.machine.receive(fact)
                let way = path + [fact]
                complaints += next.ledger.note(fact, orders).map { "\($0): \(way)" }
                if next.machine.hasEnded != (next.ledger.ended != nil) {
                    complaints.append("ended without saying so: \(way)")
                }
                if let ending = next.ledger.ended { endings.insert(ending) }
                if places.insert(next).inserted { paths.append((next, way)) }
            }
        }
    }
}

@Suite struct EveryStateByEveryFact {
    @Test(arguments: [true, false])
    func keepsThePromises(_ wantsStream: Bool) {
        let walk = Walk(wantsStream: wantsStream)
        #expect(walk.complaints.isEmpty, "\(walk.complaints.prefix(5))")
        // A machine that does nothing would break no promise either.
        #expect(walk.places.count > 20)
    }

    @Test(arguments: [true, false])
    func reachesEveryEndingThatIsASessions(_ wantsStream: Bool) {
        // What is refused before there is a session.
        let ofOthers: Set<Ending> = [.refused, .requestTimeout]
        let walk = Walk(wantsStream: wantsStream)
        #expect(walk.endings == Set(Ending.allCases).subtracting(ofOthers))
    }

    @Test(arguments: [true, false])
    func meansNothingAfterTheEnd(_ wantsStream: Bool) {
        let over = Walk(wantsStream: wantsStream).places.filter { $0.ledger.ended != nil }
        for place in over {
            for fact in everyFact {
                var machine = place.machine
                #expect(machine.receive(fact) == [])
                #expect(machine == place.machine)
            }
        }
        #expect(!over.isEmpty)
    }
}
