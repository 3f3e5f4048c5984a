// Which names for itself Sluice answers to, so that a web page cannot reach it under a name of its
// own.

internal import Configuration
internal import Glibc
internal import HTTPTypes

/// The rule on the `Host` field.
///
/// A page at http://evil.example may let that name point to 127.0.0.1 (DNS rebinding); to the
/// browser, Sluice then is the page's own server, and no `Origin` is sent. What gives it away is
/// the name in `Host`. Addresses cannot be rebound, and names of this machine are not in others'
/// hands.
struct HostRule: Sendable {
    private let names: [String]
    /// Whether there is nothing else to keep strangers out, but that only this machine can connect.
    let isNeeded: Bool

    /// The rule of `configuration` on a machine that calls itself `ownHostName`.
    ///
    /// Keys make it needless. On an address that others can reach without keys, anybody may ask
    /// under any name; that was asked for with `--insecure-no-auth`. Browsers do not speak to Unix
    /// sockets.
    init(_ configuration: Configuration, ownHostName: String?) {
        names =
            (["127.0.0.1", "localhost", "host.docker.internal"] + configuration.allowedHosts
            + (ownHostName.map { [$0] } ?? [])).map { Self.comparable($0) }
        let hasPorts = configuration.listen.contains {
            if case .tcp = $0 { true } else { false }
        }
        isNeeded =
            configuration.keys.isEmpty && hasPorts && configuration.listen.allSatisfy(\.isLocal)
    }

    /// Whether a request with this `Host` may be answered. One without is: only HTTP/1.0 can do
    /// without, and browsers never do.
    func allows(host field: String?) -> Bool {
        guard isNeeded, let field else { return true }
        return isOurs(field) { $0.isLoopback || $0.isPrivate }
    }

    /// Whether a `Host` field has a name of this machine, or an address, which nobody can rebind.
    func isOurs(_ field: String) -> Bool { isOurs(field) { _ in true } }

    private func isOurs(_ field: String, orAddress isFit: (IPAddress) -> Bool) -> Bool {
        let bytes = Array(field.utf8)
        guard let authority = Authority(bytes.span) else { return false }
        let host = String(decoding: bytes[authority.host], as: UTF8.self)
        // As nearly always, it is said as it stands in the list.
        if names.contains(host) { return true }
        let name = Self.comparable(host)
        if names.contains(name) || name.hasSuffix(".localhost") { return true }
        return IPAddress(host).map(isFit) ?? false
    }

    /// Names are the same in any case, and with the dot that ends a full one.
    private static func comparable(_ name: String) -> String {
        let name = name.lowercased()
        return name.hasSuffix(".") ? String(name.dropLast()) : name
    }
}

/// An IP address that stands for a host.
struct IPAddress: Equatable {
    /// Four bytes or sixteen; an IPv4 address written as IPv6 (`::ffff:127.0.0.1`) has four.
    let bytes: [UInt8]

    /// Reads an address, IPv6 with or without brackets. `nil` if it is a name.
    init?(_ text: String) {
        let isBracketed = text.hasPrefix("[") && text.hasSuffix("]")
        let text = isBracketed ? String(text.dropFirst().dropLast()) : text
        var storage = [UInt8](repeating: 0, count: 16)
        if !isBracketed, unsafe inet_pton(AF_INET, text, &storage) == 1 {
            bytes = Array(storage[..<4])
        } else if unsafe inet_pton(AF_INET6, text, &storage) == 1 {
            let mapping = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]
            bytes = storage.starts(with: mapping) ? Array(storage[12...]) : storage
        } else {
            return nil
        }
    }

    /// 127.0.0.0/8 and ::1 (RFC 6890).
    var isLoopback: Bool {
        bytes.count == 4
            ? bytes[0] == 127 : bytes == [UInt8](repeating: 0, count: 15) + [1]
    }

    /// 10.0.0.0/8, 172.16.0.0/12 and 192.168.0.0/16 (RFC 1918), fc00::/7 (RFC 4193).
    var isPrivate: Bool {
        switch (bytes.count, bytes[0], bytes[1]) {
        case (4, 10, _), (4, 172, 16...31), (4, 192, 168): true
        case (16, 0xFC...0xFD, _): true
        default: false
        }
    }
}

/// What this machine calls itself; `nil` if it does not say.
func ownHostName() -> String? {
    // Linux has names of at most 64 bytes (HOST_NAME_MAX). The last zero stays, whatever is
    // written.
    var name = [CChar](repeating: 0, count: 256)
    guard unsafe gethostname(&name, 255) == 0 else { return nil }
    let bytes = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
}
