// Collects one line of a request, however the network cut it into reads.

import HTTPTypes

/// Finds the end of the line being read and refuses bytes that no line may hold, in the order they
/// arrive, so that the outcome does not depend on where reads end. A line that lies whole in one
/// read is not copied.
struct RequestLineCollector: Sendable {
    /// Where the line was found.
    enum Found {
        /// Not yet: all bytes were taken in.
        case nothing
        /// In the bytes just given, without its CRLF.
        case inPlace(Range<Int>)
        /// Pieced together from several reads; `take()` hands it out.
        case carried
    }

    /// How long the line may be without its CRLF, and what to say if it is longer.
    struct Room {
        let bytes: Int
        let excess: RequestRefusal
    }

    private var carry: [UInt8] = []
    private var sawCR = false

    /// Whether not one byte of a line has come.
    var isEmpty: Bool { carry.isEmpty && !sawCR }

    /// Reads on in `bytes` from `i`. Each byte is looked at once, and at most `room` bytes are
    /// kept.
    mutating func collect(
        _ bytes: Span<UInt8>, _ i: inout Int, room: Room
    ) throws(RequestRefusal) -> Found {
        let start = i
        if sawCR { return try finishCarried(bytes, &i) }
        let stop = min(bytes.count, start + max(0, room.bytes - carry.count))
        i = bytes.endOfFieldContent(from: start, to: stop)
        guard i < bytes.count else {
            carry.append(bytes: bytes.extracting(start..<i))
            return .nothing
        }
        let byte = bytes[i]
        // RFC 9112 section 2.2 lets recipients take a bare LF for a line's end; one that does,
        // behind one that does not, sees fields that the other took for part of a value.
        guard byte == UInt8(ascii: "\r") else {
            if byte.isHTTPFieldContent { throw room.excess }
            throw byte == UInt8(ascii: "\n") ? .bareLineEnd : .controlByte(byte)
        }
        let line = start..<i
        i += 1
        if i < bytes.count, carry.isEmpty {
            try expectLF(bytes, &i)
            return .inPlace(line)
        }
        carry.append(bytes: bytes.extracting(line))
        sawCR = true
        return try finishCarried(bytes, &i)
    }

    /// The line that `collect` said is carried; the collector is ready for the next one.
    mutating func take() -> [UInt8] {
        defer { carry = [] }
        return carry
    }

    private mutating func finishCarried(
        _ bytes: Span<UInt8>, _ i: inout Int
    ) throws(RequestRefusal) -> Found {
        guard i < bytes.count else { return .nothing }
        try expectLF(bytes, &i)
        sawCR = false
        return .carried
    }

    private func expectLF(_ bytes: Span<UInt8>, _ i: inout Int) throws(RequestRefusal) {
        guard bytes[i] == UInt8(ascii: "\n") else { throw .bareLineEnd }
        i += 1
    }
}
