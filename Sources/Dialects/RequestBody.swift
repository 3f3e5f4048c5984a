// Collects the pieces of an upstream request's body.

import JSON

/// A growing body of own bytes and slices of the client's.
///
/// Slices that follow each other grow into one, so a caller may append the client's bytes in
/// whatever steps are handy.
struct RequestBody {
    private let client: [UInt8]
    /// The pieces that grow no more.
    private var parts: [BodyPart] = []
    /// The piece of our own bytes that grows.
    private var bytes: [UInt8] = []
    /// The slice that grows, behind `bytes`.
    private var slice = 0..<0

    /// Below this many bytes a slice is copied: a piece of its own costs more than the copy.
    private static let copyLimit = 1024

    /// Starts an empty body; slices will be of `client`.
    init(client: [UInt8]) {
        self.client = client
        bytes.reserveCapacity(min(client.count, Self.copyLimit) + 128)
    }

    /// Appends a literal.
    mutating func append(_ literal: StaticString) {
        closeSlice()
        bytes.append(literal)
    }

    /// Appends bytes of our own.
    mutating func append(_ own: [UInt8]) {
        closeSlice()
        bytes += own
    }

    /// Appends `text` as a JSON string.
    mutating func append(string text: String) {
        closeSlice()
        bytes.appendJSONString(text)
    }

    /// Appends a slice of the client's body.
    mutating func append(client range: Range<Int>) {
        guard !range.isEmpty else { return }
        if slice.upperBound != range.lowerBound || slice.isEmpty {
            closeSlice()
            slice = range
        } else {
            slice = slice.lowerBound..<range.upperBound
        }
    }

    /// The pieces, with short slices copied into their neighbours.
    consuming func finish() -> [BodyPart] {
        closeSlice()
        closeBytes()
        return parts
    }

    private mutating func closeSlice() {
        guard !slice.isEmpty else { return }
        if slice.count < Self.copyLimit {
            bytes += client[slice]
        } else {
            closeBytes()
            parts.append(.client(slice))
        }
        slice = 0..<0
    }

    private mutating func closeBytes() {
        guard !bytes.isEmpty else { return }
        parts.append(.bytes(bytes))
        bytes = []
    }
}
