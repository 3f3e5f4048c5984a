// What a token touches of its session's memory.

internal import EventLoop
internal import HTTPTransport

extension ChatSession {
    /// After so many events the decoder's memory is where it will stay: one for the role, one to learn
    /// from, and one like it.
    static let settledAfter = 3

    /// A token's way leads through all of this. Of the session itself it is what stands first, the
    /// decoder's beginning with it, and the clocks (found by tracing the addresses of 36 tokens).
    func layOutFootprint() {
        var footprint = Footprint()
        footprint.add(self, 0..<352)
        footprint.add(self, 664..<704)
        exchange.addFootprint(to: &footprint)
        for learned in decoder.learned { footprint.add(learned) }
        call?.willTouch(footprint)
    }
}
