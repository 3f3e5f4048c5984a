// The project's own files, found from this file's place and read through libc.
import Glibc
import Testing

/// One text file: its path below the project's folder, and its bytes.
struct ProjectFile: Sendable, CustomTestStringConvertible {
    let path: String
    let bytes: [UInt8]

    var text: String { String(decoding: bytes, as: UTF8.self) }
    var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
    var name: Substring { path.split(separator: "/").last ?? "" }
    var testDescription: String { path }

    /// The target a source file belongs to: `Sources/JSON/…` belongs to `JSON`.
    var target: String {
        let parts = path.split(separator: "/")
        return parts.count > 1 ? String(parts[1]) : ""
    }
}

enum Project {
    /// The folder that holds Package.swift, three names above this file's.
    static let folder = String(#filePath.split(separator: "/").dropLast(3).joined(by: "/"))

    /// Everything people wrote: no builds, no caches, no recorded fixtures.
    static let files: [ProjectFile] = {
        var found: [ProjectFile] = []
        collect("", into: &found)
        return found.sorted { $0.path < $1.path }
    }()

    static let swiftFiles = files.filter { $0.path.hasSuffix(".swift") && $0.isSource }

    static func file(_ path: String) throws -> ProjectFile {
        guard let file = files.first(where: { $0.path == path }) else {
            throw NoSuchFile(path: path)
        }
        return file
    }

    static func isExecutable(_ path: String) -> Bool {
        unsafe access(folder + "/" + path, X_OK) == 0
    }

    private static let skipped: Set<String> = [
        ".git", ".build", ".cache", "Fixtures", "__pycache__",
    ]

    private static func collect(_ path: String, into found: inout [ProjectFile]) {
        guard let directory = unsafe opendir(folder + "/" + path) else { return }
        defer { unsafe closedir(directory) }
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) {
                    unsafe String(cString: $0)
                }
            }
            let child = path.isEmpty ? name : path + "/" + name
            if name == "." || name == ".." || skipped.contains(name) { continue }
            if unsafe entry.pointee.d_type == UInt8(DT_DIR) {
                collect(child, into: &found)
            } else if let bytes = read(child), !bytes.contains(0) {
                // A NUL would be in a program, not in a text.
                found.append(ProjectFile(path: child, bytes: bytes))
            }
        }
    }

    private static func read(_ path: String) -> [UInt8]? {
        guard let file = unsafe fopen(folder + "/" + path, "rb") else { return nil }
        defer { unsafe fclose(file) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe fread(&block, 1, block.count, file)
            if count == 0 { return bytes }
            bytes += block[..<count]
        }
    }
}

struct NoSuchFile: Error {
    let path: String
}

extension ProjectFile {
    var isSource: Bool { path.hasPrefix("Sources/") || path.hasPrefix("Tests/") }
}

extension Sequence where Element == Substring {
    fileprivate func joined(by separator: String) -> String {
        reduce(into: "") { $0 += separator + $1 }
    }
}
