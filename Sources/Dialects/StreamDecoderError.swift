// What can be wrong with an upstream's stream, and the words for it.

/// What is wrong with the bytes of an upstream: always its fault, never the client's.
public enum DialectError: Error, Sendable, Equatable {
    /// A frame is not JSON, or not the JSON this dialect promises. `excerpt` is at most 120 bytes.
    case malformedFrame(excerpt: String)
    /// A frame is longer than we are willing to hold.
    case frameTooLong(limitBytes: Int)
    /// The stream stopped before the answer was complete.
    case endedEarly
    /// Plain text stands inside the stream, as llama-server's router leaves it when a model process
    /// dies (wire notes of llama-server, section 7). `excerpt` is at most 120 bytes.
    case strayText(excerpt: String)
    /// The upstream reports a failure of its own: the JSON of its `error` value.
    case reported(json: [UInt8])
}

extension DialectError {
    static func malformed(_ frame: Span<UInt8>) -> DialectError {
        .malformedFrame(excerpt: excerpt(of: frame))
    }

    static func stray(_ text: Span<UInt8>) -> DialectError {
        .strayText(excerpt: excerpt(of: text))
    }

    /// The first 120 bytes, or less where a cut or broken character would make it more.
    private static func excerpt(of bytes: Span<UInt8>) -> String {
        let limit = 120
        var head: [UInt8] = []
        for i in 0..<min(limit, bytes.count) { head.append(bytes[i]) }
        var text = String(decoding: head, as: UTF8.self)
        while text.utf8.count > limit { text.removeLast() }
        return text
    }
}

/// Why an event or record cannot be passed on.
enum StreamRefusal: Error, Equatable {
    /// It is not what the dialect promises.
    case malformed
    /// It says that the upstream failed: the JSON of the error.
    case reported([UInt8])

    func asDialectError(_ frame: Span<UInt8>) -> DialectError {
        switch self {
        case .malformed: .malformed(frame)
        case .reported(let json): .reported(json: json)
        }
    }
}
