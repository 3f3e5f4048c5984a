// Which keys let a caller in, where they stand in a request, and what they are good for.

import Configuration
import Testing

@testable import SluiceServer

@Suite struct Keys {
    /// Alice may use everything, Bob only small models.
    static let both = policy {
        $0.keys = [
            KeySettings(name: "alice", key: Secret("sk-alice-1")),
            KeySettings(name: "bob", key: Secret("sk-bob")),
        ]
        $0.keys[1].models = ["small-*"]
    }

    private func code(_ caller: Caller) -> String? { Self.both.refuse(caller)?.code?.rawValue }

    @Test(
        arguments: [
            "Bearer sk-alice-1", "bearer sk-alice-1", "BEARER sk-alice-1", "Bearer   sk-alice-1",
            "Bearer sk-bob",
        ])
    func asABearerTokenTheyAreTakenInAnyCaseOfTheWord(_ field: String) {
        #expect(code(caller { $0.authorization = field }) == nil)
    }

    @Test func inTheirOwnFieldTheyAreTakenToo() {
        #expect(code(caller { $0.apiKey = "sk-alice-1" }) == nil)
        #expect(code(caller { $0.apiKey = "sk-alice-2" }) == "invalid_api_key")
    }

    @Test func aBearerTokenGoesBeforeTheOtherField() {
        let wrongToken = caller { ($0.authorization, $0.apiKey) = ("Bearer no", "sk-alice-1") }
        #expect(code(wrongToken) == "invalid_api_key")
        let rightToken = caller { ($0.authorization, $0.apiKey) = ("Bearer sk-bob", "sk-alice-1") }
        #expect(Self.both.key(of: rightToken)?.name == "bob")
        // Another scheme is not for us.
        let otherScheme = caller { ($0.authorization, $0.apiKey) = ("Basic eDp5", "sk-alice-1") }
        #expect(Self.both.key(of: otherScheme)?.name == "alice")
    }

    @Test(
        arguments: [
            "", "Bearer", "Bearer ", "sk-alice-1", "Basic sk-alice-1", "Bearersk-alice-1",
            "Bearer sk-alice-", "Bearer sk-alice-12", "Bearer sk-alice-2", "Bearer Sk-alice-1",
            "Bearer sk-alice-1 ", "Bearer sk-alice-1sk-alice-1", "Bearer sk-bobsk-bob",
            "Bearer *", "Bearer sk-alice-1, Bearer sk-bob", "Bearer \u{0}",
        ])
    func nearMissesAreMisses(_ field: String) {
        let refusal = Self.both.refuse(caller { $0.authorization = field })
        #expect(refusal?.status == 401)
        #expect(refusal?.code == .invalidAPIKey)
        #expect(Self.both.key(of: caller { $0.authorization = field }) == nil)
    }

    @Test func theirTextIsNeverInTheAnswer() {
        let wrong = Self.both.refuse(caller { $0.authorization = "Bearer my-private-key" })
        #expect(wrong?.message == "The key is not known here.")
        let none = Self.both.refuse(caller())
        #expect(none?.message == "A key is required: send it as 'Authorization: Bearer KEY'.")
    }

    /// Every key that differs in one byte, at whatever place, is another key.
    @Test func everyByteOfThemCounts() {
        let key = Array("sk-alice-1".utf8)
        for position in key.indices {
            for bit in 0..<7 {
                var other = key
                other[position] ^= 1 << bit
                #expect(code(caller { $0.apiKey = text(other) }) == "invalid_api_key")
            }
        }
    }

    /// A configuration without a text for the key must not be a key for all who send none.
    @Test func anEmptyOneOpensNothing() {
        let careless = policy { $0.keys = [KeySettings(name: "nobody", key: Secret(""))] }
        for offered in ["", " ", "a"] {
            #expect(careless.refuse(caller { $0.apiKey = offered })?.code == .invalidAPIKey)
        }
    }

    @Test func withoutAnyEverybodyMayAsk() {
        #expect(policy().refuse(caller()) == nil)
        #expect(policy().refuse(caller { $0.authorization = "Bearer whatever" }) == nil)
        #expect(policy().allows(model: "big-1", for: nil))
    }

    @Test(arguments: ["/", "/health", "/ready"])
    func whoeverWatchesOverTheServiceNeedsNone(_ path: String) {
        #expect(code(caller { ($0.method, $0.path) = (.get, path) }) == nil)
    }

    @Test(arguments: ["/v1/models", "/v1/models/a", "/nothing", "/health/", "//", "/v1/health"])
    func everythingElseNeedsOne(_ path: String) {
        #expect(code(caller { ($0.method, $0.path) = (.get, path) }) == "invalid_api_key")
    }

    @Test func aPreflightNeedsNone() {
        #expect(code(caller { $0.method = .options }) == nil)
    }

    @Test func aModelIsForThoseWhoseKeyNamesIt() {
        let alice = caller { $0.apiKey = "sk-alice-1" }
        let bob = caller { $0.authorization = "Bearer sk-bob" }
        let stranger = caller { $0.apiKey = "sk-eve" }
        #expect(Self.both.allows(model: "big-1", for: Self.both.key(of: alice)))
        #expect(Self.both.allows(model: "small-1", for: Self.both.key(of: bob)))
        #expect(!Self.both.allows(model: "big-1", for: Self.both.key(of: bob)))
        #expect(!Self.both.allows(model: "small-1", for: Self.both.key(of: stranger)))
        #expect(!Self.both.allows(model: "small-1", for: nil))
    }
}
