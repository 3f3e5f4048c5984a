// What a token touches of its session's memory.

internal import EventLoop
internal import HTTPTransport

extension ChatSession {
    /// After so many events the decoder's memory is where it will stay: one for the role, one to learn
    /// from, and one like it.
    static let settledAfter = 3

    /// What of a session stands before `form`, in bytes: all that a token needs of it.
    private static let hotBytes = 840

    /// A token's way leads through all of this.
    func layOutFootprint() {
        var footprint = Footprint()
        footprint.add(self, bytes: Self.hotBytes)
        exchange.addFootprint(to: &footprint)
        for learned in decoder.learned { footprint.add(learned) }
        call?.willTouch(footprint)
    }
}
