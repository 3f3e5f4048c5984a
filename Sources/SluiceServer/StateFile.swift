// The file in which the token counts of keys survive a restart.

internal import EventLoop
internal import Glibc
internal import HTTPTransport
internal import Routing

/// Reads the file at the start and writes it anew when counts have changed.
///
/// A new file is written beside the old one and renamed over it (rename(2) is atomic), so whenever
/// the process ends, there is a whole file. Writing waits for the disk, which can take longer than
/// the pause between two tokens: a thread does it.
final class StateFile {
    /// Counts are written at most so often; what came in this time is lost by a `kill -9`.
    static let interval = Duration.seconds(2)

    private let path: String
    private let log: Log
    private let timer: Timer
    private var writer: Thread?
    private let outcome: Mailbox<String?>.Address
    private let mailbox: Mailbox<String?>
    /// Why it could not be written last; said once, not every two seconds.
    private final class Trouble {
        var text: String?
        /// Whether a thread is writing: then the next one waits for it, not the loop.
        var isWriting = false
    }
    private let trouble: Trouble

    /// `write` is asked to call `save` when it is time.
    init(_ path: String, on loop: Loop, log: Log, whenDue write: @escaping () -> Void) {
        self.path = path
        self.log = log
        let timer = Timer(on: loop, fire: write)
        self.timer = timer
        let trouble = Trouble()
        self.trouble = trouble
        mailbox = Mailbox(on: loop) { problem in
            trouble.isWriting = false
            let before = trouble.text
            trouble.text = problem
            guard let problem else {
                if before != nil { log.write(.info, "state_file: \(path) is written again") }
                return
            }
            // A disk that was full has room again one day, and perhaps nobody asks before a restart.
            if !timer.isArmed { timer.arm(after: Self.interval) }
            guard problem != before else { return }
            log.write(.error, "state_file: \(problem); token counts would not survive a restart")
        }
        outcome = mailbox.address
    }

    /// What the file holds. A file that cannot be understood is renamed and named in the log; then,
    /// as without a file, counting begins anew. Throws if the file can be neither read nor written.
    func read() throws(StartError) -> KeyTokens? {
        switch Self.contents(of: path) {
        case .text(let text):
            do throws(KeyTokens.Failure) {
                return try KeyTokens(reading: text)
            } catch {
                return try setAside(error)
            }
        case .absent: return nil
        case .failed(let number):
            throw StartError(message: "state_file: cannot read \(path): \(errorText(number))")
        }
    }

    private func setAside(_ failure: KeyTokens.Failure) throws(StartError) -> KeyTokens? {
        let what =
            switch failure {
            case .malformed(let line): "line \(line) is not what Sluice writes"
            case .cutOff: "it is not whole"
            }
        let aside = path + ".broken"
        guard unsafe rename(path, aside) == 0 else {
            throw StartError(
                message:
                    "state_file: \(path): \(what), and it cannot be renamed: \(errorText(errno))")
        }
        log.write(
            .error, "state_file: \(path): \(what). It is now \(aside); token counts begin at 0")
        return nil
    }

    /// Something has changed: it is written within `interval`.
    func changed() {
        guard !timer.isArmed else { return }
        timer.arm(after: Self.interval)
    }

    /// Writes in a thread of its own.
    func save(_ tokens: KeyTokens) {
        // A disk that takes longer than the interval must not hold the loop up.
        guard !trouble.isWriting else { return changed() }
        writer?.join()
        let (path, outcome) = (path, outcome)
        writer = Thread { outcome.send(Self.write(tokens.text, to: path)) }
        trouble.isWriting = writer != nil
        // The system has no more threads: later, then.
        if writer == nil { changed() }
    }

    /// Writes now, and waits for it. Says what is wrong.
    func saveNow(_ tokens: KeyTokens) -> String? {
        timer.cancel()
        writer?.join()
        writer = nil
        return Self.write(tokens.text, to: path)
    }

    // MARK: - Files

    private enum Contents {
        case text(String)
        case absent
        case failed(Int32)
    }

    /// Far more than a thousand keys need.
    private static let sizeLimit = 16 << 20

    private static func contents(of path: String) -> Contents {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return errno == ENOENT ? .absent : .failed(errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while bytes.count <= sizeLimit {
            let count = unsafe Glibc.read(descriptor, &block, block.count)
            if count < 0 { return .failed(errno) }
            if count == 0 { return .text(String(decoding: bytes, as: UTF8.self)) }
            bytes += block[..<count]
        }
        return .failed(EFBIG)
    }

    /// Writes a whole file or none. Returns what went wrong.
    private static func write(_ text: String, to path: String) -> String? {
        let new = path + ".new"
        func problem(_ what: String, _ file: String) -> String {
            "cannot \(what) \(file): \(errorText(errno))"
        }
        // Names of keys and their use are nobody else's business.
        let descriptor = unsafe open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return problem("create", new) }
        let bytes = Array(text.utf8)
        let isWritten = unsafe Glibc.write(descriptor, bytes, bytes.count) == bytes.count
        // Else a power cut could leave the new name with nothing in it.
        let isSafe = isWritten && fsync(descriptor) == 0
        guard isSafe else {
            let words = problem("write", new)
            close(descriptor)
            return words
        }
        close(descriptor)
        return unsafe rename(new, path) == 0 ? nil : problem("replace", path)
    }
}
