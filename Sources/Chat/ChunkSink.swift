// Where normalised chunks go: one byte buffer that its owner sends and reuses.

internal import JSON

/// Collects chunks, framed for whoever reads them.
public struct ChunkSink: Sendable {
    /// How each chunk is wrapped.
    public enum Framing: Sendable, Equatable {
        /// `data: {json}\n\n`, and `data: [DONE]\n\n` at the end (WHATWG HTML, section 9.2.6).
        case serverSentEvents
        /// The JSON and `\n`; the end is not marked.
        case lines
        /// The same, with `[DONE]` as the last line: one line is one message of a WebSocket.
        case messages
    }

    /// The headroom, then everything written since the last `reset`.
    public var bytes: [UInt8]
    /// How chunks are wrapped; may change while the sink is empty.
    public var framing: Framing
    /// How many bytes are kept free in front, for the size line of an HTTP chunk.
    public let headroom: Int

    /// Makes an empty sink.
    public init(framing: Framing, headroom: Int) {
        self.framing = framing
        self.headroom = headroom
        bytes = Array(repeating: 0, count: headroom)
    }

    /// Whether nothing was written since the last `reset`.
    public var isEmpty: Bool { bytes.count == headroom }

    /// How much memory is kept, in bytes: tokens need little, a list of embeddings may have been
    /// megabytes.
    private static let keptCapacity = 1 << 20

    /// Forgets what was written, but keeps the memory unless it is much.
    public mutating func reset() {
        guard bytes.capacity <= Self.keptCapacity else {
            bytes = Array(repeating: 0, count: headroom)
            return
        }
        bytes.removeLast(bytes.count - headroom)
    }

    /// Starts an event. What is appended to `bytes` up to `endEvent` is its data, and must hold no
    /// line break.
    @inline(__always)
    public mutating func beginEvent() {
        if framing == .serverSentEvents { bytes.append("data: ") }
    }

    /// Completes the event begun last.
    @inline(__always)
    public mutating func endEvent() {
        bytes.append(0x0A)
        if framing == .serverSentEvents { bytes.append(0x0A) }
    }

    /// Appends a whole event that is made of three parts.
    public mutating func appendEvent(
        _ head: Span<UInt8>, _ text: Span<UInt8>, _ tail: Span<UInt8>
    ) {
        let isEvent = framing == .serverSentEvents
        // One check of the room instead of one for each part.
        let room = head.count &+ text.count &+ tail.count &+ 8
        bytes.append(addingCapacity: room) { output in
            if isEvent { output.append("data: ") }
            output.append(copying: head)
            output.append(copying: text)
            output.append(copying: tail)
            output.append(0x0A)
            if isEvent { output.append(0x0A) }
        }
    }

    /// Appends OpenAI's error object as an event of its own.
    public mutating func appendFailure(_ error: APIError) {
        beginEvent()
        error.appendJSON(to: &bytes)
        endEvent()
    }

    /// Says that the answer is complete, where the framing has a word for that.
    public mutating func appendDone() {
        switch framing {
        case .serverSentEvents: bytes.append("data: [DONE]\n\n")
        case .messages: bytes.append("[DONE]\n")
        case .lines: break
        }
    }
}

extension OutputSpan<UInt8> {
    @inline(__always)
    fileprivate mutating func append(_ literal: StaticString) {
        for i in 0..<literal.utf8CodeUnitCount {
            // Safe: `i` is below the count of the literal.
            append(unsafe literal.utf8Start[i])
        }
    }

    /// Appends bytes; there must be room for them.
    @inline(__always)
    fileprivate mutating func append(copying source: Span<UInt8>) {
        precondition(source.count <= freeCapacity)
        unsafe withUnsafeMutableBufferPointer { buffer, count in
            unsafe source.withUnsafeBytes { bytes in
                guard let target = buffer.baseAddress, let start = bytes.baseAddress else { return }
                // Safe: the room was checked above, and a span of other memory does not overlap.
                unsafe UnsafeMutableRawPointer(target + count).copyMemory(
                    from: start, byteCount: bytes.count)
                count += bytes.count
            }
        }
    }
}
