// One end of a TCP connection that a script holds: what has come, when, and what is still to go.

import EventLoop
import Glibc

@testable import HTTPTransport

/// A scripted end of a connection. It reads as fast as it can unless it is told not to, notes when
/// things came, and sends what is put into it whenever the socket takes it.
final class Wire {
    /// How the other side has ended the connection.
    enum End: Equatable { case closed, reset }

    /// Everything that has come.
    private(set) var received: [UInt8] = []
    /// When the latest bytes came.
    private(set) var lastArrival: Instant?
    /// How the other side ended it, and when.
    private(set) var end: (how: End, at: Instant)?
    /// Bytes the socket has not taken yet.
    private var outbox: [UInt8] = []
    private var sentFromOutbox = 0
    /// Gives more to send whenever the outbox is empty.
    var source: (() -> [UInt8]?)?
    /// How many bytes the socket has taken, and since when it takes no more.
    private(set) var sentBytes = 0
    private(set) var stuckSince: Instant?
    /// Whether bytes were refused: the other side was gone.
    private(set) var hasFailedToSend = false
    /// Hears of every read.
    var arrived: (Span<UInt8>) -> Void = { _ in }
    /// Called after each of them.
    var hasRead: () -> Void = {}

    private let loop: Loop
    private var socket: Socket?
    private var reading: Watch?
    private var writing: Watch?
    private var allowance: Int?

    /// Takes over a socket.
    init(on loop: Loop, _ socket: consuming Socket) {
        self.loop = loop
        let descriptor = socket.descriptor
        self.socket = consume socket
        reading = Watch(on: loop, descriptor, for: .read) { [unowned self] _ in read() }
        writing = Watch(on: loop, descriptor, for: .write) { [unowned self] _ in write() }
        reading?.start()
    }

    /// Connects to an address. With `smallBuffers` the kernel holds little for a reader that does
    /// not read.
    convenience init(
        on loop: Loop, to address: SocketAddress, smallBuffers: Bool = false
    ) throws(SocketError) {
        let socket = try Socket(for: address)
        if smallBuffers { socket.setOption(SOL_SOCKET, SO_RCVBUF, 4096) }
        socket.sendWithoutDelay()
        let descriptor = socket.descriptor
        let result = unsafe address.withSystemAddress { unsafe connect(descriptor, $0, $1) }
        guard result == 0 || errno == EINPROGRESS else {
            throw .failed(operation: "connect", address: address.description, errno: errno)
        }
        self.init(on: loop, socket)
    }

    var isOpen: Bool { socket != nil }
    var unsentBytes: Int { outbox.count - sentFromOutbox }

    // MARK: - Sending

    func send(_ bytes: [UInt8]) {
        outbox += bytes
        write()
    }

    /// Sends whatever waits, as far as the socket takes it now.
    func write() {
        while socket != nil {
            if unsentBytes == 0 {
                outbox = source?() ?? []
                sentFromOutbox = 0
                if outbox.isEmpty {
                    stuckSince = nil
                    writing?.stop()
                    return
                }
            }
            switch sendOutbox() {
            case .bytes(let count):
                sentFromOutbox += count
                sentBytes += count
                stuckSince = nil
            case .wouldBlock, .wantsRead:
                stuckSince = stuckSince ?? loop.now
                writing?.start()
                return
            // The other side is gone; reading tells how.
            case .ended, .failed:
                hasFailedToSend = true
                source = nil
                outbox = []
                sentFromOutbox = 0
            }
        }
    }

    private func sendOutbox() -> Socket.Transfer {
        unsafe outbox.withUnsafeBytes { all in
            unsafe socket?.send(UnsafeRawBufferPointer(rebasing: all[sentFromOutbox...])) ?? .ended
        }
    }

    // MARK: - Reading

    func stopReading() { reading?.stop() }

    func readOn() {
        allowance = nil
        // The kernel's window may have been kept small; a reader that reads wants it wide.
        socket?.setOption(SOL_SOCKET, SO_RCVBUF, 1 << 20)
        reading?.start()
    }

    /// Reads so many bytes more, then stops.
    func read(atMost count: Int) {
        allowance = count
        reading?.start()
    }

    private func read() {
        var room = unsafe loop.scratch
        if let allowance {
            unsafe room = UnsafeMutableRawBufferPointer(
                rebasing: room[..<min(allowance, room.count)])
        }
        switch unsafe socket?.receive(into: room) {
        case .bytes(let count):
            lastArrival = loop.now
            loop.withScratch(count) { bytes in
                received.append(bytes: bytes)
                arrived(bytes)
            }
            if let left = allowance {
                allowance = left - count
                if left == count { reading?.stop() }
            }
            hasRead()
        case .wouldBlock, .wantsRead, nil: return
        case .ended: ended(.closed)
        case .failed: ended(.reset)
        }
    }

    private func ended(_ how: End) {
        end = (how, loop.now)
        reading?.stop()
    }

    // MARK: - Leaving

    /// Closes, after everything was sent that the socket takes at once.
    func close() {
        write()
        release()
    }

    /// Closes so that the other side sees a reset.
    func reset() {
        guard let descriptor = socket?.descriptor else { return }
        var now = linger(l_onoff: 1, l_linger: 0)
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
        release()
    }

    /// Says that nothing more comes from here; reading goes on.
    func halfClose() { socket?.endSending() }

    private func release() {
        reading?.stop()
        writing?.stop()
        let watches = (reading, writing)
        loop.afterThisTurn { _ = watches }
        reading = nil
        writing = nil
        socket = nil
    }
}

/// A listening socket of a script. Nobody accepts from it but `accepted`, and only while it is
/// open.
final class Door {
    /// Where it listens: 127.0.0.1 and a port of the system's choice.
    let address: SocketAddress
    private let loop: Loop
    private var socket: Socket?
    private var watch: Watch?
    /// Connections nobody accepts: they fill the queue of a door that lets nobody in.
    private var fillers: [Wire] = []

    enum Manner { case accepting, refusing, silent }

    /// Opens it at a port, or at one that is free.
    init(
        on loop: Loop, _ manner: Manner, port: Int = 0, accepted: @escaping (Wire) -> Void
    ) throws {
        let any = try SocketAddress.resolve(host: "127.0.0.1", port: port, toListen: true)[0]
        let made = try Socket(for: any)
        // The connections of the one before may not be forgotten yet.
        made.setOption(SOL_SOCKET, SO_REUSEADDR, 1)
        let descriptor = made.descriptor
        _ = unsafe any.withSystemAddress { unsafe bind(descriptor, $0, $1) }
        address = made.localAddress()
        switch manner {
        // Bound but not listening: nobody else gets the port, and whoever connects is refused.
        case .refusing: break
        case .silent: listen(descriptor, 0)
        case .accepting:
            listen(descriptor, 4096)
            watch = Watch(on: loop, descriptor, for: .read) { _ in
                while true {
                    let new = accept(descriptor, nil, nil)
                    guard new >= 0 else { return }
                    _ = fcntl(new, F_SETFL, O_NONBLOCK)
                    let socket = Socket(owning: new)
                    socket.sendWithoutDelay()
                    // Left to itself the kernel holds megabytes more of a flood.
                    socket.setOption(SOL_SOCKET, SO_SNDBUF, 128 << 10)
                    accepted(Wire(on: loop, socket))
                }
            }
            watch?.start()
        }
        self.loop = loop
        socket = consume made
        if manner == .silent { try fillQueue() }
    }

    /// A queue of length 0 holds one connection; what comes after it waits for its SYN to be
    /// answered.
    private func fillQueue() throws { fillers = [try Wire(on: loop, to: address)] }

    /// Listens on, and lets nobody in any more.
    func acceptNoMore() throws {
        watch?.stop()
        if let descriptor = socket?.descriptor { listen(descriptor, 0) }
        try fillQueue()
    }

    func close() {
        watch?.stop()
        watch = nil
        socket = nil
        fillers.forEach { $0.close() }
    }
}
