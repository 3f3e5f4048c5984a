// What a completion continues and an embedding stands for: text or tokens, one or several.

import JSON

/// What `prompt` and `input` may be: text, texts, tokens, or lists of tokens (OpenAI API
/// reference), and what only llama-server takes.
public enum RequestInput: Sendable, Equatable {
    /// One text.
    case text
    /// So many texts.
    case texts(Int)
    /// One list of tokens.
    case tokens
    /// So many lists of tokens.
    case tokenLists(Int)
    /// So many inputs in llama-server's own forms: text and tokens in one list, inputs of several
    /// kinds, objects (`prompt_string` with `multimodal_data`, or `content`).
    case mixed(Int)

    /// How many answers are asked for.
    public var count: Int {
        switch self {
        case .text, .tokens: 1
        case .texts(let count), .tokenLists(let count), .mixed(let count): count
        }
    }

    /// Reads the field `name`.
    ///
    /// - Throws: `invalid_value`, with the element that is wrong in `param`.
    init(_ value: JSONText, _ name: String) throws(APIError) {
        switch value.kind {
        case .string: self = .text
        case .object: self = .mixed(1)
        case .array: self = try Self.list(value, name)
        default:
            throw .invalidValue(name, "must be a string, or an array of strings or tokens")
        }
    }

    private static func list(_ value: JSONText, _ name: String) throws(APIError) -> RequestInput {
        // Walked without views: a list of tokens may be long.
        var walker = RequestWalker(before: value)
        walker.enterArray()
        var kinds: Set<JSONKind> = []
        var isPlain = true
        var count = 0
        while walker.nextElement() {
            let path = "\(name)[\(count)]"
            let kind = walker.peekKind()
            kinds.insert(kind)
            let range = walker.skip()
            switch kind {
            case .string, .object: break
            case .number: try checkToken(value.source[range], path)
            case .array: isPlain = try isOnlyTokens(value, range, path) && isPlain
            default: throw .invalidValue(path, "must be text, a token, or a list of them")
            }
            count += 1
        }
        if kinds == [.string] { return .texts(count) }
        if kinds == [.number] { return .tokens }
        if kinds == [.array], isPlain { return .tokenLists(count) }
        guard count > 0 else { throw .invalidValue(name, "must not be an empty array") }
        // With a token in it, llama-server takes the whole array for one input.
        guard kinds.contains(.number) else { return .mixed(count) }
        guard kinds.isSubset(of: [.number, .string]) else {
            throw .invalidValue(name, "must not have lists or objects beside tokens")
        }
        return .mixed(1)
    }

    /// Checks a list inside the list; whether it has no text in it.
    private static func isOnlyTokens(
        _ value: JSONText, _ range: Range<Int>, _ path: String
    ) throws(APIError) -> Bool {
        var walker = RequestWalker(in: value.source, at: range.lowerBound)
        walker.enterArray()
        var isPlain = true
        var count = 0
        while walker.nextElement() {
            if walker.peekKind() == .string {
                isPlain = false
                walker.skip()
            } else {
                try checkToken(value.source[walker.skip()], "\(path)[\(count)]")
            }
            count += 1
        }
        guard count > 0 else { throw .invalidValue(path, "must not be an empty array") }
        return isPlain
    }

    private static func checkToken(_ text: ArraySlice<UInt8>, _ path: String) throws(APIError) {
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        guard text.allSatisfy(digits.contains) else {
            throw .invalidValue(path, "must be a token: an integer that is not negative")
        }
    }
}
