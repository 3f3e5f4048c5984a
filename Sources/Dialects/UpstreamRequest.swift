// A request as a backend gets it, with the client's own bytes borrowed instead of copied.

public import Chat
import JSON

/// A piece of an upstream request's body.
public enum BodyPart: Sendable, Equatable {
    /// Bytes of our own.
    case bytes([UInt8])
    /// A slice of the client's body, to be sent from where it lies: images and long histories are
    /// never copied.
    case client(Range<Int>)

    /// How many bytes this piece is long.
    var count: Int {
        switch self {
        case .bytes(let bytes): bytes.count
        case .client(let range): range.count
        }
    }
}

/// What is sent to a backend for one chat request.
public struct UpstreamRequest: Sendable, Equatable {
    /// The path to post to, below the backend's URL.
    public let path: String
    /// The body in order; JSON.
    public private(set) var body: [BodyPart]
    /// The most tokens it lets the answer have, where the answer itself does not tell that this was
    /// its end; see `ResponsesStream`.
    public var tokenLimit: Int?
    /// The fields this backend cannot honour, for `x-sluice-ignored`: safe to stand in a header.
    public private(set) var ignored: [String]
    /// What the slices are of; `nil` if that is the client's body.
    public private(set) var source: [UInt8]?

    /// The length of the body in bytes, for `Content-Length`.
    public var contentLength: Int { body.reduce(0) { $0 + $1.count } }

    /// Lets the body go once it will not be sent again.
    public mutating func releaseBody() { (body, source) = ([], nil) }

    /// The whole body, put together; `client` is the body the request was made from.
    public func bytes(client: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(contentLength)
        for part in body {
            switch part {
            case .bytes(let own): bytes += own
            case .client(let range): bytes += (source ?? client)[range]
            }
        }
        return bytes
    }

    init(path: String, body: [BodyPart], ignored: [String]) {
        self.path = path
        self.body = body
        self.ignored = ignored
    }

    /// The same, made from `source` instead of the client's body; fields the client sent that are
    /// not in it come first among those that are ignored.
    func of(_ source: [UInt8], alsoIgnoring names: [String]) -> UpstreamRequest {
        var request = self
        request.source = source
        request.ignored = names + ignored.filter { !names.contains($0) }
        return request
    }
}

/// Writes `request` for a backend of `target`'s kind.
///
/// A pure function of its arguments, so that a retry on another backend simply asks again.
///
/// - Throws: `unsupported_parameter` or `invalid_value` where ignoring a field would change what
/// the answer means.   Another backend of a pool may still take the request.
public func makeUpstreamRequest(
    _ request: ChatRequest, for target: RequestTarget
) throws(APIError) -> UpstreamRequest {
    switch target.kind {
    case .llamaServer, .openAI: try OpenAIRequestWriter(request, target).write(for: target)
    case .ollama: try OllamaRequestWriter(request, target).write()
    }
}
