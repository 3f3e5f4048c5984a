// Finds the scenario files from where this file was compiled.

import Glibc

/// The files under `Tests/Scenarios`.
enum ScenarioFiles {
    private static let folder: String = {
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
        return parts.joined(separator: "/") + "/Scenarios/"
    }()

    /// `topic/name.scenario`, sorted.
    static let all: [String] = names(in: "").flatMap { topic in
        names(in: topic).filter { $0.hasSuffix(".scenario") }.map { topic + "/" + $0 }
    }

    struct Unreadable: Error { var path: String }

    static func text(of file: String) throws -> String {
        guard let stream = unsafe fopen(folder + file, "rb") else { throw Unreadable(path: file) }
        defer { unsafe fclose(stream) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe fread(&buffer, 1, buffer.count, stream)
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }

    private static func names(in topic: String) -> [String] {
        guard let directory = unsafe opendir(folder + topic) else { return [] }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                unsafe String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }
}
