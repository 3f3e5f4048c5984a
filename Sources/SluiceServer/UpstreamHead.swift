// The head of every request to an upstream, built from scratch.

internal import Configuration
internal import HTTPTransport
internal import JSON

/// Who asks, for the upstream's log.
struct RequestIdentity: Sendable {
    /// Sent as `x-request-id`.
    var id: String
    /// The client's `traceparent` (W3C Trace Context), passed on as it is.
    var traceparent: String?
}

/// What the heads of all requests to one backend have in common, written once.
struct UpstreamHead: Sendable {
    private let pathPrefix: [UInt8]
    /// From behind the path to the value of `Accept`.
    private let opening: [UInt8]
    /// The line with the key; empty without one.
    private let authorization: [UInt8]

    /// What most requests begin with, to the length of the body: a chat's, whose answer is a stream.
    private var chat: [UInt8] = []
    private static let chatPath = "/v1/chat/completions"
    private static let chatAccept = "text/event-stream"
    private static let bodyFields: StaticString =
        "\r\nContent-Type: application/json\r\nContent-Length: "

    /// Room for what follows, for it mostly leaves with the head: the body of a short chat.
    private static let bodyRoom = 1024

    init(_ backend: BackendSettings) {
        pathPrefix = Array(backend.url.pathPrefix.utf8)
        opening = Array(
            " HTTP/1.1\r\nHost: \(backend.url.hostField)\r\nUser-Agent: sluice/\(Version.number)\r\nAccept: "
                .utf8)
        authorization = backend.key.map { Array("Authorization: Bearer \($0.text)\r\n".utf8) } ?? []
        append("POST", Self.chatPath, Self.chatAccept, to: &chat)
        chat.append(Self.bodyFields)
    }

    /// The request line, and the fields to the value of `Accept`.
    private func append(
        _ method: String, _ path: String, _ accept: String, to head: inout [UInt8]
    ) {
        head.append(contentsOf: method.utf8)
        head.append(UInt8(ascii: " "))
        head.append(contentsOf: pathPrefix)
        head.append(contentsOf: path.utf8)
        head.append(contentsOf: opening)
        head.append(contentsOf: accept.utf8)
    }

    /// The head of one request. Nothing of the client's head goes upstream but its trace: not its
    /// key, `Origin`, cookies, nor `X-Conversation-Id`, which makes llama-server ignore disconnects.
    func bytes(
        _ method: String, _ path: String, bodyLength: Int? = nil, accept: String,
        identity: RequestIdentity? = nil
    ) -> [UInt8] {
        var head: [UInt8] = []
        head.reserveCapacity(512 + min(bodyLength ?? 0, Self.bodyRoom))
        if let bodyLength {
            if path == Self.chatPath, accept == Self.chatAccept, method == "POST" {
                head.append(contentsOf: chat)
            } else {
                append(method, path, accept, to: &head)
                head.append(Self.bodyFields)
            }
            head.append(decimal: bodyLength)
        } else {
            append(method, path, accept, to: &head)
        }
        head.append("\r\n")
        head.append(contentsOf: authorization)
        if let identity {
            head.append("x-request-id: ")
            head.append(contentsOf: identity.id.utf8)
            if let trace = identity.traceparent {
                head.append("\r\ntraceparent: ")
                head.append(contentsOf: trace.utf8)
            }
            head.append("\r\n")
        }
        head.append("\r\n")
        return head
    }
}
