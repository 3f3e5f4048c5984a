// The way from a file to a checked `Configuration`.

public import Configuration

/// Reads a configuration file and everything it refers to: variables, secret files, the keys file.
///
/// `environment` is the one of the process. What the command line may change is not checked here:
/// `Configuration.applying(_:)` has the last word.
public func loadConfiguration(
    path: String, environment: [String: String]
) throws(ConfigurationError) -> Configuration {
    let bytes: [UInt8]
    do {
        bytes = try readFile(path)
    } catch {
        let start = Mark(file: path, line: 1, column: 1)
        throw ConfigurationError([
            Problem(start, "", "cannot be read: \(error); name a file with --config")
        ])
    }
    return try parseConfiguration(
        yaml: bytes, file: path, environment: environment, readFile: readFile)
}

/// Makes a configuration from a YAML or JSON text. `file` is its name in messages, and where
/// relative paths in it start; `readFile` gets the files it refers to.
///
/// Throws all mistakes in the writing (unknown keys, wrong types …) at once; if there are none, all
/// mistakes in the meaning (`Configuration.faults()`).
public func parseConfiguration(
    yaml bytes: [UInt8], file: String, environment: [String: String] = [:],
    readFile: @escaping (String) throws(FileError) -> [UInt8] = readFile
) throws(ConfigurationError) -> Configuration {
    // Deeper than any setting; model rules hold JSON schemas at the most.
    let root = try parseYAML(bytes, file: file, depthLimit: 32)
    var reader = ConfigurationReader(file: file, environment: environment, readFile: readFile)
    let configuration = root.map { reader.configuration($0) } ?? Configuration()
    if !reader.problems.isEmpty { throw ConfigurationError(reader.sortedProblems) }
    let faults = configuration.faults()
    if !faults.isEmpty {
        throw ConfigurationError(
            faults.map { Problem(reader.mark(of: $0.path), $0.path, $0.message) })
    }
    return configuration
}
