// Files of the file system: what can be read, and what is said if it cannot.

import Configuration
import ConfigurationFile
import Testing

@Suite struct Files {
    @Test(arguments: [
        ("/nonexistent/file", "No such file or directory"), ("/", "Is a directory"),
        ("/dev/zero", "larger than 4 MiB"),
    ])
    func aFileThatCannotBeReadSaysWhy(_ path: String, _ reason: String) {
        #expect(throws: FileError(reason)) { try readFile(path) }
    }

    @Test func anEmptyFileIsEmpty() throws {
        #expect(try readFile("/dev/null") == [])
        #expect(try loadConfiguration(path: "/dev/null", environment: [:]) == Configuration())
    }

    @Test func aConfigurationThatIsNotThereIsNamed() {
        do throws(ConfigurationError) {
            _ = try loadConfiguration(path: "/nonexistent/s.yaml", environment: [:])
            Issue.record("read")
        } catch {
            #expect(
                error.description == "/nonexistent/s.yaml:1:1: cannot be read: No such file or "
                    + "directory; name a file with --config")
        }
    }

    @Test func theExampleIsReadFromItsFile() throws {
        let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
        let path = root.joined(separator: "/") + "/config/sluice.example.yaml"
        #expect(try loadConfiguration(path: path, environment: [:]) == Configuration())
    }
}
