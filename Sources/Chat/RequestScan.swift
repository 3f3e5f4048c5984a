// Reads the body of a chat request once, from its first byte to its last.

import JSON

/// What one pass over a body found: it checks the JSON, notes the members, and walks the messages.
struct RequestScan {
    private(set) var json: JSONText
    private(set) var members: [JSONText.Member] = []
    private(set) var names: [String] = []
    private(set) var hasDuplicates = false
    /// Whether any member is not of its type; it may be one that does not count.
    private(set) var hasFaultyField = false
    private(set) var messages = MessageScan()

    /// Up to so many names are compared each with each.
    static let fewMembers = 32

    /// Reads `body`.
    ///
    /// - Throws: first what is wrong with the JSON, wherever that is; then what keeps it from being a
    /// chat. An earlier duplicate of `messages` is never sent on, so its faults do not matter.
    init(_ body: [UInt8]) throws(APIError) {
        var walker = RequestWalker(checking: body, depthLimit: ChatRequest.depthLimit)
        let kind = walker.peekKind()
        let start = walker.offset
        json = JSONText(source: body, range: start..<start, kind: kind)
        var (fault, count, hasMessages) = (APIError?.none, 0, false)
        if kind == .object {
            members.reserveCapacity(8)
            names.reserveCapacity(8)
            walker.enterObject()
            while let key = walker.nextKey() {
                count += 1
                // The rest is only checked: views of a body full of one-byte fields would cost
                // twenty times its size.
                guard count <= ChatRequest.fieldLimit else {
                    walker.skip()
                    continue
                }
                let value = (kind: walker.peekKind(), start: walker.offset)
                let place = ChatRequest.fieldNames.place(ofKey: key, in: body.span)
                let name = place.map { ChatRequest.fieldNames.names[$0] } ?? walker.text(key)
                if name == "messages", value.kind != .null {
                    messages = MessageScan()
                    fault = messages.walk(&walker)
                    hasMessages = true
                } else {
                    if name == "messages" { (fault, hasMessages) = (nil, false) }
                    walker.skip()
                }
                let text = JSONText(
                    source: body, range: value.start..<walker.offset, kind: value.kind)
                if let place, !text.isNull, !hasFaultyField, walker.fault == nil {
                    hasFaultyField = !ChatRequest.fields[place].isFine(text)
                }
                note(
                    name,
                    JSONText.Member(
                        key: (key.lowerBound - 1)..<(key.upperBound + 1), value: text))
            }
        } else {
            walker.skip()
        }
        json = JSONText(source: body, range: start..<walker.offset, kind: kind)
        walker.finish()
        if let error = walker.fault { throw .invalidJSON(error) }
        guard kind == .object else {
            throw APIError(.invalidValue, "The request body must be a JSON object.")
        }
        guard count <= ChatRequest.fieldLimit else {
            throw APIError(
                .invalidValue,
                "The request body has more than \(ChatRequest.fieldLimit) fields.")
        }
        guard hasMessages else { throw .missingField("messages") }
        if let fault { throw fault }
    }

    private mutating func note(_ name: String, _ member: JSONText.Member) {
        if !hasDuplicates {
            hasDuplicates = names.count >= Self.fewMembers || names.contains(name)
        }
        names.append(name)
        members.append(member)
    }
}
