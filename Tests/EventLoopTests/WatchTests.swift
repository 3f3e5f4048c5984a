// Watches: what they see of a socket, how often, and that they end when they are told to.

import EventLoop
import Glibc
import Testing

@Suite struct Watches {
    private let loop = Loop()

    /// A watch that notes what it sees.
    private func watch(
        _ descriptor: Int32, for readiness: Readiness, edgeTriggered: Bool = false,
        _ seen: @escaping (Readiness) -> Void
    ) -> Watch {
        let watch = Watch(
            on: loop, descriptor, for: readiness, edgeTriggered: edgeTriggered, handler: seen)
        #expect(!watch.isActive)
        #expect(watch.start())
        #expect(watch.isActive)
        return watch
    }

    @Test func onALevelTellAsLongAsThereIsSomethingToRead() throws {
        let pair = try SocketPair()
        var calls = 0
        let watch = watch(pair.near, for: .read) {
            #expect($0 == .read)
            calls += 1
        }
        loop.runReady()
        #expect(calls == 0)
        pair.send("ab")
        loop.runReady()
        loop.runReady()
        pair.receive(1)
        loop.runReady()
        #expect(calls == 3)
        pair.receive(1)
        loop.runReady()
        #expect(calls == 3)
        watch.stop()
    }

    @Test func onEdgesTellOnceForEachChange() throws {
        let pair = try SocketPair()
        var calls = 0
        let watch = watch(pair.near, for: .read, edgeTriggered: true) { _ in calls += 1 }
        pair.send("ab")
        for _ in 0..<3 { loop.runReady() }
        #expect(calls == 1)
        // More bytes are a change, whether the first were read or not.
        pair.send("cd")
        for _ in 0..<3 { loop.runReady() }
        #expect(calls == 2)
        pair.receive()
        loop.runReady()
        #expect(calls == 2)
        watch.stop()
    }

    @Test func onEdgesTellWhatWasThereBeforeTheyStarted() throws {
        let pair = try SocketPair()
        pair.send("early")
        var calls = 0
        let watch = watch(pair.near, for: .read, edgeTriggered: true) { _ in calls += 1 }
        loop.runReady()
        #expect(calls == 1)
        watch.stop()
        watch.start()
        loop.runReady()
        #expect(calls == 2)
    }

    @Test func tellWhenThereIsRoomToWrite() throws {
        let pair = try SocketPair()
        pair.fill()
        var calls = 0
        let watch = watch(pair.near, for: .write, edgeTriggered: true) {
            #expect($0 == .write)
            calls += 1
        }
        loop.runReady()
        #expect(calls == 0)
        pair.drain()
        loop.runReady()
        #expect(calls == 1)
        watch.stop()
    }

    @Test func tellThatTheOtherSideHasClosedAlthoughBytesAreUnread() throws {
        let pair = try SocketPair()
        var all: Readiness = []
        let watch = watch(pair.near, for: [.read, .closed], edgeTriggered: true) {
            all.formUnion($0)
        }
        pair.send("unread")
        loop.runReady()
        #expect(all == .read)
        pair.endSendingAtFar()
        loop.runReady()
        #expect(all == [.read, .closed])
        watch.stop()
    }

    @Test func tellThatTheOtherSideHasGone() throws {
        let pair = try SocketPair()
        var all: Readiness = []
        let watch = watch(pair.near, for: [.read, .write, .closed], edgeTriggered: true) {
            all.formUnion($0)
        }
        loop.runReady()
        #expect(all == .write)
        pair.closeFar()
        loop.runReady()
        #expect(all.isSuperset(of: [.read, .closed]))
        watch.stop()
    }

    // MARK: - Stopping

    @Test func thatAreStoppedTellNothingUntilTheyStart() throws {
        let pair = try SocketPair()
        var calls = 0
        let watch = watch(pair.near, for: .read) { _ in calls += 1 }
        watch.stop()
        watch.stop()
        #expect(!watch.isActive)
        pair.send("a")
        loop.runReady()
        #expect(calls == 0)
        watch.start()
        watch.start()
        loop.runReady()
        #expect(calls == 1)
    }

    @Test func mayBeStoppedInsideTheirOwnCallback() throws {
        let pair = try SocketPair()
        let owner = Owner()
        owner.watch = watch(pair.near, for: .read) { [unowned owner] _ in
            owner.calls += 1
            owner.watch?.stop()
        }
        pair.send("a")
        settle(loop)
        #expect(owner.calls == 1)
    }

    @Test func mayBeReleasedInsideTheirOwnCallback() throws {
        let pair = try SocketPair()
        let owner = Owner()
        owner.watch = watch(pair.near, for: .read) { [unowned owner] _ in
            owner.watch = nil
            owner.calls += 1
        }
        pair.send("a")
        settle(loop)
        #expect(owner.calls == 1)
    }

    /// Both are ready in the same turn; whichever comes first ends the other.
    @Test func mayBeEndedByEachOther() throws {
        let (left, right) = (try SocketPair(), try SocketPair())
        let (one, other) = (Owner(), Owner())
        one.watch = watch(left.near, for: .read) { [unowned one, unowned other] _ in
            one.calls += 1
            other.watch = nil
        }
        other.watch = watch(right.near, for: .read) { [unowned one, unowned other] _ in
            other.calls += 1
            one.watch?.stop()
        }
        left.send("a")
        right.send("b")
        settle(loop)
        #expect((one.calls == 0) != (other.calls == 0))
    }

    @Test func thatAreReleasedTellNothing() throws {
        let pair = try SocketPair()
        var calls = 0
        do { _ = watch(pair.near, for: .read) { _ in calls += 1 } }
        pair.send("a")
        settle(loop)
        #expect(calls == 0)
    }

    @Test func canBeCalledAgainInTheNextTurn() throws {
        let pair = try SocketPair()
        let owner = Owner()
        owner.watch = watch(pair.near, for: .read, edgeTriggered: true) { [unowned owner] seen in
            #expect(seen == .read)
            owner.calls += 1
            if owner.calls < 4 { owner.watch?.callAgain(seen) }
        }
        pair.send("a")
        run(loop) { owner.calls == 4 }
        settle(loop)
        #expect(owner.calls == 4)
        owner.watch?.callAgain(.read)
        owner.watch?.stop()
        owner.watch?.callAgain(.read)
        settle(loop)
        #expect(owner.calls == 4)
    }

    @Test func thatCallThemselvesAgainLetOthersHaveTheirTurn() throws {
        let (busy, quiet) = (try SocketPair(), try SocketPair())
        let owner = Owner()
        var callsBeforeQuiet: Int?
        owner.watch = watch(busy.near, for: .read, edgeTriggered: true) { [unowned owner] seen in
            owner.calls += 1
            if owner.calls < 1000 { owner.watch?.callAgain(seen) }
        }
        let other = watch(quiet.near, for: .read, edgeTriggered: true) { [unowned owner] _ in
            callsBeforeQuiet = callsBeforeQuiet ?? owner.calls
        }
        busy.send("a")
        loop.runReady()
        quiet.send("b")
        settle(loop)
        #expect(callsBeforeQuiet != nil && callsBeforeQuiet ?? 1000 < 1000)
        other.stop()
    }

    /// epoll takes no files (EPERM): they are always ready.
    @Test func sayThatTheSystemRefusesThem() throws {
        let file = unsafe open("/dev/null", O_RDONLY)
        try #require(file >= 0)
        defer { close(file) }
        let folder = unsafe open("/", O_RDONLY | O_DIRECTORY)
        defer { close(folder) }
        let watch = Watch(on: loop, folder, for: .read) { _ in Issue.record("called") }
        #expect(!watch.start())
        #expect(!watch.isActive)
        settle(loop)
    }
}
