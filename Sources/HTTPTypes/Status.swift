// The status codes Sluice sends and the words that go with them.

/// A status code of RFC 9110 section 15.
public struct Status: RawRepresentable, Hashable, Sendable {
    /// The three digits of the status line.
    public var rawValue: Int

    /// Any code; an upstream's own may be passed on.
    public init(rawValue: Int) { self.rawValue = rawValue }

    /// The words after the code, or those of the code's class if it has none of its own here.
    ///
    /// Clients ignore them (RFC 9112 section 4); people reading a trace do not.
    public var reasonPhrase: StaticString {
        switch rawValue {
        case 100: "Continue"
        case 101: "Switching Protocols"
        case 200: "OK"
        case 204: "No Content"
        case 304: "Not Modified"
        case 200..<300: "Success"
        case 300..<400: "Redirection"
        case 400..<500: clientErrorPhrase
        case 500..<600: serverErrorPhrase
        default: "Informational"
        }
    }

    private var clientErrorPhrase: StaticString {
        switch rawValue {
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 415: "Unsupported Media Type"
        case 417: "Expectation Failed"
        case 422: "Unprocessable Content"
        case 426: "Upgrade Required"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        default: "Client Error"
        }
    }

    private var serverErrorPhrase: StaticString {
        switch rawValue {
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        default: "Server Error"
        }
    }
}
