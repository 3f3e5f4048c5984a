// Whether an index says of a text what a walk through the text finds: for tests and fuzzing.

import JSON

/// Whether both say the same of a value and of what lies in it, `levels` containers deep.
func agrees(
    _ index: JSONIndex, _ value: JSONIndex.Value, with text: JSONText, levels: Int
) -> Bool {
    let own = index.text(of: value)
    guard index.kind(of: value) == text.kind, index.range(of: value) == text.range,
        own.kind == text.kind, own.bytes == text.bytes, index.bytes(of: value) == text.bytes
    else { return false }
    let parts = Array(index.parts(of: value))
    guard levels > 0 else { return parts.isEmpty }
    guard text.kind == .object else {
        return parts.count == text.elements.count
            && zip(parts, text.elements).allSatisfy {
                agrees(index, $0, with: $1, levels: levels - 1)
            }
    }
    // Of duplicate keys the last one counts.
    var last: [[UInt8]: Int] = [:]
    for (position, member) in text.members.enumerated() {
        last[member.key.decodedBytes] = position
    }
    let members = last.values.sorted().map { text.members[$0] }
    return index.memberCount(of: value) == text.members.count && parts.count == members.count
        && zip(parts, members).allSatisfy { part, member in
            index.key(of: part) == member.key.range
                && agrees(index, part, with: member.value, levels: levels - 1)
                && index.isNamed(part, "id") == member.isNamed("id")
        }
        && index.member("id", of: value).map { index.range(of: $0) } == text["id"]?.range
}
