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
        switch object["encoding_format"]?.string {
        case nil, "float": wantsBase64 = false
        case "base64": wantsBase64 = true
        default: throw .invalidValue("encoding_format", #"must be "float" or "base64""#)
        }
        if let dimensions = object["dimensions"]?.int, dimensions < 1 {
            throw .invalidValue("dimensions", "must be at least 1")
        }
    }

    /// The path of the first text that is empty, if one is. Such a text has no embedding at Ollama,
    /// which leaves its vector out; elsewhere it depends on the model.
    public var emptyText: String? {
        guard let value = object["input"] else { return nil }
        if value.kind == .string { return value.contents.isEmpty ? "input" : nil }
        guard case .texts = input else { return nil }
        var walker = RequestWalker(before: value)
        walker.enterArray()
        var index = 0
        while walker.nextElement() {
            // Nothing but the quotes.
            if walker.skip().count == 2 { return "input[\(index)]" }
            index += 1
        }
        return nil
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
