// An upstream's answer that is one document.

internal import JSON

/// Collects a whole body, of at most so many bytes, and reads it.
struct DocumentBody: Sendable {
    private(set) var bytes: [UInt8] = []
    private let limitBytes: Int

    init(limitBytes: Int) { self.limitBytes = limitBytes }

    /// Takes the next bytes of the body.
    mutating func take(_ part: Span<UInt8>) throws(DialectError) {
        guard bytes.count + part.count <= limitBytes else {
            throw .frameTooLong(limitBytes: limitBytes)
        }
        bytes.append(part)
    }

    /// The document, now that no more will come.
    func read() throws(DialectError) -> JSONText {
        do {
            return try JSONText(bytes)
        } catch .endedEarly {
            throw .endedEarly
        } catch {
            throw .malformed(bytes.span)
        }
    }

    /// Lets the bytes go.
    mutating func release() { bytes = [] }
}
