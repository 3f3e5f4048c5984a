// Watching for failure alone: a reset is told, bytes and ends are not.

import EventLoop
import Glibc
import Testing

private final class Listener: FailureObserver {
    var failures = 0
    func descriptorFailed() { failures += 1 }
}

@Suite struct FailureWatches {
    private let loop = Loop()
    private let listener = Listener()

    @Test func tellOnceOfAResetThatComesTogetherWithBytes() throws {
        let pair = try SocketPair()
        let watch = FailureWatch(on: loop)
        #expect(watch.add(pair.near, listener))
        // Closed with something unread, a Unix socket resets its other end (unix(7)).
        #expect(unsafe write(pair.near, "x", 1) == 1)
        pair.send("ab")
        pair.closeFar()
        for _ in 0..<3 { settle(loop) }
        #expect(listener.failures == 1)
        #expect(pair.receive() == 2, "what came before can still be read")
        watch.forget(pair.near)
    }

    @Test func doNotWakeForBytesOrForAnOrderlyEnd() throws {
        let pair = try SocketPair()
        let watch = FailureWatch(on: loop)
        #expect(watch.add(pair.near, listener))
        pair.send("ab")
        settle(loop)
        pair.endSendingAtFar()
        settle(loop)
        #expect(listener.failures == 0)
        watch.forget(pair.near)
    }

    @Test func tellNobodyWhoIsForgotten() throws {
        let pair = try SocketPair()
        let watch = FailureWatch(on: loop)
        #expect(watch.add(pair.near, listener))
        watch.forget(pair.near)
        pair.closeFar()
        settle(loop)
        #expect(listener.failures == 0)
    }

    @Test func sayThatADescriptorCannotBeWatched() {
        #expect(!FailureWatch(on: loop).add(-1, listener))
    }
}
