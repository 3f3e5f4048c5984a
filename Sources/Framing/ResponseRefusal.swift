// Why an upstream's answer cannot be read.

/// What is wrong with the HTTP of an upstream's answer. Always the upstream's fault; the connection
/// must be closed, since nobody knows where the next answer would begin.
public enum ResponseRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// The first line is no status line.
    case statusLine
    /// Neither HTTP/1.0 nor HTTP/1.1.
    case version
    /// A status code outside 100 to 599.
    case status(Int)
    /// 101: the upstream wants to leave HTTP, which nobody asked for.
    case switchedProtocols
    /// More interim answers (1xx) than we are willing to skip.
    case tooManyInterimAnswers(limit: Int)
    /// The head, or the trailers, are longer than `limitBytes`.
    case headTooLong(limitBytes: Int)
    /// A field line without a proper name and a colon right behind it.
    case fieldName
    /// A control byte in a field value.
    case fieldValue
    /// A field value that goes on in the next line (RFC 9112, section 5.2).
    case foldedField
    /// A Content-Length that is no number.
    case contentLength
    /// Two lengths that differ, or a length and chunks.
    case conflictingLengths
    /// A Transfer-Encoding other than `chunked`.
    case transferEncoding
    /// A chunk-size line that is none.
    case chunkSize
    /// A chunk that is not followed by CRLF.
    case chunkEnd

    /// The refusal in words, to stand in a message after "the upstream sent".
    public var description: String {
        switch self {
        case .statusLine: "something that is not HTTP"
        case .version: "an HTTP version other than 1.0 and 1.1"
        case .status(let status): "the impossible status \(status)"
        case .switchedProtocols: "101 Switching Protocols, unasked"
        case .tooManyInterimAnswers(let limit): "more than \(limit) interim answers"
        case .headTooLong(let limitBytes): "a head of more than \(limitBytes) bytes"
        case .fieldName: "a malformed header name"
        case .fieldValue: "a control byte in a header"
        case .foldedField: "a folded header"
        case .contentLength: "a malformed Content-Length"
        case .conflictingLengths: "lengths that contradict each other"
        case .transferEncoding: "a Transfer-Encoding other than chunked"
        case .chunkSize: "a malformed chunk size"
        case .chunkEnd: "a chunk without its end"
        }
    }
}
