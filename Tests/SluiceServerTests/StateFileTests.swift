// The state file on a disk that hangs: the loop goes on meanwhile.

import Configuration
import EventLoop
import Glibc
import Routing
import Synchronization
import Testing

@testable import SluiceServer

@Suite struct StateFileOnAHangingDisk {
    private let folder: String
    private var path: String { folder + "/state" }
    /// What is written first. Made a pipe, it keeps whoever opens it waiting until somebody reads.
    private var draft: String { path + ".new" }

    init() throws {
        // mkdtemp(3) writes over the six letters at the end of its template.
        let template = "/tmp/sluice-state-" + String(repeating: "X", count: 6)
        var name = Array(template.utf8CString)
        try #require(unsafe mkdtemp(&name) != nil)
        folder = String(
            decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    @Test func theLoopGoesOnAndTheFileIsWrittenWhenTheDiskIsBack() throws {
        defer { for name in [path, draft, folder] { _ = unsafe remove(name) } }
        try #require(unsafe mkfifo(draft, 0o600) == 0)
        let loop = Loop()
        let lines = Mutex<[String]>([])
        let log = Log(LogSettings()) { line in lines.withLock { $0.append(line) } }
        var isDue = false
        let file = StateFile(path, on: loop, log: log) { isDue = true }
        let tokens = KeyTokens(day: 20_777, tokens: ["alice": 5])

        let rescue = try #require(Rescue(draft))
        file.save(tokens)
        // The next one comes while the first still waits for the disk: it is put off, not waited for.
        file.save(tokens)
        try #require(!rescue.hasCome)

        rescue.come()
        while lines.withLock(\.isEmpty) { loop.runOnce() }
        #expect(lines.withLock { $0.first?.contains("state_file: cannot ") } == true)
        #expect(unsafe unlink(draft) == 0)
        while !isDue { loop.runOnce() }
        #expect(file.saveNow(tokens) == nil)
        #expect(try file.read() == tokens)
    }
}

/// A reader of the pipe that comes when it is called, or after five seconds: then whoever waited in
/// vain goes on, and the test fails instead of hanging.
private final class Rescue {
    private final class Arrival: Sendable { let isThere = Mutex(false) }
    private let arrival = Arrival()
    private let bell: (reader: Int32, writer: Int32)
    private var thread: EventLoop.Thread?

    init?(_ pipe: String) {
        var ends: [Int32] = [0, 0]
        guard unsafe Glibc.pipe(&ends) == 0 else { return nil }
        bell = (ends[0], ends[1])
        let (reader, arrival) = (bell.reader, arrival)
        thread = EventLoop.Thread {
            var wait = pollfd(fd: reader, events: Int16(POLLIN), revents: 0)
            _ = unsafe poll(&wait, 1, 5000)
            arrival.isThere.withLock { $0 = true }
            let descriptor = unsafe open(pipe, O_RDONLY)
            var bytes = [UInt8](repeating: 0, count: 4096)
            while unsafe read(descriptor, &bytes, bytes.count) > 0 {}
            close(descriptor)
        }
        if thread == nil { return nil }
    }

    deinit {
        close(bell.reader)
        close(bell.writer)
    }

    var hasCome: Bool { arrival.isThere.withLock { $0 } }

    /// Calls it, and waits until it has read everything.
    func come() {
        _ = unsafe write(bell.writer, [1], 1)
        thread?.join()
        thread = nil
    }
}
