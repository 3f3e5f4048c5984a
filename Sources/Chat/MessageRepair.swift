// What llama-server could not read in messages although OpenAI's API allows it, and what says the
// same there.

import JSON

/// A change to the client's messages for a llama-server. Where it reads a value as text, null is a
/// fault there instead of an absence; of calls it wants every member (wire notes, section 4).
public struct MessageRepair: Sendable, Equatable {
    /// Where in the body something gives way; empty where something is put in.
    public let range: Range<Int>
    /// What stands there instead.
    public let text: [UInt8]

    init(_ range: Range<Int>, _ text: [UInt8]) {
        self.range = range
        self.text = text
    }

    /// A text that is null: the same as none.
    static func nullText(_ range: Range<Int>) -> MessageRepair { MessageRepair(range, emptyText) }

    /// A call's arguments that are missing (then `range` is empty), null, or blank.
    static func arguments(_ range: Range<Int>) -> MessageRepair {
        MessageRepair(range, range.isEmpty ? argumentsMember : emptyArguments)
    }

    /// A call's type that is missing (then `range` is empty) or null.
    static func callType(_ range: Range<Int>) -> MessageRepair {
        MessageRepair(range, range.isEmpty ? typeMember : typeName)
    }

    /// A part with the words of a refusal, as a part with text. The words stay where they are.
    static func refusalPart(_ part: Range<Int>, words: Range<Int>) -> [MessageRepair] {
        [
            MessageRepair(part.lowerBound..<words.lowerBound, textPart),
            MessageRepair(words.upperBound..<part.upperBound, end),
        ]
    }

    /// An image's address that stands alone, in the object llama-server looks for it in.
    static func imageURL(_ range: Range<Int>) -> [MessageRepair] {
        [
            MessageRepair(range.lowerBound..<range.lowerBound, urlObject),
            MessageRepair(range.upperBound..<range.upperBound, end),
        ]
    }

    // Made once: a long history may have thousands.
    private static let emptyText = Array(#""""#.utf8)
    private static let emptyArguments = Array(#""{}""#.utf8)
    private static let argumentsMember = Array(#""arguments":"{}","#.utf8)
    private static let typeName = Array(#""function""#.utf8)
    private static let typeMember = Array(#""type":"function","#.utf8)
    private static let textPart = Array(#"{"type":"text","text":"#.utf8)
    private static let urlObject = Array(#"{"url":"#.utf8)
    private static let end = Array("}".utf8)
}

/// What one message says in those members that decide how it can be read.
struct MessageTurn {
    /// Its role, if that is a text, and where it stands.
    var role: (name: MessageRole?, range: Range<Int>)?
    private var contentKind: JSONKind?
    private var nullContent: Range<Int>?
    /// The words of a refusal.
    private var refusal: Range<Int>?
    private var hasCalls = false
    private var nullCalls: Range<Int>?
    /// A call of the time before tools.
    private var legacyCall: Range<Int>?

    /// Takes note of a member whose value stands at `range`.
    mutating func note(_ field: MessageField?, _ kind: JSONKind, _ range: Range<Int>) {
        switch field {
        case .content:
            contentKind = kind
            nullContent = kind == .null ? range : nil
        case .refusal: refusal = kind == .string && range.count > 2 ? range : nil
        case .toolCalls:
            hasCalls = kind == .array
            nullCalls = hasCalls ? nil : range
        case .functionCall: legacyCall = kind == .object ? range : nil
        case .audio, .name, .reasoningContent, .role, .toolCallID, nil: break
        }
    }

    /// What llama-server needs to read the message, which begins at `start` of `source`.
    func repairs(in source: [UInt8], at start: Int) -> [MessageRepair] {
        var repairs: [MessageRepair] = []
        var members: [UInt8] = []
        func say(_ name: String, _ value: [UInt8], insteadOf null: Range<Int>?) {
            if let null { return repairs.append(MessageRepair(null, value)) }
            members += Array("\"\(name)\":".utf8) + value + [UInt8(ascii: ",")]
        }
        if let refusal, contentKind == nil || contentKind == .null {
            // A refused turn has its words there instead.
            say("content", Array(source[refusal]), insteadOf: nullContent)
        } else if contentKind == nil, role?.name == .assistant, !hasCalls {
            say("content", Array("null".utf8), insteadOf: nil)
        }
        if let legacyCall, !hasCalls {
            say("tool_calls", Self.calls(from: legacyCall, in: source), insteadOf: nullCalls)
        }
        if let role, role.name == .function {
            repairs.append(MessageRepair(role.range, Array(#""tool""#.utf8)))
        }
        if !members.isEmpty {
            repairs.append(MessageRepair((start + 1)..<(start + 1), members))
        }
        return repairs
    }

    /// `[{"type":"function","function":…}]`, with the arguments that llama-server insists on.
    private static func calls(from legacy: Range<Int>, in source: [UInt8]) -> [UInt8] {
        var walker = RequestWalker(in: source, at: legacy.lowerBound)
        let function = MessageScan.walkFunction(&walker)
        let name = function.name.map { Array(source[$0]) } ?? Array(#""""#.utf8)
        let isBlank = function.arguments.map { walker.isBlank($0) } ?? true
        let arguments =
            isBlank ? Array(#""{}""#.utf8) : function.arguments.map { Array(source[$0]) } ?? []
        return Array(#"[{"type":"function","function":{"name":"#.utf8) + name
            + Array(#","arguments":"#.utf8) + arguments + Array("}}]".utf8)
    }
}
