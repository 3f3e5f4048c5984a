// What is known of a text that has passed in pieces, without keeping it.

/// Counts the bytes of a text and their hash, so that it can later be told whether a whole text
/// begins with what was passed on, and where it goes on.
struct TextTally: Sendable {
    private var count = 0
    private var hash = Self.start

    // FNV-1a of 64 bits: an accident that looks like the same beginning is out of the question, and
    // an upstream that provoked one would only spoil its own answer.
    private static let start: UInt64 = 0xcbf2_9ce4_8422_2325
    private static let prime: UInt64 = 0x0000_0100_0000_01b3

    /// Takes the next piece.
    mutating func take(_ piece: [UInt8]) {
        for byte in piece { hash = (hash ^ UInt64(byte)) &* Self.prime }
        count += piece.count
    }

    /// What of `whole` has not passed; `nil` if it does not begin with what has.
    func rest(of whole: [UInt8]) -> ArraySlice<UInt8>? {
        guard whole.count >= count else { return nil }
        var other = Self.start
        for byte in whole[..<count] { other = (other ^ UInt64(byte)) &* Self.prime }
        return other == hash ? whole[count...] : nil
    }
}
