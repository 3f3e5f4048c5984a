// The body of a request that is no chat: an object that was checked once and is read in place.

public import JSON

/// What request writers read of a body, whatever it asks for.
public protocol CheckedRequest: Sendable {
    /// The whole body.
    var json: JSONText { get }
    /// The top-level members in the client's order, duplicates included.
    var members: [JSONText.Member] { get }
    /// The names of `members`, escapes undone.
    var names: [String] { get }
    /// Whether the member at `index` is the one that counts for its name.
    func isLast(_ index: Int) -> Bool
    /// The value of a top-level field; `nil` if it is absent or null.
    subscript(field: String) -> JSONText? { get }
}

extension CheckedRequest {
    /// The model asked for; `nil` leaves it to `default_model`.
    public var model: String? { self["model"]?.string }
}

/// A body known to be a JSON object whose fields have the right types.
struct RequestObject: Sendable {
    let json: JSONText
    let members: [JSONText.Member]
    let names: [String]
    private let lastIndex: [String: Int]

    /// Checks `body`: JSON, UTF-8, depth, the number of fields, and the type of each field in
    /// `fields`.
    init(reading body: [UInt8], _ fields: [ChatRequest.Field]) throws(APIError) {
        do {
            json = try JSONText(body, depthLimit: ChatRequest.depthLimit)
        } catch {
            throw .invalidJSON(error)
        }
        guard json.kind == .object else {
            throw APIError(.invalidValue, "The request body must be a JSON object.")
        }
        // Counted before they are gathered: views of a body full of one-byte fields would cost
        // twenty times its size.
        var walker = RequestWalker(before: json)
        walker.enterObject()
        var count = 0
        while walker.nextMember() != nil {
            count += 1
            guard count <= ChatRequest.fieldLimit else {
                throw APIError(
                    .invalidValue,
                    "The request body has more than \(ChatRequest.fieldLimit) fields.")
            }
            walker.skip()
        }
        members = json.members
        names = members.map { $0.key.string ?? "" }
        lastIndex = Dictionary(
            zip(names, names.indices), uniquingKeysWith: { _, later in later })
        for field in fields {
            guard let value = self[field.name] else { continue }
            try field.check(value)
        }
    }

    subscript(field: String) -> JSONText? {
        guard let index = lastIndex[field] else { return nil }
        let value = members[index].value
        return value.isNull ? nil : value
    }

    func isLast(_ index: Int) -> Bool { lastIndex[names[index]] == index }
}
