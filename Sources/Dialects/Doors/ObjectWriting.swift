// Writes a JSON object again with some of its members changed, and those that are missing filled in.

internal import JSON

/// A member to write: its name, and its value as JSON.
typealias FilledMember = (name: StaticString, json: [UInt8])

extension [UInt8] {
    /// Appends `object` with the values of `set` instead of its own, and with those of `fill` where
    /// it has none or null. Line separators leave escaped; see `appendEscapingLineSeparators`.
    mutating func append(
        _ object: [JSONText.Member], set: [FilledMember] = [], fill: [FilledMember] = []
    ) {
        append(UInt8(ascii: "{"))
        var isFirst = true
        func isNamed(_ member: JSONText.Member, _ name: StaticString) -> Bool {
            member.isNamed(name.description)
        }
        for member in object {
            if set.contains(where: { isNamed(member, $0.name) }) { continue }
            if member.value.isNull, fill.contains(where: { isNamed(member, $0.name) }) { continue }
            if !isFirst { append(UInt8(ascii: ",")) }
            isFirst = false
            appendEscapingLineSeparators(member.key.source.span.extracting(member.key.range))
            append(UInt8(ascii: ":"))
            appendEscapingLineSeparators(member.value.source.span.extracting(member.value.range))
        }
        for filled in set { append(filled, &isFirst) }
        for filled in fill where object.value(filled.name.description) == nil {
            let isSet = set.contains { $0.name.description == filled.name.description }
            if !isSet { append(filled, &isFirst) }
        }
        append(UInt8(ascii: "}"))
    }

    private mutating func append(_ member: FilledMember, _ isFirst: inout Bool) {
        if !isFirst { append(UInt8(ascii: ",")) }
        isFirst = false
        append(UInt8(ascii: "\""))
        append(member.name)
        append(#"":"#)
        self += member.json
    }

    /// `text` as a JSON string.
    static func json(string text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendJSONString(text)
        return bytes
    }

    /// `number` as JSON.
    static func json(_ number: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(decimal: number)
        return bytes
    }

    /// `literal`, which is JSON.
    static func json(_ literal: StaticString) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(literal)
        return bytes
    }

    /// `value`'s JSON, with line separators escaped.
    static func json(_ value: JSONText) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendEscapingLineSeparators(value.source.span.extracting(value.range))
        return bytes
    }
}
