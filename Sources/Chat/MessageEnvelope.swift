// What a message on a WebSocket says beside the request: its id, or that another is to be stopped.

internal import JSON

/// What is said of a request, or to one that runs.
public struct MessageEnvelope: Equatable, Sendable {
    /// How long an id may be, in bytes of UTF-8: it comes back in every chunk.
    public static let idLimit = 128

    /// The id that the client tells the request by.
    public private(set) var id: String?
    /// Whether the request with this id is to be stopped; otherwise the message is a request.
    public private(set) var isCancel = false
    /// What is wrong with it.
    public private(set) var fault: APIError?

    /// Reads `body`. The `id` of a request is overwritten with spaces, which JSON allows anywhere
    /// and which moves no byte of what may be megabytes. A text that is no JSON object is left to
    /// whoever reads the request.
    public init(takenOutOf body: inout [UInt8]) {
        guard let found = Self.find(in: body) else { return }
        if let value = found.id {
            id = value.string.flatMap { (1...Self.idLimit).contains($0.utf8.count) ? $0 : nil }
            if id == nil {
                fault = .invalidValue("id", "must be a string of 1 to \(Self.idLimit) bytes")
                return
            }
        }
        if let type = found.type {
            isCancel = type.isString("cancel")
            if !isCancel {
                fault = .invalidValue(
                    "type", "must be \"cancel\"; a message with a request has none")
            }
            return
        }
        for member in found.idMembers { Self.blank(member, in: &body) }
    }

    private struct Members {
        var id: JSONText?
        var type: JSONText?
        /// Where members named `id` stand. Of several the last one counts.
        var idMembers: [Range<Int>] = []
    }

    private static func find(in body: [UInt8]) -> Members? {
        var found = Members()
        var scanner = JSONScanner(depthLimit: ChatRequest.depthLimit)
        do throws(JSONError) {
            guard try scanner.peekKind(body.span) == .object else { return nil }
            try scanner.enterObject(body.span)
            while let key = try scanner.nextMember(body.span) {
                let value = try scanner.skipValue(body.span)
                switch name(body, key) {
                case "id":
                    found.id = try JSONText(Array(body[value]))
                    // A key's range is that of the text between its quotes.
                    found.idMembers.append((key.lowerBound - 1)..<value.upperBound)
                case "type": found.type = try JSONText(Array(body[value]))
                default: break
                }
            }
            try scanner.finish(body.span)
            return found
        } catch {
            // Whoever reads the request says what is wrong with it.
            return nil
        }
    }

    /// A member's name, if it is a short one; ours are written without escapes by everybody, but
    /// need not be.
    private static func name(_ body: [UInt8], _ key: Range<Int>) -> String {
        guard key.count <= 24 else { return "" }
        var name: [UInt8] = []
        appendUnescaped(body.span, key, to: &name)
        return String(decoding: name, as: UTF8.self)
    }

    /// Overwrites a member, and the comma that divides it from the next or else the one before.
    ///
    /// Only the last member of an object looks back: a message may name its id very often, and all
    /// that was overwritten lies there.
    private static func blank(_ member: Range<Int>, in body: inout [UInt8]) {
        let (space, comma) = (UInt8(ascii: " "), UInt8(ascii: ","))
        for i in member { body[i] = space }
        if let next = body[member.upperBound...].firstIndex(where: { !isSpace($0) }),
            body[next] == comma
        {
            body[next] = space
        } else if let last = body[..<member.lowerBound].lastIndex(where: { !isSpace($0) }),
            body[last] == comma
        {
            body[last] = space
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x20, 0x09, 0x0A, 0x0D: true
        default: false
        }
    }
}
