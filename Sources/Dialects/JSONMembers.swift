// The members of objects in upstreams' answers: of duplicates only the last counts.

internal import JSON

extension [JSONText.Member] {
    /// The value of the member `name`, unless it is null.
    func value(_ name: String) -> JSONText? {
        guard let value = last(where: { $0.isNamed(name) })?.value, !value.isNull else {
            return nil
        }
        return value
    }
}

/// The members of an object, of duplicates only the last.
func uniqueMembers(of object: JSONText) -> [JSONText.Member] {
    let members = object.members
    if members.count <= 16, areDifferent(members) { return members }
    // Keys are compared by their bytes, once escapes are undone; a set keeps an event of many
    // members from costing their square.
    var seen: Set<[UInt8]> = []
    let unique = members.reversed().filter { seen.insert($0.key.decodedBytes).inserted }
    return unique.reversed()
}

/// Whether no two members have the same key. Says no as well where an escape would have to be
/// undone to tell.
private func areDifferent(_ members: [JSONText.Member]) -> Bool {
    for (position, member) in members.enumerated() {
        let key = member.key
        let bytes = key.source.span.extracting(key.range)
        for i in 0..<bytes.count where bytes[i] == UInt8(ascii: "\\") { return false }
        for other in members[..<position] {
            let range = other.key.range
            if range.count == bytes.count, stands(bytes, in: key.source.span, at: range.lowerBound)
            {
                return false
            }
        }
    }
    return true
}

extension [UInt8] {
    /// Appends a member as it stands, with a comma after it.
    mutating func append(_ member: JSONText.Member) {
        appendEscapingLineSeparators(member.key.bytes.span)
        append(UInt8(ascii: ":"))
        appendEscapingLineSeparators(member.value.bytes.span)
        append(UInt8(ascii: ","))
    }
}
