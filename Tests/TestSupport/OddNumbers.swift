// Answers with other numbers in them than any sensible server would send.

/// What may stand where a number is expected: the ends of what an integer holds, and what is none.
public let oddNumbers = [
    "9223372036854775807", "-9223372036854775808", "1000000000000000000", "-1", "1.5",
]

/// `body`, which is JSON in whatever framing, once for each odd number and each name that has a
/// number in it: with it in every member of that name, and with it in the last one only. Numbers in
/// arrays go by the name of the array.
public func withOddNumbers(_ body: [UInt8]) -> [(what: String, body: [UInt8])] {
    var found: [(name: String, ranges: [Range<Int>])] = []
    for number in numbers(in: body) {
        if let place = found.firstIndex(where: { $0.name == number.name }) {
            found[place].ranges.append(number.range)
        } else {
            found.append((number.name, [number.range]))
        }
    }
    return found.flatMap { name, ranges in
        oddNumbers.flatMap { odd in
            let sets = ranges.count > 1 ? [ranges, [ranges[ranges.count - 1]]] : [ranges]
            return sets.map { set in
                var changed = body
                for range in set.reversed() { changed.replaceSubrange(range, with: odd.utf8) }
                return ("\(name): \(odd)", changed)
            }
        }
    }
}

/// The numbers outside of strings, each with the last name before it.
private func numbers(in body: [UInt8]) -> [(name: String, range: Range<Int>)] {
    var numbers: [(name: String, range: Range<Int>)] = []
    var name = ""
    var text: Range<Int>?
    var index = 0
    while index < body.count {
        let start = index
        index += 1
        switch body[start] {
        case UInt8(ascii: "\""):
            while index < body.count, body[index] != UInt8(ascii: "\"") {
                index += body[index] == UInt8(ascii: "\\") ? 2 : 1
            }
            index += 1
            text = start + 1..<min(index, body.count) - 1
        case UInt8(ascii: ":"):
            if let range = text { name = String(decoding: body[range], as: UTF8.self) }
            text = nil
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            let part = Array("0123456789.eE+-".utf8)
            while index < body.count, part.contains(body[index]) { index += 1 }
            numbers.append((name, start..<index))
        default: break
        }
    }
    return numbers
}
