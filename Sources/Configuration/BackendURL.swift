// Where a backend is: a checked URL.

internal import Text

/// The place of a backend: `http://host:port/prefix`, `https://…`, or `unix:/path`.
public struct BackendURL: Sendable, Hashable, CustomStringConvertible {
    /// How to connect.
    public enum Scheme: String, Sendable {
        /// Plain HTTP over TCP.
        case http
        /// HTTP over TLS over TCP.
        case https
        /// Plain HTTP over a Unix socket.
        case unix
    }

    /// How to connect.
    public let scheme: Scheme
    /// A name or an IP address (IPv6 without brackets); `localhost` for a Unix socket.
    public let host: String
    /// The port, 80 or 443 if the URL says none; 0 for a Unix socket.
    public let port: Int
    /// What comes before the paths of the API: empty, or `/` and no slash at its end.
    public let pathPrefix: String
    /// The absolute path of the socket; empty but for `unix`.
    public let socketPath: String

    /// Reads a URL, and refuses what has no place in one for a backend.
    ///
    /// A closing `/v1` is taken off: it is part of the base URL in the settings of most clients,
    /// and Sluice writes it itself.
    public init(_ text: String) throws(ValueError) {
        if text.hasPrefix("unix:") {
            (scheme, host, port, pathPrefix) = (.unix, "localhost", 0, "")
            socketPath = try parseSocketPath(text)
            return
        }
        let afterScheme = text.firstRange(of: "://")?.upperBound ?? text.startIndex
        guard !Self.authority(text[afterScheme...]).contains("@") else {
            // The text is not shown: it holds a password.
            throw ValueError("is a URL with a user or password; put the secret into key")
        }
        let rest: Substring
        if text.lowercased().hasPrefix("http://") {
            (scheme, rest) = (.http, text.dropFirst(7))
        } else if text.lowercased().hasPrefix("https://") {
            (scheme, rest) = (.https, text.dropFirst(8))
        } else {
            throw Self.wrongScheme(text)
        }
        let authority = Self.authority(rest)
        guard let (host, port) = splitHostAndPort(String(authority)), port != 0 else {
            throw ValueError(
                "\(quoted(text)) has no host and port; write it like http://127.0.0.1:8080")
        }
        self.host = host
        self.port = port ?? (scheme == .https ? 443 : 80)
        pathPrefix = try Self.parsePath(rest.dropFirst(authority.count), of: text)
        socketPath = ""
    }

    /// The value of the `Host` field (RFC 9110, section 7.2): without the port if it is the
    /// scheme's own.
    public var hostField: String {
        let ownPort = scheme == .http ? 80 : scheme == .https ? 443 : 0
        let text = hostAndPortText(host, port)
        return port == ownPort ? String(text.dropLast(":\(port)".utf8.count)) : text
    }

    /// The URL as it would be written.
    public var description: String {
        scheme == .unix ? "unix:" + socketPath : "\(scheme.rawValue)://\(hostField)\(pathPrefix)"
    }

    /// What stands before the path (RFC 3986, section 3.2).
    private static func authority(_ text: Substring) -> Substring {
        text.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    }

    private static func parsePath(_ path: Substring, of url: String) throws(ValueError) -> String {
        var path = path
        guard !path.contains("?"), !path.contains("#") else {
            // What follows is not shown: some servers want a key there.
            let shown = url.prefix { $0 != "?" && $0 != "#" }
            throw ValueError("has a query or fragment; write only \(quoted(String(shown)))")
        }
        // Visible ASCII only, as it goes into a request line as it is.
        guard path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw ValueError("\(quoted(url)) has characters that must be percent-encoded")
        }
        while path.hasSuffix("/") { path.removeLast() }
        if path.hasSuffix("/v1") { path.removeLast(3) }
        while path.hasSuffix("/") { path.removeLast() }
        return String(path)
    }

    private static func wrongScheme(_ text: String) -> ValueError {
        if text.contains("://") || splitHostAndPort(text) == nil {
            return ValueError(
                "\(quoted(text)) is not a URL; write it like http://127.0.0.1:8080, https://… or unix:/path"
            )
        }
        return ValueError("\(quoted(text)) has no scheme; write http://\(text)")
    }
}
