// The keys of the configuration, and whether one that a client offers is among them.

internal import Configuration

/// All keys, ready to be compared. The time of a search tells nothing but the length of what was
/// offered: not how much of it was right, and not which key it was.
struct KeyRing: Sendable {
    private let keys: [[UInt8]]

    init(_ settings: [KeySettings]) { keys = settings.map { Array($0.key.text.utf8) } }

    var isEmpty: Bool { keys.isEmpty }

    /// The place of the key that equals `offered`; `nil` if none does.
    func find(_ offered: [UInt8]) -> Int? { search(offered).place }

    /// As `find`, with the number of bytes that were compared. Tests hold that number, which no
    /// busy machine can disturb, to depend on the lengths alone.
    func search(_ offered: [UInt8]) -> (place: Int?, steps: Int) {
        var place = -1
        var steps = 0
        for (number, key) in keys.enumerated() {
            let difference = Self.difference(key, offered, &steps)
            // All ones if there is no difference, else zeros: a branch would end up in the time.
            let isEqual = (difference | -difference) >> (Int.bitWidth - 1) ^ -1
            place = (place & ~isEqual) | (number & isEqual)
        }
        return (place < 0 ? nil : place, steps)
    }

    /// Zero if both are the same. Every byte offered is compared with some byte of the key, also
    /// when their lengths differ.
    private static func difference(_ key: [UInt8], _ offered: [UInt8], _ steps: inout Int) -> Int {
        // A configuration without a text for the key must not let in all who send none.
        guard !key.isEmpty else { return 1 }
        var difference = key.count ^ offered.count
        var position = 0
        for byte in offered {
            difference |= Int(byte ^ key[position])
            position += 1
            if position == key.count { position = 0 }
            steps &+= 1
        }
        return difference
    }
}
