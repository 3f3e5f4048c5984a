// Loops that end, and sockets in pairs.

import EventLoop
import Glibc
import Testing

/// Runs `loop` a turn at a time until `isDone`, and fails if that takes longer than five seconds,
/// which it never does but on a machine that is busy with other things.
func run(
    _ loop: Loop, until isDone: () -> Bool, at location: SourceLocation = #_sourceLocation
) {
    // Without a timer the loop would wait for ever for what does not come.
    var isLate = false
    let alarm = Timer(on: loop) { isLate = true }
    alarm.arm(after: .seconds(5))
    while !isDone(), !isLate { loop.runOnce() }
    #expect(isDone(), "not done within five seconds", sourceLocation: location)
}

/// Lets `loop` handle what is ready, also what only becomes ready on the way.
func settle(_ loop: Loop) {
    for _ in 0..<3 { loop.runReady() }
}

/// Two connected sockets that do not block. They close when the pair goes.
final class SocketPair {
    let near: Int32
    private(set) var far: Int32

    init() throws {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue)
        try #require(unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0)
        (near, far) = (ends[0], ends[1])
    }

    deinit {
        close(near)
        if far >= 0 { close(far) }
    }

    /// Sends from the far end.
    func send(_ text: StaticString) {
        let count = unsafe write(far, text.utf8Start, text.utf8CodeUnitCount)
        #expect(count == text.utf8CodeUnitCount)
    }

    /// Reads up to `count` bytes at the near end.
    @discardableResult
    func receive(_ count: Int = 64) -> Int {
        var buffer = [UInt8](repeating: 0, count: count)
        return unsafe read(near, &buffer, count)
    }

    /// Sends from the near end until the kernel takes no more.
    func fill() {
        let zeros = [UInt8](repeating: 0, count: 4096)
        while unsafe write(near, zeros, zeros.count) > 0 {}
    }

    /// Throws away what has come to the far end.
    func drain() {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while unsafe read(far, &buffer, buffer.count) > 0 {}
    }

    func closeFar() {
        close(far)
        far = -1
    }

    func endSendingAtFar() { shutdown(far, Int32(SHUT_WR)) }
}
