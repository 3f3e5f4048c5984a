// Takes a client's WebSocket bytes apart into messages (RFC 6455), or says why it cannot.

/// Why a client's frames cannot be taken.
public enum WebSocketFailure: Error, Hashable, Sendable {
    /// Bits are set that only an extension gives a meaning; none was agreed on.
    case reservedBits
    /// The frame is of no kind there is.
    case unknownOpcode(UInt8)
    /// Clients must mask (section 5.1).
    case notMasked
    /// A control frame in fragments, or of more than 125 bytes.
    case malformedControl
    /// A length in more bytes than it needs, or beyond 63 bits (section 5.2).
    case malformedLength
    /// A continuation of nothing, or a new message within another.
    case misplacedFragment
    /// A close frame whose code may not be sent, or is cut.
    case malformedClose
    /// A binary message.
    case binary
    /// A text, or the reason of a close frame, is not UTF-8.
    case notUTF8
    /// A message is longer than `limitBytes`.
    case tooBig(limitBytes: Int)

    /// The code that the connection is closed with.
    public var closeCode: WebSocketCloseCode {
        switch self {
        case .reservedBits, .unknownOpcode, .notMasked, .malformedControl, .malformedLength,
            .misplacedFragment, .malformedClose:
            .protocolError
        case .binary: .unsupportedData
        case .notUTF8: .notUTF8
        case .tooBig: .tooBig
        }
    }

    /// The words beside the code.
    public var reason: String {
        switch self {
        case .reservedBits: "Reserved bits are set, and no extension was agreed on."
        case .unknownOpcode(let number): "There is no opcode \(number)."
        case .notMasked: "Frames of clients must be masked."
        case .malformedControl: "Control frames must be whole and have at most 125 bytes."
        case .malformedLength: "The length of a frame is not written in its shortest form."
        case .misplacedFragment: "A fragment is out of place."
        case .malformedClose: "The close frame is malformed."
        case .binary: "Requests are text messages."
        case .notUTF8: "The text is not UTF-8."
        case .tooBig(let limit): "A message may have \(limit) bytes."
        }
    }
}

/// A strict parser for the frames of one client.
///
/// It is pulled, like `HTTPRequestParser`: where a read ended makes no difference to what comes
/// out. It fails at the first byte that is wrong, and holds no more than one message.
public struct WebSocketParser: Sendable {
    /// What was found next.
    public enum Step: Equatable, Sendable {
        /// All bytes given were taken.
        case needMore
        /// A whole text message, unmasked and checked.
        case text([UInt8])
        /// To be answered with a pong of the same data.
        case ping([UInt8])
        /// A pong, asked for or not.
        case pong
        /// The client closes, with the code it gives. Every later step says the same.
        case close(code: UInt16?)
        /// The connection cannot be used any more. Every later step says the same.
        case failed(WebSocketFailure)
    }

    private enum State {
        /// Inside the 2 to 14 bytes before the payload.
        case head
        /// So many bytes of a payload are still to come.
        case payload(WebSocketOpcode, isLast: Bool, remaining: Int)
        /// Nothing more will come of this.
        case over(Step)
    }

    private let messageLimit: Int
    private var state = State.head
    private var head: [UInt8] = []
    private var mask: UInt32 = 0
    /// The message in assembly; `isInMessage` says whether there is one, for it may be empty yet.
    private var message: [UInt8] = []
    private var isInMessage = false
    private var checker = UTF8Checker()
    private var control: [UInt8] = []

    /// `messageLimit`: how many bytes a message may have, all its fragments together.
    public init(messageLimit: Int) {
        self.messageLimit = messageLimit
        head.reserveCapacity(14)
    }

    /// Bytes held of a message that is not complete.
    public var heldBytes: Int { message.count }

    /// The next thing in `bytes` from `i` on.
    public mutating func next(_ bytes: Span<UInt8>, _ i: inout Int) -> Step {
        do {
            while true {
                switch state {
                case .over(let step):
                    i = bytes.count
                    return step
                case .head:
                    guard i < bytes.count else { return .needMore }
                    head.append(bytes[i])
                    i += 1
                    try readHead()
                case .payload(let opcode, let isLast, let remaining):
                    let count = min(remaining, bytes.count - i)
                    try take(bytes.extracting(i..<(i + count)), of: opcode)
                    i += count
                    guard count == remaining else {
                        state = .payload(opcode, isLast: isLast, remaining: remaining - count)
                        return .needMore
                    }
                    state = .head
                    if let step = try frameEnded(opcode, isLast) { return step }
                }
            }
        } catch {
            message = []
            i = bytes.count
            state = .over(.failed(error))
            return .failed(error)
        }
    }

    // MARK: - Heads

    /// Looks at the head as far as it has come; what is wrong with its first bytes is told without
    /// waiting for the others.
    private mutating func readHead() throws(WebSocketFailure) {
        if head.count == 1 { return try checkFirstByte() }
        let isLast = head[0] & 0x80 != 0
        guard let opcode = WebSocketOpcode(rawValue: head[0] & 0x0F) else { return }
        let short = Int(head[1] & 0x7F)
        if head.count == 2 {
            guard head[1] & 0x80 != 0 else { throw .notMasked }
            if opcode.isControl, !isLast || short > 125 { throw .malformedControl }
        }
        let lengthBytes = short == 126 ? 2 : short == 127 ? 8 : 0
        guard head.count == 2 + lengthBytes + 4 else { return }
        let length = try length(short, head[2..<(2 + lengthBytes)])
        if !opcode.isControl, length > messageLimit - message.count {
            throw .tooBig(limitBytes: messageLimit)
        }
        // The first byte of the mask in the lowest eight bits, so that turning it right goes on to
        // the next.
        mask = head.suffix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
        if !opcode.isControl { isInMessage = true }
        head.removeAll(keepingCapacity: true)
        state = .payload(opcode, isLast: isLast, remaining: length)
    }

    private func checkFirstByte() throws(WebSocketFailure) {
        guard head[0] & 0x70 == 0 else { throw .reservedBits }
        let number = head[0] & 0x0F
        switch WebSocketOpcode(rawValue: number) {
        case .continuation: if !isInMessage { throw .misplacedFragment }
        case .text: if isInMessage { throw .misplacedFragment }
        case .binary: throw isInMessage ? .misplacedFragment : .binary
        case .close, .ping, .pong: if head[0] & 0x80 == 0 { throw .malformedControl }
        case nil: throw .unknownOpcode(number)
        }
    }

    private func length(
        _ short: Int, _ extended: ArraySlice<UInt8>
    ) throws(WebSocketFailure) -> Int {
        if extended.isEmpty { return short }
        let length = extended.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length >= (short == 126 ? 126 : 0x1_0000), length <= UInt64(Int.max) else {
            throw .malformedLength
        }
        return Int(length)
    }

    // MARK: - Payloads

    private mutating func take(
        _ part: Span<UInt8>, of opcode: WebSocketOpcode
    ) throws(WebSocketFailure) {
        guard !part.isEmpty else { return }
        guard !opcode.isControl else { return Self.unmask(part, &mask, into: &control) }
        let start = message.count
        Self.unmask(part, &mask, into: &message)
        var checker = checker
        guard checker.take(message.span.extracting(start...)) else { throw .notUTF8 }
        self.checker = checker
    }

    private static func unmask(
        _ part: Span<UInt8>, _ mask: inout UInt32, into bytes: inout [UInt8]
    ) {
        // Not even nothing may be added to an empty array: all empty ones share their memory.
        guard !part.isEmpty else { return }
        bytes.append(addingCapacity: part.count) { output in
            for i in part.indices {
                output.append(part[i] ^ UInt8(truncatingIfNeeded: mask))
                mask = mask >> 8 | mask << 24
            }
        }
    }

    private mutating func frameEnded(
        _ opcode: WebSocketOpcode, _ isLast: Bool
    ) throws(WebSocketFailure) -> Step? {
        switch opcode {
        case .continuation, .text, .binary:
            guard isLast else { return nil }
            guard checker.isBetweenCharacters else { throw .notUTF8 }
            isInMessage = false
            defer { message = [] }
            return .text(message)
        case .ping:
            defer { control = [] }
            return .ping(control)
        case .pong:
            control = []
            return .pong
        case .close:
            let step = Step.close(code: try closeCode())
            state = .over(step)
            return step
        }
    }

    private func closeCode() throws(WebSocketFailure) -> UInt16? {
        if control.isEmpty { return nil }
        guard control.count >= 2 else { throw .malformedClose }
        let code = UInt16(control[0]) << 8 | UInt16(control[1])
        guard WebSocketCloseCode.maySay(code) else { throw .malformedClose }
        var reason = UTF8Checker()
        guard reason.take(control.span.extracting(2...)), reason.isBetweenCharacters else {
            throw .notUTF8
        }
        return code
    }
}
