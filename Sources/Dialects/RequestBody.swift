// Collects the pieces of an upstream request's body.

import JSON

/// A growing body of own bytes and slices of the client's.
///
/// Slices that follow each other grow into one, so a caller may append the client's bytes in
/// whatever steps are handy.
struct RequestBody {
    private let client: [UInt8]
    private var parts: [BodyPart] = []

    /// Below this many bytes a slice is copied: a piece of its own costs more than the copy.
    private static let copyLimit = 1024

    /// Starts an empty body; slices will be of `client`.
    init(client: [UInt8]) {
        self.client = client
    }

    /// Appends a literal.
    mutating func append(_ literal: StaticString) {
        appendOwn { $0.append(literal) }
    }

    /// Appends bytes of our own.
    mutating func append(_ bytes: [UInt8]) {
        appendOwn { $0 += bytes }
    }

    /// Appends `text` as a JSON string.
    mutating func append(string text: String) {
        appendOwn { $0.appendJSONString(text) }
    }

    /// Appends a slice of the client's body.
    mutating func append(client range: Range<Int>) {
        guard !range.isEmpty else { return }
        if case .client(let before)? = parts.last, before.upperBound == range.lowerBound {
            parts[parts.count - 1] = .client(before.lowerBound..<range.upperBound)
        } else {
            parts.append(.client(range))
        }
    }

    /// The pieces, with short slices copied into their neighbours.
    func finish() -> [BodyPart] {
        var merged: [BodyPart] = []
        for part in parts {
            guard case .client(let range) = part, range.count >= Self.copyLimit else {
                merged.appendCopy(part, client)
                continue
            }
            merged.append(part)
        }
        return merged
    }

    private mutating func appendOwn(_ write: (inout [UInt8]) -> Void) {
        // Taken out of the array first, so that the bytes grow in place.
        var bytes: [UInt8] = []
        if case .bytes(let before)? = parts.last {
            parts.removeLast()
            bytes = before
        }
        write(&bytes)
        parts.append(.bytes(bytes))
    }
}

extension [BodyPart] {
    /// Appends what `part` says as own bytes.
    fileprivate mutating func appendCopy(_ part: BodyPart, _ client: [UInt8]) {
        var bytes: [UInt8] = []
        if case .bytes(let before)? = last {
            removeLast()
            bytes = before
        }
        switch part {
        case .bytes(let own): bytes += own
        case .client(let range): bytes += client[range]
        }
        append(.bytes(bytes))
    }
}
