// What the request parser hands on: a checked head, and how its body is framed.

public import HTTPTypes

/// How much of a request is taken. Nothing has a default, so that the caller thinks of it.
public struct RequestLimits: Sendable, Hashable {
    /// Bytes of the request line, without its CRLF; more is a 414.
    public var requestLine: Int
    /// Bytes of the request line and all field lines with their ends; more is a 431. Trailers may
    /// take as much.
    public var head: Int
    /// Field lines in a head; more is a 431. Trailers may have as many.
    public var headFields: Int
    /// Bytes of the body without its chunk framing; more is a 413.
    public var body: Int

    /// All limits; each is the largest value that is still taken.
    public init(requestLine: Int, head: Int, headFields: Int, body: Int) {
        self.requestLine = requestLine
        self.head = head
        self.headFields = headFields
        self.body = body
    }
}

/// How the end of a request's body is told (RFC 9112 section 6.3).
public enum BodyFraming: Hashable, Sendable {
    /// No body: neither field was given, or `Content-Length: 0`.
    case none
    /// Exactly so many bytes, at least one.
    case length(Int)
    /// Chunks, which the parser takes apart.
    case chunked
}

/// A complete head that passed every check.
public struct RequestHead: Sendable, Hashable {
    /// The method.
    public let method: Method
    /// Path and query as received, beginning with exactly one slash; `*` only with OPTIONS.
    public let target: String
    /// The request line for the server behind, always HTTP/1.1, as a head without fields; then the
    /// fields' names and values, as they were spelled.
    public let text: [UInt8]
    /// How much of `text` is that head.
    public let lineBytes: Int
    /// The fields in the order received. Those that concern only this connection or this body are
    /// left out (`Connection`, `Keep-Alive`, `Proxy-Connection`, `TE`, `Trailer`,
    /// `Transfer-Encoding`, `Content-Length`, `Expect`, `Upgrade`, `HTTP2-Settings`).
    public let fields: [RequestField]
    /// Whether the client speaks HTTP/1.0, and so can read neither chunks nor 1xx answers.
    public let isHTTP10: Bool
    /// Whether the client wishes to go on using the connection (RFC 9112 section 9.3).
    public let keepsAlive: Bool
    /// Whether the client waits for `100 Continue` before it sends the body (RFC 9110 section
    /// 10.1.1).
    public let expectsContinue: Bool
    /// Whether the client asks for a WebSocket (RFC 6455 section 4.1). The method and the
    /// handshake's own fields are the endpoint's to check.
    public let wantsUpgrade: Bool
    /// How the body that follows is framed. Any method may have one; it is never read as a request.
    public let body: BodyFraming
}

/// A field of a request's head, as places in its text.
public struct RequestField: Sendable, Hashable {
    /// Where its name stands.
    public let name: Range<Int>
    /// Where its value stands, without white space around it.
    public let value: Range<Int>

    /// The field of a line that begins at `start`.
    init(_ line: RequestFieldLine, at start: Int) {
        name = start..<(start + line.name.count)
        value = (start + line.value.lowerBound)..<(start + line.value.upperBound)
    }
}

extension [RequestField] {
    /// The value of the first one of this name, given in lower case.
    public func value(of name: StaticString, in text: [UInt8]) -> String? {
        let bytes = text.span
        for field in self where field.name.count == name.utf8CodeUnitCount {
            guard bytes.extracting(field.name).equalsIgnoringCase(name) else { continue }
            return bytes.extracting(field.value).text
        }
        return nil
    }
}
