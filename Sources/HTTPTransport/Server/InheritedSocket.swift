// Listening sockets that were there before the program: systemd's socket activation.

internal import Glibc

/// A listening socket that the process was started with. It stays open as long as the process
/// lives, for it belongs to whoever made it.
public struct InheritedSocket: Sendable {
    let descriptor: Int32
    /// Where it listens.
    public let address: SocketAddress

    /// Takes over a descriptor. `nil` if it is no listening stream socket.
    public init?(descriptor: Int32) {
        var isListening: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard
            unsafe getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &isListening, &length) == 0,
            isListening == 1
        else { return nil }
        self.descriptor = descriptor
        // Programs that Sluice may start have no business with it, and a loop never waits in
        // accept.
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        guard let address = Self.address(of: descriptor) else { return nil }
        self.address = address
    }

    private static func address(of descriptor: Int32) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe getsockname(descriptor, $0, &length)
            }
        }
        guard result == 0 else { return nil }
        guard storage.ss_family == AF_UNIX else {
            return SocketAddress(storage, length: length)
        }
        // After the family, up to the zero that ends it (unix(7)).
        let end = min(Int(length), MemoryLayout<sockaddr_un>.size)
        let path = unsafe withUnsafeBytes(of: &storage) { bytes in
            unsafe Array(bytes[min(2, end)..<end])
        }.prefix { $0 != 0 }
        return SocketAddress(unixPath: String(decoding: path, as: UTF8.self))
    }
}
