// The head of an upstream's answer: status, fields, and how long the body is (RFC 9112, section
// 6.3).

/// The status line and the fields of an answer, with what they say about its body.
public struct ResponseHead: Sendable, Equatable {
    /// How the end of the body is found.
    public enum Body: Sendable, Equatable {
        /// There is none: the answer to HEAD, 204 and 304.
        case none
        /// Exactly so many bytes.
        case length(Int)
        /// Chunks, up to the one of size 0.
        case chunked
        /// All that comes until the connection closes.
        case untilClose
    }

    /// The status code, 200 to 599.
    public let status: Int
    /// Whether the answer came as HTTP/1.0.
    public let isHTTP10: Bool
    /// How the end of the body is found.
    public let body: Body
    /// Whether the upstream agrees to another request on this connection.
    public let keepsAlive: Bool

    // Looking a field up walks the lines: a proxy asks for two or three of them, once.
    private let text: [UInt8]
    private let lines: [ResponseLine]

    /// The value of the first field of this name, in whatever case; without white space around it.
    public func value(for name: StaticString) -> String? {
        for line in lines where line.isNamed(name, in: text.span) {
            return String(decoding: text[line.value], as: UTF8.self)
        }
        return nil
    }

    /// The values of all fields of this name, in their order.
    public func values(for name: StaticString) -> [String] {
        lines.filter { $0.isNamed(name, in: text.span) }
            .map { String(decoding: text[$0.value], as: UTF8.self) }
    }

    /// All fields in their order, names as they were sent.
    public var fields: [(name: String, value: String)] {
        lines.map {
            (
                String(decoding: text[$0.name], as: UTF8.self),
                String(decoding: text[$0.value], as: UTF8.self)
            )
        }
    }
}

extension ResponseHead {
    /// Reads a whole head: its lines with their ends, up to the blank one, which may be there or
    /// not.
    ///
    /// Strict where a second reading would find another message: white space before a colon, folded
    /// lines, control bytes, unclear lengths. Lenient on `\n` without `\r` (RFC 9112, section 2.2).
    init(_ text: [UInt8], isAnswerToHEAD: Bool) throws(ResponseRefusal) {
        let bytes = text.span
        var end = ResponseLine.end(bytes, 0)
        (status, isHTTP10) = try Self.statusLine(bytes, 0..<end.text)
        var lines: [ResponseLine] = []
        while end.next < bytes.count {
            let start = end.next
            end = ResponseLine.end(bytes, start)
            guard end.text > start else { break }
            lines.append(try ResponseLine(bytes, start..<end.text))
        }
        self.lines = lines
        self.text = text
        let framing = try ResponseFraming(bytes, lines)
        switch (isAnswerToHEAD, status, framing.isChunked, framing.length) {
        case (true, _, _, _), (_, 100..<200, _, _), (_, 204, _, _), (_, 304, _, _): body = .none
        case (_, _, true, _): body = .chunked
        case (_, _, _, .some(let length)): body = .length(length)
        default: body = .untilClose
        }
        // HTTP/1.0 does not know chunks; RFC 9112, section 6.1 has such a connection closed.
        let agreed = isHTTP10 ? framing.saysKeepAlive && !framing.isChunked : true
        keepsAlive = agreed && !framing.saysClose && body != .untilClose
    }

    /// `HTTP/1.1 200 OK`; the reason, and the space before it, may be missing.
    private static func statusLine(
        _ bytes: Span<UInt8>, _ line: Range<Int>
    ) throws(ResponseRefusal) -> (status: Int, isHTTP10: Bool) {
        guard line.count >= 12, ResponseLine.matches(bytes, line.lowerBound, "HTTP/"),
            bytes[6] == UInt8(ascii: "."), bytes[8] == UInt8(ascii: " ")
        else { throw .statusLine }
        guard bytes[5] == UInt8(ascii: "1"), bytes[7] & 0xFE == UInt8(ascii: "0") else {
            throw .version
        }
        var status = 0
        for i in 9..<12 {
            let digit = bytes[i] &- UInt8(ascii: "0")
            guard digit < 10 else { throw .statusLine }
            status = status * 10 + Int(digit)
        }
        guard line.count == 12 || bytes[12] == UInt8(ascii: " ") else { throw .statusLine }
        guard (100...599).contains(status) else { throw .status(status) }
        for i in 12..<line.upperBound {
            guard ResponseLine.isText(bytes[i]) else { throw .statusLine }
        }
        return (status, bytes[7] == UInt8(ascii: "0"))
    }
}

/// What the fields say about the length of the body and the connection's fate.
private struct ResponseFraming {
    var isChunked = false
    var length: Int?
    var saysClose = false
    var saysKeepAlive = false

    init(_ bytes: Span<UInt8>, _ lines: [ResponseLine]) throws(ResponseRefusal) {
        for line in lines {
            if line.isNamed("transfer-encoding", in: bytes) {
                // We never offer a coding, so anything but this one word cannot be read. Twice is
                // `chunked, chunked`, which nobody means.
                guard !isChunked, ResponseLine.equals(bytes, line.value, "chunked") else {
                    throw .transferEncoding
                }
                isChunked = true
            } else if line.isNamed("content-length", in: bytes) {
                try readLength(bytes, line.value)
            } else if line.isNamed("connection", in: bytes) {
                ResponseLine.forEachListItem(bytes, line.value) { item in
                    if ResponseLine.equals(bytes, item, "close") { saysClose = true }
                    if ResponseLine.equals(bytes, item, "keep-alive") { saysKeepAlive = true }
                }
            }
        }
        guard !isChunked || length == nil else { throw .conflictingLengths }
    }

    /// RFC 9110, section 8.6: the same number several times, in a list or in fields, is that
    /// number.
    private mutating func readLength(
        _ bytes: Span<UInt8>, _ value: Range<Int>
    ) throws(ResponseRefusal) {
        var lengths: [Int?] = []
        ResponseLine.forEachListItem(bytes, value) { lengths.append(Self.number(bytes, $0)) }
        guard !lengths.isEmpty else { throw .contentLength }
        for item in lengths {
            guard let item else { throw .contentLength }
            guard length == nil || length == item else { throw .conflictingLengths }
            length = item
        }
    }

    /// Digits only, and not so many that the number could overflow.
    private static func number(_ bytes: Span<UInt8>, _ item: Range<Int>) -> Int? {
        guard !item.isEmpty, item.count <= 18 else { return nil }
        var number = 0
        for i in item {
            let digit = bytes[i] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            number = number * 10 + Int(digit)
        }
        return number
    }
}
