// Reads the recorded and hand-written inputs under Tests/Fixtures, without Foundation.

import Glibc

/// Why a fixture could not be read: its path and errno.
public struct FixtureError: Error, CustomStringConvertible {
    /// The path that was tried.
    public let path: String
    /// What the system said (errno).
    public let code: Int32

    /// The path and the system's number, for the test report.
    public var description: String { "\(path): errno \(code)" }
}

/// The bytes of `Tests/Fixtures/<path>`.
///
/// Test targets declare no resources, so the folder is found from where this file was compiled.
public func fixture(_ path: String) throws -> [UInt8] {
    let full = fixturesFolder + path
    guard let file = unsafe fopen(full, "rb") else { throw FixtureError(path: full, code: errno) }
    defer { unsafe fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = unsafe fread(&buffer, 1, buffer.count, file)
        guard count > 0 else { break }
        bytes.append(contentsOf: buffer[..<count])
    }
    // A folder opens like a file and fails only here.
    guard unsafe ferror(file) == 0 else { throw FixtureError(path: full, code: errno) }
    return bytes
}

/// The names of the files and folders in `Tests/Fixtures/<folder>`, sorted; hidden ones are left
/// out.
public func fixtureNames(in folder: String) throws -> [String] {
    let full = fixturesFolder + folder
    guard let directory = unsafe opendir(full) else { throw FixtureError(path: full, code: errno) }
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

/// `Tests/Fixtures/`, told by the place of this file, which is `Tests/TestSupport/Fixtures.swift`.
private let fixturesFolder: String = {
    let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
    return parts.joined(separator: "/") + "/Fixtures/"
}()
