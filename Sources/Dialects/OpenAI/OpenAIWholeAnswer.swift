// An upstream that was asked for a stream and answers with one JSON object all the same.

internal import Chat
internal import JSON

/// Collects a body that begins with `{`: no event stream does.
///
/// Some servers cannot stream, or not with tools, and send the `chat.completion` as it is; others
/// report a failure so, with status 200.
struct OpenAIWholeAnswer: Sendable {
    /// What has come of the object.
    private(set) var bytes: [UInt8] = []
    private let limit: Int
    private var nesting = JSONNesting()
    /// Whether the object is closed. What comes behind it is nobody's.
    var isClosed: Bool { nesting.isClosed }

    /// An object of more than `limit` bytes is refused.
    init(limit: Int) { self.limit = limit }

    /// Takes the next bytes of the body, in one pass over them, however small the reads are.
    mutating func take(_ part: Span<UInt8>) throws(DialectError) {
        for i in 0..<part.count where !isClosed {
            guard bytes.count < limit else { throw .frameTooLong(limitBytes: limit) }
            bytes.append(part[i])
            nesting.take(part[i])
        }
    }

    /// What a body may be.
    enum Beginning: Equatable {
        /// So far a byte order mark, white space, or nothing.
        case undecided
        case events
        case object(at: Int)
    }

    /// What a body that begins with `bytes` is.
    static func beginning(of bytes: Span<UInt8>) -> Beginning {
        let mark: InlineArray<3, UInt8> = [0xEF, 0xBB, 0xBF]
        var marked = 0
        while marked < 3, marked < bytes.count, bytes[marked] == mark[marked] { marked += 1 }
        if marked > 0, marked < 3 { return marked == bytes.count ? .undecided : .events }
        // Nobody sends much white space, and it has to be kept.
        let limit = 1024
        for i in marked..<min(bytes.count, limit) {
            switch bytes[i] {
            case 0x20, 0x0A, 0x0D, 0x09: continue
            case UInt8(ascii: "{"): return .object(at: i)
            default: return .events
            }
        }
        return bytes.count < limit ? .undecided : .events
    }

    /// The object as the one event of a stream: each `message` is a `delta`. What is no completion
    /// stays as it is, for whoever reads it to say what is wrong.
    func asEvent() -> [UInt8] {
        guard let answer = try? JSONText(bytes), answer["choices"]?.kind == .array else {
            return bytes
        }
        var event: [UInt8] = [UInt8(ascii: "{")]
        for member in uniqueMembers(of: answer) {
            if member.key.isString("choices") {
                event.append(#""choices":["#)
                for choice in member.value.elements { Self.append(choice, to: &event) }
                event.close(with: UInt8(ascii: "]"))
                event.append(UInt8(ascii: ","))
            } else if !member.key.isString("object") {
                event.append(member)
            }
        }
        event.close(with: UInt8(ascii: "}"))
        return event
    }

    private static func append(_ choice: JSONText, to event: inout [UInt8]) {
        event.append(UInt8(ascii: "{"))
        for member in uniqueMembers(of: choice) {
            if member.key.isString("message") {
                event.append(#""delta":"#)
                event.append(contentsOf: member.value.bytes)
                event.append(UInt8(ascii: ","))
            } else {
                event.append(member)
            }
        }
        event.close(with: UInt8(ascii: "}"))
        event.append(UInt8(ascii: ","))
    }
}

extension [UInt8] {
    /// Ends an object or array that has a comma after its last member.
    fileprivate mutating func close(with bracket: UInt8) {
        if last == UInt8(ascii: ",") { removeLast() }
        append(bracket)
    }
}
