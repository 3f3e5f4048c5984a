// Hands the same bytes to a decoder in every way a network may cut them.

/// Runs `body` with `bytes` cut into pieces: whole, byte by byte, with each single cut, and with
/// seeded random cuts.
///
/// For inputs over `singleCutLimit` bytes the single cuts are sampled, so that long transcripts
/// stay quick.
public func forEveryCut(
    of bytes: [UInt8], singleCutLimit: Int = 4096, _ body: ([[UInt8]]) throws -> Void
) rethrows {
    try body([bytes])
    try body(bytes.map { [$0] })
    let step = max(1, bytes.count / singleCutLimit)
    for cut in stride(from: 1, to: max(1, bytes.count), by: step) {
        try body([Array(bytes[..<cut]), Array(bytes[cut...])])
    }
    var random = SplitMix(seed: 0x51_0CE)
    for _ in 0..<20 {
        var pieces: [[UInt8]] = []
        var start = 0
        while start < bytes.count {
            let end = min(bytes.count, start + 1 + Int(random.next() % 64))
            pieces.append(Array(bytes[start..<end]))
            start = end
        }
        try body(pieces)
    }
}

/// A small seeded generator (SplitMix64), so that a failing random case fails again.
public struct SplitMix: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Makes a generator; equal seeds give equal sequences.
    public init(seed: UInt64) { state = seed }

    /// The next 64 random bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
