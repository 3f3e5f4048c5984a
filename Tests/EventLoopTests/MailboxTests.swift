// Messages between threads and signals: the two ways into a loop from outside.

import EventLoop
import Glibc
import Synchronization
import Testing

@Suite struct Mailboxes {
    @Test func handOverInOrderOnTheLoop() {
        let loop = Loop()
        var received: [Int] = []
        let mailbox = Mailbox<Int>(on: loop) { received.append($0) }
        for number in 1...5 { mailbox.address.send(number) }
        #expect(received.isEmpty)
        loop.runReady()
        #expect(received == [1, 2, 3, 4, 5])
        mailbox.address.send(6)
        loop.runReady()
        #expect(received == [1, 2, 3, 4, 5, 6])
        loop.runReady()
        #expect(received.count == 6)
    }

    @Test func takeMailThatTheirHandlerSends() {
        let loop = Loop()
        var received: [Int] = []
        var mailbox: Mailbox<Int>?
        let made = Mailbox<Int>(on: loop) { number in
            received.append(number)
            if number < 4 { mailbox?.address.send(number + 1) }
        }
        mailbox = made
        made.address.send(1)
        run(loop) { received.count == 4 }
        #expect(received == [1, 2, 3, 4])
        mailbox = nil
    }

    @Test func loseAndReorderNothingAmongManySenders() throws {
        let loop = Loop()
        let (senders, each) = (4, 2000)
        var received = [[Int]](repeating: [], count: senders)
        var count = 0
        let mailbox = Mailbox<(sender: Int, number: Int)>(on: loop) {
            received[$0.sender].append($0.number)
            count += 1
        }
        let address = mailbox.address
        let threads = try (0..<senders).map { sender in
            try #require(
                Thread { for number in 0..<each { address.send((sender, number)) } })
        }
        run(loop) { count == senders * each }
        for thread in threads { thread.join() }
        settle(loop)
        for numbers in received { #expect(numbers == Array(0..<each)) }
    }

    @Test func wakeALoopThatWaits() throws {
        let loop = Loop()
        let other = Mutex<Mailbox<String>.Address?>(nil)
        var answer: String?
        let mailbox = Mailbox<String>(on: loop) {
            answer = $0
            loop.stop()
        }
        let address = mailbox.address
        let thread = try #require(
            Thread {
                // A loop of its own, as workers have.
                let loop = Loop()
                let inbox = Mailbox<String>(on: loop) { word in
                    address.send(word + " and back")
                    loop.stop()
                }
                other.withLock { $0 = inbox.address }
                address.send("")
                loop.run()
            })
        loop.run()
        #expect(answer == "")
        other.withLock { $0 }?.send("there")
        loop.run()
        thread.join()
        #expect(answer == "there and back")
    }

    @Test func mayBeGoneWhenMailComes() {
        let loop = Loop()
        var address: Mailbox<Int>.Address?
        do {
            let mailbox = Mailbox<Int>(on: loop) { _ in Issue.record("there is nobody") }
            address = mailbox.address
            mailbox.address.send(1)
        }
        address?.send(2)
        settle(loop)
        address = nil
        settle(loop)
    }

    @Test func mayBeReleasedByTheirOwnHandler() {
        let loop = Loop()
        var mailbox: Mailbox<Int>?
        var received: [Int] = []
        mailbox = Mailbox<Int>(on: loop) {
            received.append($0)
            mailbox = nil
        }
        mailbox?.address.send(1)
        settle(loop)
        #expect(received == [1])
    }
}

@Suite struct Threads {
    @Test func runTheirFunctionOnceAndAreWaitedFor() throws {
        let calls = Mutex(0)
        let thread = try #require(Thread { calls.withLock { $0 += 1 } })
        thread.join()
        #expect(calls.withLock { $0 } == 1)
    }
}

/// The process and not this thread, as `raise` does: threads that run tests may have signals
/// blocked.
private func signalOurselves(_ number: Int32) { kill(getpid(), number) }

/// One after the other: only one loop of a process may watch signals at a time.
@Suite(.serialized) struct Signals {
    @Test func areToldOnTheLoopAsOftenAsTheyCome() {
        let loop = Loop()
        var calls = 0
        let source = SignalSource(on: loop, SIGUSR1) { calls += 1 }
        for count in 1...3 {
            signalOurselves(SIGUSR1)
            run(loop) { calls == count }
        }
        withExtendedLifetime(source) {}
    }

    @Test func goToTheSourceOfTheirNumber() {
        let loop = Loop()
        var calls: [Int32] = []
        let sources = [SIGUSR1, SIGUSR2].map { number in
            SignalSource(on: loop, number) { calls.append(number) }
        }
        signalOurselves(SIGUSR2)
        run(loop) { calls == [SIGUSR2] }
        signalOurselves(SIGUSR1)
        run(loop) { calls == [SIGUSR2, SIGUSR1] }
        withExtendedLifetime(sources) {}
    }

    @Test func mayEndTheirOwnSource() {
        let loop = Loop()
        var source: SignalSource?
        var calls = 0
        source = SignalSource(on: loop, SIGUSR1) {
            calls += 1
            source = nil
        }
        #expect(source != nil)
        signalOurselves(SIGUSR1)
        run(loop) { calls == 1 }
    }
}
