// Writes log lines to standard error.

internal import Configuration
internal import Glibc
internal import Observability

/// The wall clock, read in one place.
enum Clock {
    static func wall() -> (seconds: Int, nanoseconds: Int) {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return (time.tv_sec, time.tv_nsec)
    }
}

/// Where lines go. Each line is one write, so lines of several workers do not mix.
struct Log: Sendable {
    let settings: LogSettings
    /// Takes each line, its line break included.
    let put: @Sendable (String) -> Void

    init(
        _ settings: LogSettings,
        put: @escaping @Sendable (String) -> Void = Log.writeToStandardError
    ) {
        self.settings = settings
        self.put = put
    }

    var now: WallTime {
        let (seconds, nanoseconds) = Clock.wall()
        return WallTime(seconds: seconds, nanoseconds: nanoseconds)
    }

    func write(_ record: RequestRecord) {
        guard settings.level == .info || settings.level == .debug else { return }
        put(settings.format == .json ? record.json(at: now) : record.text(at: now))
    }

    func write(_ level: LogMessage.Level, _ text: String) {
        guard isWritten(level) else { return }
        let message = LogMessage(level, text)
        put(settings.format == .json ? message.json(at: now) : message.text(at: now))
    }

    private func isWritten(_ level: LogMessage.Level) -> Bool {
        switch (settings.level, level) {
        case (.debug, _), (_, .error): true
        case (.info, .info), (.info, .warning), (.warning, .warning): true
        default: false
        }
    }

    /// A line that cannot be written has nowhere else to go.
    @Sendable static func writeToStandardError(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            _ = unsafe Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
        }
    }
}
