// What a configuration that is read again changes, and what it leaves alone.

import Configuration
import Testing

@testable import SluiceServer

@Suite struct Reloads {
    private func named(_ name: String, _ url: String) throws -> BackendSettings {
        BackendSettings(name: name, url: try BackendURL(url))
    }

    @Test func tellWhatIsAddedChangedAndRemoved() throws {
        let a = try named("a", "http://127.0.0.1:1")
        let b = try named("b", "http://127.0.0.1:2")
        let c = try named("c", "http://127.0.0.1:3")
        let otherB = try named("b", "http://127.0.0.1:4")
        let plan = try ReloadPlan(
            from: configuration { $0.backends = [a, b] },
            to: configuration {
                $0.backends = [otherB, c]
                $0.limits.queue = 3
            })
        #expect(plan.summary == "added c; changed b; removed a; other settings")
        #expect(plan.warnings == [])
        #expect(plan.next.backends.map(\.name) == ["b", "c"])
    }

    @Test func ofTheSameChangeNothing() throws {
        #expect(try ReloadPlan(from: configuration(), to: configuration()).summary == nil)
    }

    @Test func ofAnotherOrderSaySo() throws {
        let backends = [
            try named("a", "http://127.0.0.1:1"), try named("b", "http://127.0.0.1:2"),
        ]
        let plan = try ReloadPlan(
            from: configuration { $0.backends = backends },
            to: configuration { $0.backends = backends.reversed() })
        #expect(plan.summary == "the order of the backends")
    }

    @Test func nameWhatNeedsARestart() throws {
        let elsewhere = try ListenAddress("127.0.0.1:9999")
        let plan = try ReloadPlan(
            from: configuration(),
            to: configuration {
                $0.listen = [elsewhere]
                $0.workers = 4
                $0.log.level = .debug
                $0.stateFile = "/state"
                $0.tls = TLSSettings(certificate: "c", key: "k")
            })
        let names = plan.warnings.map { $0.prefix { $0 != " " } }
        #expect(names == ["listen", "workers", "log", "state_file", "tls"])
        #expect(plan.next == configuration())
        #expect(plan.summary == nil)
    }

    @Test func takeOtherFilesForTheCertificate() throws {
        let plan = try ReloadPlan(
            from: configuration { $0.tls = TLSSettings(certificate: "c", key: "k") },
            to: configuration { $0.tls = TLSSettings(certificate: "d", key: "k") })
        #expect(plan.warnings == [])
        #expect(plan.next.tls?.certificate == "d")
    }

    /// The file may be right in itself: it listens on loopback, which this Sluice does not.
    @Test func neverOpenSluiceToTheNetworkWithoutKeys() throws {
        let everywhere = try ListenAddress("0.0.0.0:8484")
        let key = KeySettings(name: "alice", key: Secret("AAA"))
        #expect(throws: ReloadError.self) {
            try ReloadPlan(
                from: configuration {
                    $0.listen = [everywhere]
                    $0.keys = [key]
                }, to: configuration())
        }
    }
}
