// One field line of an upstream's answer.

import HTTPTypes

/// A field line, as ranges of the head's bytes (RFC 9112, section 5).
struct ResponseLine: Sendable, Equatable {
    let name: Range<Int>
    /// Without white space around it.
    let value: Range<Int>
    /// Where the line ends: at the end of the bytes, or at one that no field may hold.
    let end: Int

    /// Reads the line that begins at `start`.
    init(_ bytes: Span<UInt8>, from start: Int) throws(ResponseRefusal) {
        // Section 5.2 lets us choose between refusing and mending a folded line.
        guard !bytes[start].isHTTPWhitespace else { throw .foldedField }
        var colon = start
        while colon < bytes.count, bytes[colon].isHTTPToken { colon += 1 }
        guard colon > start, colon < bytes.count, bytes[colon] == UInt8(ascii: ":") else {
            throw .fieldName
        }
        name = start..<colon
        end = bytes.endOfFieldContent(from: colon + 1, to: bytes.count)
        value = bytes.trimmingHTTPWhitespace((colon + 1)..<end)
    }

    /// Whether this is the field `name`, given in lower case.
    func isNamed(_ name: StaticString, in bytes: Span<UInt8>) -> Bool {
        bytes.extracting(self.name).equalsIgnoringCase(name)
    }
}
