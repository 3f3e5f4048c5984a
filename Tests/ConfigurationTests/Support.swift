// What the tests of the configuration share.

import Configuration
import ConfigurationFile
import Testing

/// Parses a file called `s.yaml` in /etc; it can refer to `files` and nothing else.
func parse(
    _ yaml: String, environment: [String: String] = [:], files: [String: String] = [:]
) throws(ConfigurationError) -> Configuration {
    try parseConfiguration(yaml: Array(yaml.utf8), file: "/etc/s.yaml", environment: environment) {
        path throws(FileError) in
        guard let text = files[path] else { throw FileError("No such file or directory") }
        return Array(text.utf8)
    }
}

/// The messages for a file with mistakes, without the folder; empty if there are none.
func messages(
    _ yaml: String, environment: [String: String] = [:], files: [String: String] = [:]
) -> [String] {
    do {
        _ = try parse(yaml, environment: environment, files: files)
        return []
    } catch {
        return error.problems.map { String("\($0)".trimmingPrefix("/etc/")) }
    }
}

/// The message of a value that is refused; empty if it is not.
func refusal<Value>(_ make: () throws(ValueError) -> Value) -> String {
    do {
        _ = try make()
        return ""
    } catch {
        return error.description
    }
}

/// A file of the project, by its path in it.
func projectFile(_ path: String) throws -> String {
    let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    return String(decoding: try readFile(root.joined(separator: "/") + "/" + path), as: UTF8.self)
}
