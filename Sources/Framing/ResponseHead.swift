// The head of an upstream's answer: status, fields, and how long the body is (RFC 9112, section
// 6.3).

import HTTPTypes

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
        var next = bytes.endOfFieldContent(from: 0, to: bytes.count)
        (status, isHTTP10) = try Self.statusLine(bytes, 0..<next)
        guard Self.skipLineEnd(bytes, &next) else { throw .statusLine }
        var lines: [ResponseLine] = []
        // Servers of models send about ten.
        lines.reserveCapacity(16)
        while next < bytes.count, !Self.skipLineEnd(bytes, &next) {
            let line = try ResponseLine(bytes, from: next)
            lines.append(line)
            next = line.end
            guard Self.skipLineEnd(bytes, &next) else { throw .fieldValue }
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

    /// Moves over the end of a line; `false` if there is none here.
    private static func skipLineEnd(_ bytes: Span<UInt8>, _ i: inout Int) -> Bool {
        if i < bytes.count, bytes[i] == .lineFeed {
            i += 1
        } else if i + 1 < bytes.count, bytes[i] == .carriageReturn, bytes[i + 1] == .lineFeed {
            i += 2
        } else {
            return false
        }
        return true
    }

    /// `HTTP/1.1 200 OK`; the reason, and the space before it, may be missing.
    private static func statusLine(
        _ bytes: Span<UInt8>, _ line: Range<Int>
    ) throws(ResponseRefusal) -> (status: Int, isHTTP10: Bool) {
        guard line.count >= 12, bytes.extracting(0..<5).equals("HTTP/"),
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
            // By length first: most fields are none of these and need no comparison.
            switch line.name.count {
            case 17 where line.isNamed("transfer-encoding", in: bytes):
                // We never offer a coding, so anything but this one word cannot be read. Twice is
                // `chunked, chunked`, which nobody means.
                guard !isChunked, bytes.extracting(line.value).equalsIgnoringCase("chunked") else {
                    throw .transferEncoding
                }
                isChunked = true
            case 14 where line.isNamed("content-length", in: bytes):
                try readLength(bytes.extracting(line.value))
            case 10 where line.isNamed("connection", in: bytes):
                bytes.extracting(line.value).forEachListElement { item in
                    if item.equalsIgnoringCase("close") { saysClose = true }
                    if item.equalsIgnoringCase("keep-alive") { saysKeepAlive = true }
                }
            default: break
            }
        }
        guard !isChunked || length == nil else { throw .conflictingLengths }
    }

    /// RFC 9110, section 8.6: the same number several times, in a list or in fields, is that
    /// number.
    private mutating func readLength(_ value: Span<UInt8>) throws(ResponseRefusal) {
        var found = length
        var isList = false
        try value.forEachListElement { item throws(ResponseRefusal) in
            isList = true
            // So few digits that the number cannot overflow.
            guard item.count <= 18, let number = item.decimalValue else { throw .contentLength }
            guard found == nil || found == number else { throw .conflictingLengths }
            found = number
        }
        guard isList else { throw .contentLength }
        length = found
    }
}
