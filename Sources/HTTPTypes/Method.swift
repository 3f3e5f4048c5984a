// The request methods Sluice lets through.

/// A method of RFC 9110 section 9 (and PATCH, RFC 5789) that may reach a handler.
///
/// TRACE and CONNECT are left out on purpose: the library behind the gate never consumes the body
/// of the one and hands the other to handlers, and no endpoint of ours wants either.
public enum Method: String, Sendable, CaseIterable {
    case get = "GET"
    case head = "HEAD"
    case post = "POST"
    case put = "PUT"
    case delete = "DELETE"
    case options = "OPTIONS"
    case patch = "PATCH"

    /// The method with exactly this spelling; methods are case-sensitive (RFC 9110 section 9.1).
    public init?(_ bytes: Span<UInt8>) {
        for method in Method.allCases where bytes.equals(method.name) {
            self = method
            return
        }
        return nil
    }

    /// The name as it stands in a request line.
    public var name: StaticString {
        switch self {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .delete: "DELETE"
        case .options: "OPTIONS"
        case .patch: "PATCH"
        }
    }
}
