// Addresses of sockets: what we listen on and what we call.

internal import Glibc

/// Why a socket could not be made, bound, or connected. `errno` is the system's number.
public enum SocketError: Error, Equatable, Sendable {
    /// The host name is not known; `reason` is the resolver's.
    case unknownHost(String, reason: String)
    /// Another process listens on the address already.
    case addressInUse(String)
    /// TLS failed: a certificate that is not accepted, or no TLS at all.
    case insecure(String, reason: String)
    /// Anything else the system refused.
    case failed(operation: String, address: String, errno: Int32)

    /// What happened, for people.
    public var message: String {
        switch self {
        case .unknownHost(let host, let reason): "the host name \(host) is not known: \(reason)"
        case .insecure(let address, let reason): "no secure connection to \(address): \(reason)"
        case .addressInUse(let address):
            "\(address) is in use: another program listens there already"
        case .failed(let operation, let address, let number):
            "\(operation) \(address): \(errorText(number))"
        }
    }
}

/// The system's words for an error number.
public func errorText(_ number: Int32) -> String {
    // strerror returns a constant or a thread-local text; it is copied at once.
    guard let text = unsafe strerror(number) else { return "error \(number)" }
    return unsafe String(cString: text)
}

/// An address of the kinds Sluice uses: IPv4, IPv6, or the path of a Unix socket.
public struct SocketAddress: Sendable, CustomStringConvertible {
    let storage: sockaddr_storage
    let length: socklen_t
    /// As people write it: `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/x.sock`.
    public let description: String
    /// The port, 0 for a Unix socket.
    public let port: Int

    /// The address of a Unix socket. `nil` if the path is longer than the system allows (107
    /// bytes).
    public init?(unixPath path: String) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            return nil
        }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        var storage = sockaddr_storage()
        unsafe withUnsafeMutableBytes(of: &storage) { target in
            unsafe withUnsafeBytes(of: &address) { unsafe target.copyMemory(from: $0) }
        }
        self.storage = storage
        length = socklen_t(MemoryLayout<sockaddr_un>.size)
        description = "unix:" + path
        port = 0
    }

    init(_ storage: sockaddr_storage, length: socklen_t) {
        self.storage = storage
        self.length = length
        (description, port) = Self.describe(storage, length)
    }

    /// Every address of `host`, in the resolver's order. Blocks for names that are not literal
    /// addresses, so it is called at start and at reload, not while requests wait.
    public static func resolve(
        host: String, port: Int, toListen: Bool = false
    ) throws(SocketError) -> [SocketAddress] {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = AI_NUMERICSERV | (toListen ? AI_PASSIVE : 0)
        var found: UnsafeMutablePointer<addrinfo>?
        let code = unsafe getaddrinfo(host, String(port), &hints, &found)
        guard code == 0 else {
            throw .unknownHost(host, reason: unsafe String(cString: gai_strerror(code)))
        }
        defer { unsafe freeaddrinfo(found) }
        var addresses: [SocketAddress] = []
        var next = unsafe found
        while let entry = unsafe next {
            var storage = sockaddr_storage()
            let length = unsafe entry.pointee.ai_addrlen
            unsafe withUnsafeMutableBytes(of: &storage) { target in
                unsafe target.copyMemory(
                    from: UnsafeRawBufferPointer(
                        start: entry.pointee.ai_addr, count: Int(length)))
            }
            addresses.append(SocketAddress(storage, length: length))
            unsafe next = entry.pointee.ai_next
        }
        return addresses
    }

    /// Runs `body` with the address as the system's calls want it.
    func withSystemAddress<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        var copy = storage
        return unsafe withUnsafePointer(to: &copy) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, length)
            }
        }
    }

    var family: Int32 { Int32(storage.ss_family) }
    /// Whether it is the path of a Unix socket.
    public var isUnix: Bool { family == AF_UNIX }

    private static func describe(
        _ storage: sockaddr_storage, _ length: socklen_t
    ) -> (String, Int) {
        if storage.ss_family == AF_UNIX { return ("unix:", 0) }
        var copy = storage
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        var service = [CChar](repeating: 0, count: Int(NI_MAXSERV))
        let code = unsafe withUnsafePointer(to: &copy) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe getnameinfo(
                    $0, length, &host, socklen_t(host.count), &service,
                    socklen_t(service.count), NI_NUMERICHOST | NI_NUMERICSERV)
            }
        }
        guard code == 0 else { return ("?", 0) }
        let name = text(of: host)
        let port = Int(text(of: service)) ?? 0
        return (storage.ss_family == AF_INET6 ? "[\(name)]:\(port)" : "\(name):\(port)", port)
    }

    private static func text(of characters: [CChar]) -> String {
        String(
            decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
