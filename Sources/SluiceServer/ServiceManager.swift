// What Sluice and the service manager that started it tell each other: sd_notify(3) and
// sd_listen_fds(3), without their library.

internal import EventLoop
internal import Glibc
internal import HTTPTransport

/// The service manager, as the environment describes it. Where there is none, nothing is said.
final class ServiceManager {
    private let socketName: String?
    private let watchdog: Duration?
    private var timer: Timer?
    private var hasSaidReady = false

    /// Reads the environment: before any thread is made, and never changed.
    init() {
        socketName = Self.variable("NOTIFY_SOCKET")
        // Half of what is allowed, as sd_watchdog_enabled(3) advises.
        let isForUs = Self.variable("WATCHDOG_PID").map { $0 == String(getpid()) } ?? true
        watchdog = Self.variable("WATCHDOG_USEC").flatMap(Int.init).flatMap {
            isForUs && $0 > 0 ? .microseconds($0 / 2) : nil
        }
    }

    /// All workers listen.
    func isReady(on loop: Loop) {
        hasSaidReady = true
        tell("READY=1")
        guard let watchdog else { return }
        // A loop that is stuck says nothing, and is started anew.
        timer = Timer(on: loop) { [unowned self] in
            tell("WATCHDOG=1")
            timer?.arm(after: watchdog)
        }
        timer?.arm(after: watchdog)
    }

    /// Runs `body`, which reads the configuration again; `systemctl reload` waits for its end.
    ///
    /// With the moment in it, so that systemd (since 253, `Type=notify-reload`) can tell this reload
    /// from one before.
    func during(reload body: () -> Void) {
        let microseconds = Instant.now.nanoseconds / 1000
        // One that is not ready yet will say so when it is, and not because of this.
        if hasSaidReady { tell("RELOADING=1\nMONOTONIC_USEC=\(microseconds)") }
        body()
        if hasSaidReady { tell("READY=1") }
    }

    /// Something has changed that `systemctl status` shows.
    func hasStatus(_ text: String) { tell("STATUS=" + text) }

    /// The end has begun.
    func isStopping() { tell("STOPPING=1") }

    /// One datagram. If nobody hears it, nothing is lost.
    private func tell(_ text: String) {
        guard let socketName, let address = Self.address(socketName) else { return }
        let kind = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, kind, 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        var (name, length) = address
        unsafe withUnsafePointer(to: &name) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = unsafe sendto(
                    descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
    }

    /// A path, or a name in the abstract namespace, which begins with `@` in the environment and
    /// with a zero byte in the address (unix(7)).
    private static func address(_ name: String) -> (sockaddr_un, socklen_t)? {
        var bytes = Array(name.utf8)
        guard let first = bytes.first, first == UInt8(ascii: "/") || first == UInt8(ascii: "@")
        else { return nil }
        if first == UInt8(ascii: "@") { bytes[0] = 0 }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        return (address, socklen_t(MemoryLayout<sa_family_t>.size + bytes.count))
    }

    private static func variable(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        return unsafe String(cString: value)
    }

    // MARK: - Sockets

    /// The sockets it has made for us; none where it made none.
    ///
    /// They are numbered from 3 on, and meant for us only if `LISTEN_PID` says so: the variables
    /// may have come down from a parent that did not clear them.
    static func sockets() throws(StartError) -> [InheritedSocket] {
        guard variable("LISTEN_PID") == String(getpid()),
            let count = variable("LISTEN_FDS").flatMap(Int32.init), count > 0
        else { return [] }
        var sockets: [InheritedSocket] = []
        for descriptor in 3..<(3 + count) {
            guard let socket = InheritedSocket(descriptor: descriptor) else {
                throw StartError(
                    message:
                        "descriptor \(descriptor) of the service manager is no listening socket; use ListenStream="
                )
            }
            sockets.append(socket)
        }
        return sockets
    }
}
