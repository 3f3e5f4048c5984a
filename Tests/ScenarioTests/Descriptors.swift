// Which sockets the process holds, so that a scenario can show that it left none behind.

import Glibc
import Testing

/// The open sockets and event descriptors of the process.
enum Descriptors {
    /// Number and kernel name of each: `12 socket:[48211]`. Files are left out: other tests read
    /// some meanwhile.
    static func open() -> Set<String> {
        guard let folder = unsafe opendir("/proc/self/fd") else { return [] }
        defer { unsafe closedir(folder) }
        var found: Set<String> = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                unsafe String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            var target = [UInt8](repeating: 0, count: 256)
            let count = unsafe target.withUnsafeMutableBytes { room in
                guard let start = room.baseAddress else { return 0 }
                return unsafe readlink("/proc/self/fd/" + name, start, room.count)
            }
            guard count > 0 else { continue }
            let text = String(decoding: target[..<count], as: UTF8.self)
            if text.hasPrefix("socket:") || text.hasPrefix("anon_inode:[event") {
                found.insert(name + " " + text)
            }
        }
        return found
    }

    /// Those open now that were not there before and do not go.
    ///
    /// Other suites run in the same process at the same time, so a newcomer may be theirs. Theirs
    /// go; a leak stays.
    static func leaked(since before: Set<String>, patience: Duration = .seconds(3)) -> Set<String> {
        var suspects = open().subtracting(before)
        let clock = ContinuousClock()
        let end = clock.now + patience
        while !suspects.isEmpty, clock.now < end {
            sched_yield()
            suspects.formIntersection(open())
        }
        return suspects
    }

    /// Fails if `body` leaves open what it has opened.
    static func expectNoneLeft(
        at place: SourceLocation = #_sourceLocation, _ body: () throws -> Void
    ) throws {
        let before = open()
        try body()
        #expect(leaked(since: before) == [], sourceLocation: place)
    }
}
