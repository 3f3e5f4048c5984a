// Reads small files whole, with the calls of the C library.

internal import Glibc

/// A file that cannot be read.
public struct FileError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The reason in the system's words: `No such file or directory`.
    public let description: String

    /// Tells a reason.
    public init(_ description: String) { self.description = description }
}

/// The bytes of a file of at most 4 MiB: settings, keys and secrets are small, and a path to a disk
/// or to a device that never ends must not take all memory.
public func readFile(_ path: String) throws(FileError) -> [UInt8] {
    let limitBytes = 4 << 20
    // Not blocking: a FIFO without a writer would hold up the start for ever.
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw systemError() }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    while bytes.count <= limitBytes {
        var result = 0
        bytes += unsafe [UInt8](unsafeUninitializedCapacity: 64 << 10) { buffer, count in
            result = unsafe read(descriptor, buffer.baseAddress, buffer.count)
            count = max(0, result)
        }
        if result == 0 { return bytes }
        if result < 0, errno != EINTR { throw systemError() }
    }
    throw FileError("larger than 4 MiB")
}

private func systemError() -> FileError {
    FileError(unsafe String(cString: strerror(errno)))
}
