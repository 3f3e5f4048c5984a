// A request for embeddings as the client wrote it: checked once, then read in place.

public import JSON

/// The body of `POST /v1/embeddings`, known to be well formed and of the right types.
///
/// Values mean what OpenAI's reference says ("Create embeddings"); `null` means absent, and of
/// duplicate keys the last one counts.
public struct EmbeddingRequest: CheckedRequest {
    private let object: RequestObject
    /// What is to be embedded.
    public let input: RequestInput
    /// Whether vectors are asked for as base64 of their bytes, which official SDKs do unasked.
    public let wantsBase64: Bool

    /// Checks `body`: JSON, UTF-8, depth, and the type of every field OpenAI knows.
    ///
    /// - Throws: `invalid_json`, `missing_field` or `invalid_value`, the latter two with `param`.
    public init(reading body: [UInt8]) throws(APIError) {
        object = try RequestObject(reading: body, Self.fields)
        guard let value = object["input"] else { throw .missingField("input") }
        input = try RequestInput(value, "input")
        try Self.refuseEmptyTexts(value)
        switch object["encoding_format"]?.string {
        case nil, "float": wantsBase64 = false
        case "base64": wantsBase64 = true
        default: throw .invalidValue("encoding_format", #"must be "float" or "base64""#)
        }
        if let dimensions = object["dimensions"]?.int, dimensions < 1 {
            throw .invalidValue("dimensions", "must be at least 1")
        }
    }

    /// An empty text has no embedding: llama-server refuses it, Ollama leaves its vector out.
    private static func refuseEmptyTexts(_ value: JSONText) throws(APIError) {
        if value.kind == .string, value.contents.isEmpty {
            throw .invalidValue("input", "must not be empty")
        }
        guard value.kind == .array else { return }
        var walker = RequestWalker(before: value)
        walker.enterArray()
        var index = 0
        while walker.nextElement(), walker.peekKind() == .string {
            guard walker.skip().count > 2 else {
                throw .invalidValue("input[\(index)]", "must not be empty")
            }
            index += 1
        }
    }

    /// The names of all fields whose types are checked.
    public static var knownFields: [String] { fields.map(\.name) + ["input"] }

    private static let fields: [ChatRequest.Field] = [
        .init("dimensions", .integer), .init("encoding_format", .string), .init("model", .string),
        .init("user", .string),
    ]
}

// The body as a request writer reads it.
extension EmbeddingRequest {
    /// The whole body.
    public var json: JSONText { object.json }
    /// The top-level members in the client's order, duplicates included.
    public var members: [JSONText.Member] { object.members }
    /// The names of `members`, escapes undone.
    public var names: [String] { object.names }
    /// Whether the member at `index` is the one that counts for its name.
    public func isLast(_ index: Int) -> Bool { object.isLast(index) }
    /// The value of a top-level field; `nil` if it is absent or null.
    public subscript(field: String) -> JSONText? { object[field] }
}
