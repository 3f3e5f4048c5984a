// The places where clients can reach Sluice.

internal import Text

/// A place to listen: a host and port, or a socket in the file system.
public enum ListenAddress: Sendable, Hashable, CustomStringConvertible {
    /// A name or IP address (IPv6 without brackets) and a port; port 0 lets the system choose.
    case tcp(host: String, port: Int)
    /// The absolute path of a Unix socket.
    case unix(path: String)

    /// 127.0.0.1:8484, reachable from this machine only.
    public static let standard = ListenAddress.tcp(host: "127.0.0.1", port: 8484)

    /// Reads `host:port`, `[::1]:8484` or `unix:/path`.
    ///
    /// A port without a host is refused, although other servers take it: whether it means this
    /// machine or the whole network must not be a matter of habit.
    public init(_ text: String) throws(ValueError) {
        if text.hasPrefix("unix:") {
            self = .unix(path: try parseSocketPath(text))
            return
        }
        let wanted = "write it like 127.0.0.1:8484, [::1]:8484 or unix:/run/sluice.sock"
        guard !text.contains("://"), !text.contains("/") else {
            throw ValueError("\(quoted(text)) is not an address; \(wanted)")
        }
        if let port = Int(text.hasPrefix(":") ? text.dropFirst() : text[...]), port >= 0 {
            throw ValueError(
                "\(quoted(text)) names no host; write 127.0.0.1:\(port) for this machine only, "
                    + "0.0.0.0:\(port) for every network")
        }
        guard let (host, port) = splitHostAndPort(text), let port else {
            throw ValueError("\(quoted(text)) is not an address; \(wanted)")
        }
        self = .tcp(host: host, port: port)
    }

    /// Whether only this machine can reach it.
    public var isLocal: Bool {
        switch self {
        case .unix: true
        case .tcp(let host, _): isLoopback(host)
        }
    }

    /// The address as it is written in the configuration.
    public var description: String {
        switch self {
        case .unix(let path): "unix:" + path
        case .tcp(let host, let port): hostAndPortText(host, port)
        }
    }
}

/// Whether `host` is `localhost` or an IP address in 127.0.0.0/8 or `::1` (RFC 6890). Other names
/// count as foreign: what they resolve to can change.
public func isLoopback(_ host: String) -> Bool {
    let host = host.lowercased()
    if host == "localhost" || host == "::1" { return true }
    guard let address = parseIPv4(host) else { return false }
    return address.first == 127
}

/// The four numbers of a dotted IPv4 address; `nil` for anything else.
func parseIPv4(_ text: String) -> [UInt8]? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    let numbers = parts.compactMap { part in
        part.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 } ? UInt8(part) : nil
    }
    return parts.count == 4 && numbers.count == 4 ? numbers : nil
}

/// Takes `host`, `host:port`, `[v6]` or `[v6]:port` apart; `nil` if it is none of them. The
/// brackets go.
func splitHostAndPort(_ text: String) -> (host: String, port: Int?)? {
    var host = text[...]
    var port: Int?
    let afterBracket = text.lastIndex(of: "]") ?? text.startIndex
    if let colon = text[afterBracket...].lastIndex(of: ":") {
        host = text[..<colon]
        let digits = text[text.index(after: colon)...]
        guard digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let number = Int(digits),
            number <= 65_535
        else { return nil }
        port = number
    }
    if host.hasPrefix("["), host.hasSuffix("]") {
        host = host.dropFirst().dropLast()
        guard isIPv6(host) else { return nil }
    } else {
        guard isHostName(host) else { return nil }
    }
    return (String(host), port)
}

/// The inverse of `splitHostAndPort`.
func hostAndPortText(_ host: String, _ port: Int) -> String {
    host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
}

/// Whether it has the characters of a host name (RFC 1123, section 2.1, and `_`, which networks of
/// containers use).
private func isHostName(_ text: Substring) -> Bool {
    guard let first = text.utf8.first, first != UInt8(ascii: "-"), text.utf8.count <= 253 else {
        return false
    }
    return hasPlainCharacters(text)
}

/// Whether it has the characters of an IPv6 address. The resolver has the last word; this only
/// keeps out what would spoil a `Host` field.
private func isIPv6(_ text: Substring) -> Bool {
    text.utf8.count <= 45 && text.contains(":")
        && text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: ":"), UInt8(ascii: "."):
                true
            default: false
            }
        }
}

/// The path in `unix:/path`. At most 107 bytes: `sun_path` in unix(7) holds 108 with the closing
/// zero.
func parseSocketPath(_ text: String) throws(ValueError) -> String {
    let path = text.dropFirst("unix:".count)
    guard path.hasPrefix("/"), path.utf8.count > 1 else {
        throw ValueError("\(quoted(text)) has no absolute path; write it like unix:/run/name.sock")
    }
    guard path.utf8.count <= 107, !path.utf8.contains(0) else {
        throw ValueError("\(quoted(text)) is too long for a socket; its path may have 107 bytes")
    }
    return String(path)
}
