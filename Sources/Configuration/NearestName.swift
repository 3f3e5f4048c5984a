// Finds the name somebody may have meant.

/// The names nearest to `name`, the nearest first, at most three.
///
/// Near is: equal but for case; or at most a third of the characters, and never more than three,
/// mistyped; or one the beginning of the other, from three characters on. Equal distances are
/// settled by the order of `candidates`.
public func nearestNames(to name: String, among candidates: [String]) -> [String] {
    let wanted = Array(name.lowercased().utf8)
    var found: [(distance: Int, index: Int)] = []
    for (index, candidate) in candidates.enumerated() where !candidate.isEmpty {
        let known = Array(candidate.lowercased().utf8)
        if let distance = nearness(wanted, known) { found.append((distance, index)) }
    }
    found.sort { ($0.distance, $0.index) < ($1.distance, $1.index) }
    var names: [String] = []
    for (_, index) in found where !names.contains(candidates[index]) {
        names.append(candidates[index])
        if names.count == 3 { break }
    }
    return names
}

/// How far two names are apart, or `nil` if neither can have been meant by the other.
private func nearness(_ wanted: [UInt8], _ known: [UInt8]) -> Int? {
    let allowed = min(3, max(1, max(wanted.count, known.count) / 3))
    // Names this long are no typing mistakes, and the distance takes the product of the lengths.
    if wanted.count <= 200, known.count <= 200, abs(wanted.count - known.count) <= allowed {
        let distance = editDistance(wanted, known)
        if distance <= allowed { return distance }
    }
    // `qwen3` for `qwen3:8b`: worse than any typing mistake, but worth a mention.
    let shorter = min(wanted.count, known.count)
    return shorter >= 3 && wanted.prefix(shorter) == known.prefix(shorter) ? 4 : nil
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one to the other (the
/// restricted Damerau-Levenshtein distance: swapped letters are one mistake, not two).
private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...b.count)
    for i in 0..<a.count {
        var row = [i + 1]
        row.reserveCapacity(b.count + 1)
        for j in 0..<b.count {
            var best = min(last[j] + (a[i] == b[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1)
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
                best = min(best, beforeLast[j - 1] + 1)
            }
            row.append(best)
        }
        (beforeLast, last) = (last, row)
    }
    return last[b.count]
}
