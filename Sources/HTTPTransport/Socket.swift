// A descriptor that closes itself, and the few system calls Sluice makes on it.

internal import Glibc

/// An open socket. It is closed when the value goes.
struct Socket: ~Copyable {
    let descriptor: Int32
    /// What secures the connection; `nil` for plain text.
    var tls: TLSSession?

    /// What a read or write came to.
    enum Transfer: Equatable {
        /// So many bytes went over; at least one.
        case bytes(Int)
        /// Nothing now; the loop tells when to try again.
        case wouldBlock
        /// Nothing now; to be tried again when the socket can be read. Also writes may want that,
        /// while TLS shakes hands.
        case wantsRead
        /// The other side has ended its stream. Reads only.
        case ended
        /// The connection is broken; the number is errno.
        case failed(Int32)
    }

    init(owning descriptor: Int32) { self.descriptor = descriptor }

    deinit {
        tls?.end()
        close(descriptor)
    }

    /// A new, non-blocking socket for `address`.
    init(for address: SocketAddress) throws(SocketError) {
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        descriptor = socket(address.family, kind, 0)
        guard descriptor >= 0 else {
            throw .failed(operation: "socket for", address: address.description, errno: errno)
        }
    }

    /// Small writes leave at once: nothing waits for company.
    borrowing func sendWithoutDelay() { Self.sendWithoutDelay(descriptor) }

    static func sendWithoutDelay(_ descriptor: Int32) {
        // Unix sockets have no such option, and need none: so the result does not matter.
        set(Int32(IPPROTO_TCP), TCP_NODELAY, 1, on: descriptor)
    }

    borrowing func setOption(_ level: Int32, _ name: Int32, _ value: Int32) {
        Self.set(level, name, value, on: descriptor)
    }

    private static func set(
        _ level: Int32, _ name: Int32, _ value: Int32, on descriptor: Int32
    ) {
        var value = value
        _ = unsafe setsockopt(
            descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Says that nothing more will be sent. What was sent before still arrives.
    borrowing func endSending() {
        tls?.end()
        _ = shutdown(descriptor, Int32(SHUT_WR))
    }

    /// Reads at most `buffer.count` bytes.
    @inline(__always)
    borrowing func receive(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
        if let tls { return unsafe tls.receive(into: buffer) }
        while true {
            let count = unsafe recv(descriptor, buffer.baseAddress, buffer.count, 0)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .ended }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            case let number: return .failed(number)
            }
        }
    }

    /// Writes as many of the bytes as the socket takes now. With `more` the kernel may hold back
    /// what is no full packet until the next bytes come.
    @inline(__always)
    borrowing func send(_ bytes: UnsafeRawBufferPointer, more: Bool = false) -> Transfer {
        if let tls { return unsafe tls.send(bytes) }
        let flags = Int32(MSG_NOSIGNAL) | (more ? Int32(MSG_MORE) : 0)
        while true {
            let count = unsafe Glibc.send(
                descriptor, bytes.baseAddress, bytes.count, flags)
            if count >= 0 { return .bytes(count) }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            case let number: return .failed(number)
            }
        }
    }

    /// Writes two pieces that follow each other, as `send` does. Not for TLS.
    borrowing func send(_ first: [UInt8], _ second: UnsafeRawBufferPointer) -> Transfer {
        unsafe first.withUnsafeBytes { first in
            // Written from only, whatever the type says.
            let pieces = unsafe (
                iovec(
                    iov_base: UnsafeMutableRawPointer(mutating: first.baseAddress),
                    iov_len: first.count),
                iovec(
                    iov_base: UnsafeMutableRawPointer(mutating: second.baseAddress),
                    iov_len: second.count)
            )
            return unsafe withUnsafeBytes(of: pieces) { pieces in
                let vectors = unsafe pieces.assumingMemoryBound(to: iovec.self)
                while true {
                    let count = unsafe writev(descriptor, vectors.baseAddress, 2)
                    if count >= 0 { return .bytes(count) }
                    switch errno {
                    case EINTR: continue
                    case EAGAIN: return .wouldBlock
                    case let number: return .failed(number)
                    }
                }
            }
        }
    }

    /// The error waiting on the socket, 0 if there is none. Asking clears it.
    borrowing func pendingError() -> Int32 {
        var number: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &number, &length)
        return number
    }

    /// How many of the bytes sent the other side's kernel has not taken yet.
    var unacknowledgedBytes: Int {
        var count: Int32 = 0
        // SIOCOUTQ, which is TIOCOUTQ (tcp(7)).
        _ = unsafe ioctl(descriptor, UInt(TIOCOUTQ), &count)
        return Int(count)
    }

    /// How long ago the other side took bytes last, to about ten milliseconds and rather too short;
    /// `nil` where the kernel does not tell (Unix sockets).
    ///
    /// A side that takes nothing still acknowledges probes of its closed window, but makes us send
    /// no data; one that is gone makes us send data again, but acknowledges nothing (tcp(7),
    /// `TCP_INFO`). So the older of the two tells.
    var timeSinceProgress: Duration? {
        var info = tcp_info()
        var length = socklen_t(MemoryLayout<tcp_info>.size)
        let result = unsafe getsockopt(
            descriptor, Int32(IPPROTO_TCP), TCP_INFO, &info, &length)
        guard result == 0 else { return nil }
        // Data is taken a round trip after it was sent. The kernel counts in ticks of 4 to 10 ms.
        let sinceSent = Int(info.tcpi_last_data_sent) - Int(info.tcpi_rtt) / 1000
        let age = max(sinceSent, Int(info.tcpi_last_ack_recv)) - 10
        return .milliseconds(max(0, age))
    }

    /// The address the socket is bound to.
    borrowing func localAddress() -> SocketAddress {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = unsafe getsockname(descriptor, $0, &length)
            }
        }
        return SocketAddress(storage, length: length)
    }
}
