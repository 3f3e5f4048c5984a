// Small things the tests of this target share.

/// The bytes of a span as text; what is not UTF-8 becomes U+FFFD.
func text(_ span: Span<UInt8>) -> String {
    var bytes: [UInt8] = []
    for i in span.indices { bytes.append(span[i]) }
    return String(decoding: bytes, as: UTF8.self)
}

/// An error of a handler.
struct Unwanted: Error, Equatable {
    let text: String
}
