// Whether a search among the keys finds the right one, and tells nothing by the work it takes.

import Configuration
import Testing

@testable import SluiceServer

@Suite struct SearchAmongKeys {
    private static func ring(_ keys: [String]) -> KeyRing {
        KeyRing(keys.map { KeySettings(name: "n", key: Secret($0)) })
    }

    /// A thousand keys that differ at their ends only.
    private static let thousand = ring((1000..<2000).map { "sk-household-\($0)" })

    @Test func findsEachOfAThousand() {
        for number in 0..<1000 {
            #expect(Self.thousand.find(Array("sk-household-\(1000 + number)".utf8)) == number)
        }
        #expect(Self.thousand.find(Array("sk-household-2000".utf8)) == nil)
        #expect(Self.thousand.find([]) == nil)
    }

    /// Steps are counted and not timed: a count cannot be disturbed by other work on the machine.
    /// The first key, the last one, none, one wrong from its first byte and one from its last: all
    /// take the same.
    @Test(
        arguments: [
            "sk-household-1000", "sk-household-1999", "sk-household-9999", "xk-household-1000",
            "xxxxxxxxxxxxxxxxx",
        ])
    func takesTheSameStepsWhateverIsRight(_ offered: String) {
        #expect(Self.thousand.search(Array(offered.utf8)).steps == 17 * 1000)
    }

    @Test(arguments: [0, 1, 5, 16, 18, 100, 5000])
    func takesStepsByTheLengthOfWhatIsOfferedAlone(_ length: Int) {
        let offered = [UInt8](repeating: UInt8(ascii: "s"), count: length)
        #expect(Self.thousand.search(offered).steps == length * 1000)
        // Keys of other lengths change nothing.
        #expect(Self.ring(["a", "sk-long-key-of-somebody"]).search(offered).steps == length * 2)
    }

    @Test func aKeyRepeatedIsAnotherKey() {
        let ring = Self.ring(["ab", "abab"])
        #expect(ring.find(Array("ab".utf8)) == 0)
        #expect(ring.find(Array("abab".utf8)) == 1)
        #expect(ring.find(Array("ababab".utf8)) == nil)
        #expect(ring.find(Array("a".utf8)) == nil)
    }

    /// All lengths may differ by a multiple of 256: the difference must not be cut to a byte.
    @Test func lengthsAreComparedWhole() {
        let key = String(repeating: "a", count: 8)
        let ring = Self.ring([key])
        #expect(ring.find([UInt8](repeating: UInt8(ascii: "a"), count: 8 + 256)) == nil)
        #expect(ring.find([UInt8](repeating: UInt8(ascii: "a"), count: 8 + 65_536)) == nil)
    }
}
