// Changes some members of a JSON object and leaves every other byte where it is.

import JSON

/// The client's body with a list of changes to its top-level members.
struct OpenAIRequestSplice {
    /// A replacement inside a value the client wrote; an empty range inserts.
    struct Edit {
        let range: Range<Int>
        let replacement: [UInt8]
    }

    private enum Value {
        case clients
        /// In ascending order, not touching each other.
        case edited([Edit])
        case made([BodyPart])
    }

    private struct Item {
        let name: String
        /// The client's member this is or replaces.
        let member: Int?
        var value: Value
    }

    private let body: [UInt8]
    private let members: [JSONText.Member]
    private var items: [Item]

    /// Starts from the fields left after the route's rules: what is not in `parameters` is taken
    /// out.
    init(_ body: [UInt8], _ members: [JSONText.Member], _ parameters: RequestParameters) {
        self.body = body
        self.members = members
        items = []
        // With room for what is set besides.
        items.reserveCapacity(parameters.entries.count + 4)
        for entry in parameters.entries {
            items.append(
                Item(
                    name: entry.name, member: entry.member,
                    value: entry.isClients ? .clients : .made([.bytes(Array(entry.value.bytes))])))
        }
    }

    /// Gives `name` a new value, where it stands or at the end.
    mutating func set(_ name: String, _ value: [BodyPart]) {
        if let index = items.firstIndex(where: { $0.name == name }) {
            items[index].value = .made(value)
        } else {
            items.append(Item(name: name, member: nil, value: .made(value)))
        }
    }

    /// Gives `name` a new value, where it stands or at the end.
    mutating func set(_ name: String, _ value: String) {
        set(name, [.bytes(Array(value.utf8))])
    }

    /// Changes parts of the client's value of `name`.
    mutating func edit(_ name: String, _ edits: [Edit]) {
        guard !edits.isEmpty, let index = items.firstIndex(where: { $0.name == name }) else {
            return
        }
        items[index].value = .edited(edits)
    }

    /// Takes `name` out.
    mutating func remove(_ name: String) {
        items.removeAll { $0.name == name }
    }

    /// The changed object.
    ///
    /// Between two members that were neighbours before, the client's own comma and white space
    /// stay; so an object without changes comes out as one slice.
    func finish() -> [BodyPart] {
        var output = RequestBody(client: body)
        // A request has `messages`, so there is a first and a last member.
        guard let first = members.first, let last = members.last else { return [.bytes(body)] }
        output.append(client: 0..<first.key.range.lowerBound)
        var previous: Int?
        for (position, item) in items.enumerated() {
            if let member = item.member {
                if let previous, previous + 1 == member {
                    output.append(
                        client: members[previous].value.range
                            .upperBound..<members[member].key.range.lowerBound)
                } else if position > 0 {
                    output.append(",")
                }
                appendMember(member, item.value, to: &output)
            } else {
                if position > 0 { output.append(",") }
                output.append(string: item.name)
                output.append(":")
                append(item.value, at: 0..<0, to: &output)
            }
            previous = item.member
        }
        output.append(client: last.value.range.upperBound..<body.count)
        return output.finish()
    }

    private func appendMember(_ index: Int, _ value: Value, to output: inout RequestBody) {
        let member = members[index]
        output.append(client: member.key.range.lowerBound..<member.value.range.lowerBound)
        append(value, at: member.value.range, to: &output)
    }

    private func append(_ value: Value, at range: Range<Int>, to output: inout RequestBody) {
        switch value {
        case .clients: output.append(client: range)
        case .edited(let edits):
            var start = range.lowerBound
            for edit in edits {
                output.append(client: start..<edit.range.lowerBound)
                output.append(edit.replacement)
                start = edit.range.upperBound
            }
            output.append(client: start..<range.upperBound)
        case .made(let parts):
            for part in parts {
                switch part {
                case .bytes(let bytes): output.append(bytes)
                case .client(let range): output.append(client: range)
                }
            }
        }
    }
}
