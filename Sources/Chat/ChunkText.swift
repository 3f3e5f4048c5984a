// Escaped JSON text in transit: characters cut by the upstream are joined, long texts are cut.

internal import JSON

/// Text that cannot be what the upstream meant: bytes in it belong to no character.
package struct MalformedText: Error {}

/// Holds back the beginning of a character whose rest has not come, per choice and field.
///
/// An upstream that sends each token as it falls may cut a character in two: its UTF-8 bytes, or
/// the two escapes of a surrogate pair. Such bytes reach this type as `\udc80` … `\udcff`, an
/// escape for each (see `repairingCutCharacters`), so that the event around them stays valid JSON.
package struct TextCarry: Sendable {
    /// Escapes that wait for more: one high surrogate, or bytes of an unfinished character.
    private var held: [UInt8] = []

    package init() {}

    /// Whether nothing waits for its rest.
    package var isEmpty: Bool { held.isEmpty }

    /// The text that can leave now: what was held, then `text` (escaped JSON), less what must wait.
    package mutating func join(_ text: [UInt8], isRepaired: Bool) throws(MalformedText) -> [UInt8] {
        guard isRepaired || !held.isEmpty || endsWithHighSurrogate(text.span) else { return text }
        let heldCount = held.count
        let all = held + text
        held = []
        var joined: [UInt8] = []
        var i = 0
        while i < all.count {
            guard let unit = escapedUnit(all.span, i) else {
                let length = min(unitLength(all.span, i), all.count - i)
                joined.append(all.span, i..<(i + length))
                i += length
                continue
            }
            switch unit {
            case 0xD800..<0xDC00: takeHighSurrogate(all, &i, i < heldCount, &joined)
            case 0xDC80...0xDCFF: try takeStrayBytes(all, &i, isRepaired, &joined)
            default:
                joined.append(all.span, i..<(i + 6))
                i += 6
            }
        }
        // Joined bytes may be one of the separators that must not leave raw.
        var escaped: [UInt8] = []
        escaped.appendEscapingLineSeparators(joined.span)
        return escaped
    }

    /// What stands for a character that will never be completed: U+FFFD, or nothing if none waits.
    package mutating func flush() -> [UInt8] {
        defer { held = [] }
        return held.isEmpty ? [] : replacementCharacter
    }

    private mutating func takeHighSurrogate(
        _ all: [UInt8], _ i: inout Int, _ wasHeld: Bool, _ joined: inout [UInt8]
    ) {
        defer { i += 6 }
        if let low = escapedUnit(all.span, i + 6), 0xDC00..<0xE000 ~= low {
            joined.append(all.span, i..<(i + 12))
            i += 6
        } else if i + 6 == all.count {
            held = Array(all[i...])
        } else if wasHeld {
            joined += replacementCharacter
        } else {
            joined.append(all.span, i..<(i + 6))
        }
    }

    private mutating func takeStrayBytes(
        _ all: [UInt8], _ i: inout Int, _ isRepaired: Bool, _ joined: inout [UInt8]
    ) throws(MalformedText) {
        let start = i
        var stray: [UInt8] = []
        while let unit = escapedUnit(all.span, i), 0xDC80...0xDCFF ~= unit {
            stray.append(UInt8(unit - 0xDC00))
            i += 6
        }
        var position = 0
        while position < stray.count {
            let length = characterLength(stray.span, position)
            if length > 0 {
                joined.append(stray.span, position..<(position + length))
                position += length
            } else if length < 0, i == all.count {
                held = Array(all[(start + position * 6)...])
                return
            } else if length < 0 {
                joined += replacementCharacter
                return
            } else {
                // Without a repair these are escapes that the upstream itself wrote.
                if isRepaired { throw MalformedText() }
                joined += replacementCharacter
                position += 1
            }
        }
    }
}

private let replacementCharacter: [UInt8] = [0xEF, 0xBF, 0xBD]

/// Whether escaped text ends with the first half of a surrogate pair.
package func endsWithHighSurrogate(_ text: Span<UInt8>) -> Bool {
    let start = text.count - 6
    guard start >= 0, let unit = escapedUnit(text, start), 0xD800..<0xDC00 ~= unit else {
        return false
    }
    // `\\ud83e` is a backslash and five letters: only an odd run of backslashes is an escape.
    var backslashes = 0
    while start - backslashes >= 0, text[start - backslashes] == UInt8(ascii: "\\") {
        backslashes += 1
    }
    return backslashes % 2 == 1
}

// MARK: - Repair

/// How many escapes of stray bytes `text` holds: see `repairingCutCharacters`.
package func strayByteCount(_ text: Span<UInt8>) -> Int {
    var count = 0
    var i = 0
    while i < text.count {
        if let unit = escapedUnit(text, i), 0xDC80...0xDCFF ~= unit { count += 1 }
        i += unitLength(text, i)
    }
    return count
}

/// Makes valid JSON of an event whose strings begin or end inside a character: each byte that lacks
/// its neighbours becomes an escape (`\udc80` … `\udcff`).
///
/// `nil` if bytes elsewhere are not UTF-8. `count` says how many bytes were replaced.
package func repairingCutCharacters(_ event: Span<UInt8>) -> (bytes: [UInt8], count: Int)? {
    var repaired: [UInt8] = []
    var count = 0
    var isInString = false
    // At the start of a string, and right after a byte that was replaced there.
    var mayBeRest = false
    var i = 0
    while i < event.count {
        let byte = event[i]
        let length = byte < 0x80 ? unitLength(event, i) : characterLength(event, i)
        if length <= 0 {
            let isRest = mayBeRest && 0x80...0xBF ~= byte
            guard isInString, isRest || isCutAtQuote(event, i) else { return nil }
            repaired.appendStray(byte)
            count += 1
            i += 1
            mayBeRest = true
            continue
        }
        if byte == UInt8(ascii: "\"") { isInString.toggle() }
        mayBeRest = byte == UInt8(ascii: "\"") && isInString
        let end = min(i + length, event.count)
        repaired.append(event, i..<end)
        i = end
    }
    return (repaired, count)
}

/// Whether the bytes from `start` to the closing quote begin a character without ending it.
private func isCutAtQuote(_ event: Span<UInt8>, _ start: Int) -> Bool {
    var end = start
    while end < event.count, end - start < 4, event[end] >= 0x80 { end += 1 }
    guard end < event.count, event[end] == UInt8(ascii: "\"") else { return false }
    return characterLength(event.extracting(start..<end), 0) == -1
}

extension [UInt8] {
    fileprivate mutating func appendStray(_ byte: UInt8) {
        let digits: StaticString = "0123456789abcdef"
        append(#"\udc"#)
        unsafe append(digits.utf8Start[Int(byte >> 4)])
        unsafe append(digits.utf8Start[Int(byte & 15)])
    }
}

// MARK: - Cutting

/// Cuts escaped text into ranges of at most `room` bytes, never inside a character or an escape,
/// nor between the two escapes of one character.
package func cuts(of text: Span<UInt8>, room: Int) -> [Range<Int>] {
    guard text.count > room else { return [0..<text.count] }
    var ranges: [Range<Int>] = []
    var start = 0
    var i = 0
    while i < text.count {
        var length = unitLength(text, i)
        if let high = escapedUnit(text, i), 0xD800..<0xDC00 ~= high,
            let low = escapedUnit(text, i + 6), 0xDC00..<0xE000 ~= low
        {
            length = 12
        }
        if i + length - start > room, i > start {
            ranges.append(start..<i)
            start = i
        }
        i = min(i + length, text.count)
    }
    ranges.append(start..<text.count)
    return ranges
}

/// The length of the escape or character at `i`; 1 where the bytes are neither.
private func unitLength(_ text: Span<UInt8>, _ i: Int) -> Int {
    guard text[i] == UInt8(ascii: "\\") else { return max(1, characterLength(text, i)) }
    guard i + 1 < text.count, text[i + 1] == UInt8(ascii: "u") else { return 2 }
    return 6
}

/// The code unit of a `\uXXXX` that begins at `i`; `nil` if there is none.
private func escapedUnit(_ text: Span<UInt8>, _ i: Int) -> UInt32? {
    guard i + 6 <= text.count, text[i] == UInt8(ascii: "\\"), text[i + 1] == UInt8(ascii: "u")
    else { return nil }
    var value: UInt32 = 0
    for position in (i + 2)..<(i + 6) {
        let digit: UInt8
        switch text[position] {
        case let byte where byte &- UInt8(ascii: "0") < 10: digit = byte - UInt8(ascii: "0")
        case let byte where (byte | 0x20) &- UInt8(ascii: "a") < 6:
            digit = (byte | 0x20) - UInt8(ascii: "a") + 10
        default: return nil
        }
        value = value << 4 | UInt32(digit)
    }
    return value
}
