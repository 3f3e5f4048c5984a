// The head of every request to an upstream, built from scratch.

internal import Configuration
internal import HTTPTransport

/// Who asks, for the upstream's log.
struct RequestIdentity: Sendable {
    /// Sent as `x-request-id`.
    var id: String
    /// The client's `traceparent` (W3C Trace Context), passed on as it is.
    var traceparent: String?
}

/// The head of a request to `backend`. Nothing of the client's head goes upstream but its trace:
/// not its key, `Origin`, cookies, nor `X-Conversation-Id`, which makes llama-server ignore
/// disconnects.
func upstreamHead(
    _ method: String, _ path: String, to backend: BackendSettings, bodyLength: Int? = nil,
    accept: String, identity: RequestIdentity? = nil
) -> [UInt8] {
    var head = "\(method) \(backend.url.pathPrefix)\(path) HTTP/1.1\r\n"
    head += "Host: \(backend.url.hostField)\r\nUser-Agent: sluice/\(Version.number)\r\n"
    head += "Accept: \(accept)\r\n"
    if let bodyLength {
        head += "Content-Type: application/json\r\nContent-Length: \(bodyLength)\r\n"
    }
    if let key = backend.key { head += "Authorization: Bearer \(key.text)\r\n" }
    if let identity {
        head += "x-request-id: \(identity.id)\r\n"
        if let trace = identity.traceparent { head += "traceparent: \(trace)\r\n" }
    }
    return Array((head + "\r\n").utf8)
}
