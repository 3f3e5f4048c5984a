// `sluice top`: asks the Sluice that is running what it does, once or as long as somebody looks.

public import Configuration
internal import EventLoop
internal import Framing
internal import Glibc
internal import HTTPTransport
internal import JSON

/// How `sluice top` shows it.
public enum TopStyle: Sendable {
    /// On the terminal, every second, until `q` or Ctrl-C.
    case live
    /// Once, as text.
    case once
    /// Once, as JSON.
    case json
}

/// Asks the Sluice that runs at the configuration's first address what it does.
///
/// - Returns: what is to be printed at the end, and whether it could be asked.
public func top(_ configuration: Configuration, _ style: TopStyle) -> (report: String, isFine: Bool)
{
    // What is no terminal cannot be painted on.
    if style == .live, isatty(STDOUT_FILENO) == 1 { return TopScreen(configuration).run() }
    switch askRunning(configuration, "/ui/api/state") {
    case .failure(let report): return (report, false)
    case .success(let body):
        if style == .json { return (String(decoding: body, as: UTF8.self), true) }
        // A Sluice answers with JSON; whatever else listens there need not.
        guard let state = try? JSONText(body) else { return ("that is no Sluice\n", false) }
        let lines = TopText(state).lines(width: nil, height: nil)
        return (lines.map { $0 + "\n" }.joined(), true)
    }
}

/// A terminal that shows the figures of every second.
final class TopScreen: CallObserver {
    private let configuration: Configuration
    private let loop = Loop()
    private var call: Call?
    private var status = 0
    private var refusal: [UInt8] = []
    private var decoder = SSEDecoder(limit: 8 << 20)
    private var retry: Timer?
    private var signals: [SignalSource] = []
    private var keys: Watch?
    private var before = termios()
    private var problem: String?
    private var hasShown = false

    init(_ configuration: Configuration) {
        self.configuration = configuration
        retry = Timer(on: loop) { [unowned self] in connect() }
    }

    func run() -> (report: String, isFine: Bool) {
        takeTerminal()
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signals.append(SignalSource(on: loop, signal) { [unowned self] in loop.stop() })
        }
        keys = Watch(on: loop, STDIN_FILENO, for: .read) { [unowned self] _ in readKeys() }
        if isatty(STDIN_FILENO) == 1 { keys?.start() }
        connect()
        loop.run()
        giveTerminalBack()
        // One that could never be asked is a failure, and the screen that said why is gone.
        return hasShown ? ("", true) : ((problem ?? "nothing was shown") + "\n", false)
    }

    // MARK: - Asking

    private func connect() {
        do throws(SocketError) {
            let call = try Call(
                runningRequest(configuration, "/ui/api/events"), to: runningTarget(configuration),
                connectLimit: .seconds(5), through: ConnectionPool(on: loop), headLimit: 64 << 10)
            self.call = call
            (refusal, decoder) = ([], SSEDecoder(limit: 8 << 20))
            call.start(self)
        } catch {
            tell(error.message)
        }
    }

    func callConnected(_ call: Call) {}

    func callConnectsAgain(_ call: Call) {}

    func call(_ call: Call, received head: ResponseHead) { status = head.status }

    func call(_ call: Call, received body: Span<UInt8>) {
        guard status == 200 else {
            if refusal.count < 64 << 10 { refusal.append(body) }
            return
        }
        var last: [UInt8]?
        // Figures that cannot be read are followed by others in a second.
        try? decoder.feed(body) { (item, name, data) throws(Never) in
            guard item == .data, name.count == 5 else { return }
            last = []
            last?.append(data)
        }
        if let last, let state = try? JSONText(last) { show(state) }
    }

    func callEnded(_ call: Call) {
        loop.afterThisTurn { _ = call }
        guard status != 200 else { return tell("Sluice has ended the connection") }
        // An error's own words, where it has some.
        let error = (try? JSONText(refusal))?["error"]?["message"]?.string
        tell(error ?? "Sluice answered with status \(status)")
        // It will not say anything else in a second.
        loop.stop()
    }

    func call(_ call: Call, failed failure: CallFailure) {
        loop.afterThisTurn { _ = call }
        tell("No Sluice answers at \(runningAddress(configuration)): \(failure.words)")
        if !hasShown { loop.stop() }
    }

    private func tell(_ problem: String) {
        self.problem = problem
        if hasShown { write("\u{1B}[H\u{1B}[K\u{1B}[7m \(problem); trying again \u{1B}[0m") }
        retry?.arm(after: .seconds(1))
    }

    // MARK: - The terminal

    private func show(_ state: JSONText) {
        hasShown = true
        var size = winsize()
        let isKnown = unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        let (width, height) = isKnown ? (Int(size.ws_col), Int(size.ws_row)) : (80, 24)
        let lines = TopText(state).lines(width: width, height: max(2, height))
        // Line by line over what was there, so that nothing flickers.
        write("\u{1B}[H" + lines.map { $0 + "\u{1B}[K" }.joined(separator: "\r\n") + "\u{1B}[J")
    }

    /// Another screen without a cursor, and keys that are heard one by one and not shown.
    private func takeTerminal() {
        unsafe tcgetattr(STDIN_FILENO, &before)
        var raw = before
        raw.c_lflag &= ~tcflag_t(ICANON | ECHO)
        unsafe tcsetattr(STDIN_FILENO, TCSANOW, &raw)
        write("\u{1B}[?1049h\u{1B}[?25l\u{1B}[H")
    }

    private func giveTerminalBack() {
        write("\u{1B}[?25h\u{1B}[?1049l")
        unsafe tcsetattr(STDIN_FILENO, TCSANOW, &before)
    }

    private func readKeys() {
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = unsafe read(STDIN_FILENO, &bytes, bytes.count)
        if count <= 0 || bytes[..<count].contains(where: { $0 == UInt8(ascii: "q") || $0 == 4 }) {
            loop.stop()
        }
    }

    private func write(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count)
            }
            guard count > 0 else { return loop.stop() }
            rest = rest.dropFirst(count)
        }
    }
}
