// Files of the project, for tests that compare them with the code.

import Glibc

/// The lines of a file, by its path in the project.
func projectLines(_ path: String) -> [String] {
    let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    guard let file = unsafe fopen(root.joined(separator: "/") + "/" + path, "rb") else { return [] }
    defer { unsafe fclose(file) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = unsafe fread(&block, 1, block.count, file)
        if count == 0 { break }
        bytes += block[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
        .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
}

/// The cells of the table under a heading of docs/OPERATIONS.md whose first column is called
/// `column`, without quotes.
func operationsTable(_ column: String) -> [[String]] {
    let lines = projectLines("docs/OPERATIONS.md")
    guard let begin = lines.firstIndex(where: { $0.hasPrefix("| \(column) |") }) else { return [] }
    return lines[(begin + 2)...].prefix { $0.hasPrefix("|") }.map { line in
        line.split(separator: "|").map { cell in
            String(cell.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
    }
}

/// The text between the first two backquotes.
func quoted(_ cell: String) -> String {
    let parts = cell.split(separator: "`", omittingEmptySubsequences: false)
    return parts.count > 1 ? String(parts[1]) : cell
}
