// Why a request is refused before any handler sees it: the closed list, with status, code and
// message.

/// What is wrong with a client's request at the HTTP layer. After a refusal the connection must be
/// closed: where the next request would begin can no longer be told.
public enum RequestRefusal: Error, Hashable, Sendable {
    // Bytes and lines.

    /// CR and LF may only stand together, at the end of a line.
    case bareLineEnd
    /// A control byte, such as NUL; also what a TLS handshake begins with.
    case controlByte(UInt8)
    /// More empty lines before the request line than the few that are tolerated.
    case emptyLines

    // The request line.

    /// Not three parts, or not divided by single spaces.
    case malformedRequestLine
    /// A method that is no token.
    case malformedMethod
    /// A method that no endpoint knows.
    case methodNotImplemented
    /// Anything but exactly HTTP/1.0 or HTTP/1.1.
    case unsupportedVersion
    /// Not origin-form (or `*` with OPTIONS), or with bytes that do not belong in a target.
    case malformedTarget
    /// Over `RequestLimits.requestLine`.
    case requestLineTooLong(limitBytes: Int)

    // Fields, of the head and of trailers.

    /// A line that continues the one before it (`obs-fold`), or white space where a field should
    /// begin.
    case foldedField
    /// A field line without a colon.
    case fieldWithoutColon
    /// A name that is empty or no token; `spaceBeforeColon` is the commonest way.
    case malformedFieldName(spaceBeforeColon: Bool)
    /// Over `RequestLimits.head`.
    case headTooLarge(limitBytes: Int)
    /// Over `RequestLimits.headFields`.
    case tooManyFields(limit: Int)
    /// Without `Host`, in HTTP/1.1.
    case missingHost
    /// With two `Host` fields, even if they agree.
    case repeatedHost
    /// A `Host` that is empty, or no host with an optional port.
    case malformedHost
    /// A `Connection` whose elements are no tokens.
    case malformedConnection
    /// An `Expect` other than `100-continue`.
    case expectationFailed

    // The body's framing.

    /// Two `Content-Length` fields, even if they agree.
    case repeatedContentLength
    /// Not only digits, or too many of them for any machine.
    case malformedContentLength
    /// Both ways to end a body at once.
    case contentLengthWithTransferEncoding
    /// `Transfer-Encoding` in HTTP/1.0, which has none.
    case transferEncodingInHTTP10
    /// Not `chunked` at the end, so that the body's length cannot be told; or doubled, or no list
    /// of tokens.
    case malformedTransferEncoding
    /// Another coding below `chunked`: the length could be told, but the content not be read.
    case transferCodingNotImplemented
    /// Over `RequestLimits.body`.
    case bodyTooLarge(limitBytes: Int)

    // Chunks.

    /// Not one to sixteen hexadecimal digits.
    case malformedChunkSize
    /// What follows a chunk's size is no extension.
    case malformedChunkExtension
    /// A line with a chunk's size, or all extensions together, longer than anyone needs.
    case chunkExtensionTooLong
    /// No CRLF after a chunk's data.
    case malformedChunkEnd

    // Time. The parser has no clock: whoever reads the socket tells these.

    /// The head was not complete in time.
    case headTimedOut
    /// The body made no progress, or was not complete in time.
    case bodyTimedOut
}

extension RequestRefusal {
    /// The status to answer with.
    ///
    /// An unknown transfer coding is a 501 (RFC 9112 section 6.1), but only where `chunked` is the
    /// last one: otherwise the length cannot be told, and section 6.3 demands a 400.
    public var status: Int {
        switch self {
        case .headTimedOut, .bodyTimedOut: 408
        case .bodyTooLarge: 413
        case .requestLineTooLong: 414
        case .expectationFailed: 417
        case .headTooLarge, .tooManyFields: 431
        case .methodNotImplemented, .transferCodingNotImplemented: 501
        default: 400
        }
    }

    /// The code word of the error body; follows from the status.
    public var code: String {
        switch status {
        case 408: "request_timeout"
        case 413: "body_too_large"
        case 414: "uri_too_long"
        case 417: "expectation_failed"
        case 431: "head_too_large"
        case 501: "not_implemented"
        default: "bad_request"
        }
    }

    /// What is wrong and what would be right, for people. Never holds the client's bytes.
    public var message: String {
        switch self {
        case .bareLineEnd: "Lines must end with CRLF; neither CR nor LF may stand alone."
        case .controlByte(0x16): "This is no HTTP request; this port does not speak TLS."
        case .controlByte(let byte): "Control bytes such as 0x\(hexadecimal(byte)) are not allowed."
        case .emptyLines: "There are empty lines where the request line should be."
        case .malformedRequestLine:
            "The request line must be: method, one space, path, one space, HTTP/1.1."
        case .malformedMethod: "The method must be a token such as GET or POST."
        case .methodNotImplemented:
            "The method is not implemented; methods are written like GET or POST."
        case .unsupportedVersion: "The version must be exactly HTTP/1.1 or HTTP/1.0."
        case .malformedTarget:
            "The target must be a path of visible ASCII that begins with one slash."
        case .requestLineTooLong(let limit): "The request line may have at most \(limit) bytes."
        case .foldedField: "A header field must stand on one line that does not begin with a space."
        case .fieldWithoutColon: "A header field must be a name, a colon and a value."
        case .malformedFieldName(true):
            "No space may stand between a header field's name and its colon."
        case .malformedFieldName(false):
            "A header field's name must be letters, digits and hyphens."
        case .headTooLarge(let limit): "The request's head may have at most \(limit) bytes."
        case .tooManyFields(let limit): "The request may have at most \(limit) header fields."
        case .missingHost: "There must be a Host field in HTTP/1.1."
        case .repeatedHost: "There must be only one Host field."
        case .malformedHost: "Host must be a name or an address, with an optional port."
        case .malformedConnection: "Connection must be a list of words such as close."
        case .expectationFailed: "No expectation but 100-continue can be met."
        case .repeatedContentLength: "There must be only one Content-Length field."
        case .malformedContentLength: "Content-Length must be a plain decimal number."
        case .contentLengthWithTransferEncoding:
            "Content-Length and Transfer-Encoding must not be given together."
        case .transferEncodingInHTTP10: "HTTP/1.0 has no Transfer-Encoding; send a Content-Length."
        case .malformedTransferEncoding: "Transfer-Encoding must be exactly chunked, given once."
        case .transferCodingNotImplemented: "No transfer coding but chunked is implemented."
        case .bodyTooLarge(let limit): "The request's body may have at most \(limit) bytes."
        case .malformedChunkSize: "A chunk's size must be one to sixteen hexadecimal digits."
        case .malformedChunkExtension: "Only ;name=value may follow a chunk's size."
        case .chunkExtensionTooLong: "The chunks' extensions are too long; leave them out."
        case .malformedChunkEnd: "A chunk's data must have the announced size and end with CRLF."
        case .headTimedOut: "The request's head did not arrive in time; send it at once."
        case .bodyTimedOut: "The request's body did not arrive in time."
        }
    }

    private func hexadecimal(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16, uppercase: true)
        return digits.count == 1 ? "0" + digits : digits
    }
}
