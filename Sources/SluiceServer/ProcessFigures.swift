// What the operating system says about this process, for /metrics.

internal import Glibc
internal import Observability

extension ProcessFigures {
    /// When the program began. Asked for once at the start, and the same ever after.
    static let start: Double = {
        let (seconds, nanoseconds) = Clock.wall()
        return Double(seconds) + Double(nanoseconds / 1_000_000) / 1000
    }()

    /// The figures of this moment. A few system calls: they are for scrapes, not for requests.
    static var now: ProcessFigures {
        var usage = rusage()
        unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double {
            Double(time.tv_sec) + Double(time.tv_usec) / 1_000_000
        }
        var limit = rlimit()
        unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return ProcessFigures(
            startTime: start, processorSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
            residentBytes: residentBytes,
            descriptors: (openDescriptors, Int(clamping: limit.rlim_cur)))
    }

    /// The second number of /proc/self/statm, in pages (proc(5)); 0 where there is no /proc.
    private static var residentBytes: Int {
        let descriptor = unsafe open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 128)
        let count = unsafe read(descriptor, &bytes, bytes.count)
        let words = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
            .split(separator: " ")
        guard words.count > 1, let pages = Int(words[1]) else { return 0 }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// The entries of /proc/self/fd. From Linux 6.2 on the folder's size says how many there are;
    /// before, they have to be counted, without the one that counting itself needs.
    private static var openDescriptors: Int {
        var status = stat()
        if unsafe stat("/proc/self/fd", &status) == 0, status.st_size > 0 {
            return Int(status.st_size)
        }
        guard let directory = unsafe opendir("/proc/self/fd") else { return 0 }
        defer { unsafe closedir(directory) }
        var entries = 0
        while unsafe readdir(directory) != nil { entries += 1 }
        return max(0, entries - 3)
    }
}
