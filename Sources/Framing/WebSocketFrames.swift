// What WebSocket frames are made of, and how ours are written (RFC 6455, section 5).

/// What a frame is.
enum WebSocketOpcode: UInt8, Sendable {
    case continuation = 0
    case text = 1
    case binary = 2
    case close = 8
    case ping = 9
    case pong = 10

    /// Control frames are short, whole, and may come between the fragments of a message.
    var isControl: Bool { rawValue >= 8 }
}

/// Why a WebSocket is closed: the codes of section 7.4.1 that Sluice says.
public enum WebSocketCloseCode: UInt16, Sendable, CaseIterable {
    /// The purpose is fulfilled.
    case normal = 1000
    /// The server goes down, or nobody seems to be there.
    case goingAway = 1001
    /// The client breaks a rule of the protocol.
    case protocolError = 1002
    /// The client sent a message of a kind that nothing here takes: a binary one.
    case unsupportedData = 1003
    /// A text is not UTF-8.
    case notUTF8 = 1007
    /// A message takes too long to arrive.
    case policyViolation = 1008
    /// A message is longer than a request may be.
    case tooBig = 1009
    /// As many bytes of requests are held as may be (IANA's registry).
    case tryAgainLater = 1013

    /// Whether a close frame may carry `code` (section 7.4): those that are defined and may be
    /// sent, and those left to libraries and applications. 1004 is reserved; 1005, 1006 and 1015
    /// say what no frame has said.
    static func maySay(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}

/// Writes the frames of a server: never masked, never in fragments.
public enum WebSocketFrames {
    /// Hands on the lines that a `ChunkSink` has collected, without their ends: one is a message.
    public static func forEachLine(in lines: Span<UInt8>, _ write: (Span<UInt8>) -> Void) {
        var start = 0
        while start < lines.count {
            let end = firstIndex(of: .lineFeed, or: .lineFeed, in: lines, from: start)
            write(lines.extracting(start..<(end ?? lines.count)))
            start = (end ?? lines.count) + 1
        }
    }

    /// Appends a text message.
    public static func appendText(_ text: Span<UInt8>, to bytes: inout [UInt8]) {
        append(.text, text, to: &bytes)
    }

    /// Appends a ping without data.
    public static func appendPing(to bytes: inout [UInt8]) { append(.ping, Span(), to: &bytes) }

    /// Appends the answer to a ping.
    public static func appendPong(_ data: [UInt8], to bytes: inout [UInt8]) {
        append(.pong, data.span, to: &bytes)
    }

    /// Appends a close frame; without a code it says nothing. `reason` is cut after 123 bytes,
    /// which is what fits; ours are ASCII.
    public static func appendClose(
        _ code: UInt16?, _ reason: String = "", to bytes: inout [UInt8]
    ) {
        var payload: [UInt8] = []
        if let code {
            payload = [UInt8(code >> 8), UInt8(truncatingIfNeeded: code)]
            payload += reason.utf8.prefix(123)
        }
        append(.close, payload.span, to: &bytes)
    }

    private static func append(
        _ opcode: WebSocketOpcode, _ payload: Span<UInt8>, to bytes: inout [UInt8]
    ) {
        let count = payload.count
        bytes.append(0x80 | opcode.rawValue)
        switch count {
        case ..<126: bytes.append(UInt8(count))
        case ...0xFFFF:
            bytes.append(126)
            bytes.append(UInt8(count >> 8))
            bytes.append(UInt8(truncatingIfNeeded: count))
        default:
            bytes.append(127)
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: count >> shift))
            }
        }
        unsafe payload.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
    }
}
