// A small request of our own to a backend: probes and lists, not chats.

internal import EventLoop
internal import Framing
internal import HTTPTransport
internal import JSON

/// What became of a fetch.
enum FetchResult {
    /// The whole answer, whatever its status.
    case answered(ResponseHead, body: [UInt8])
    /// No answer, and why.
    case failed(FetchFailure)
}

/// Why a fetch has no answer.
enum FetchFailure: Error, Equatable {
    /// Its call failed.
    case call(CallFailure)
    /// It took too long. `wasConnected`: somebody had accepted the connection.
    case late(milliseconds: Int, wasConnected: Bool)
    /// The answer is longer than we are willing to hold.
    case tooLong(limitBytes: Int)

    /// What happened, for people, after "the backend"; without an address.
    var words: String {
        switch self {
        case .call(let failure): failure.wordsWithoutAddress
        case .late(let milliseconds, _): "does not answer within \(milliseconds) ms"
        case .tooLong(let limit): "sent an answer of more than \(limit) bytes"
        }
    }
}

/// Asks one thing and calls back once, unless it is cancelled before. Its call holds it until then.
final class Fetch: CallObserver {
    /// Lists of models of a large Ollama take some hundred kilobytes.
    private static let bodyLimit = 8 << 20

    private var call: Call?
    private var deadline: Timer?
    private var head: ResponseHead?
    private var body: [UInt8] = []
    private var completion: ((FetchResult) -> Void)?
    private var wasConnected = false

    init(
        _ request: CallRequest, to target: CallTarget, through pool: ConnectionPool,
        within limit: Duration, completion: @escaping (FetchResult) -> Void
    ) {
        self.completion = completion
        call = Call(
            request, to: target, connectLimit: limit, through: pool, headLimit: 64 << 10)
        deadline = Timer(on: pool.loop) { [unowned self] in
            finish(
                .failed(
                    .late(milliseconds: limit.wholeMilliseconds, wasConnected: wasConnected)))
        }
        deadline?.arm(after: limit)
    }

    /// Begins. The completion may be called before this returns.
    func start() {
        // It may have been cancelled already.
        guard completion != nil else { return }
        call?.start(self)
    }

    func callConnected(_ call: Call) { wasConnected = true }

    func callConnectsAgain(_ call: Call) { wasConnected = false }

    func call(_ call: Call, received head: ResponseHead) { self.head = head }

    func call(_ call: Call, received body: Span<UInt8>) {
        guard self.body.count + body.count <= Self.bodyLimit else {
            return finish(.failed(.tooLong(limitBytes: Self.bodyLimit)))
        }
        self.body.append(body)
    }

    func callEnded(_ call: Call) {
        guard let head else { return finish(.failed(.call(.closedBeforeAnswer))) }
        finish(.answered(head, body: body))
    }

    func call(_ call: Call, failed failure: CallFailure) { finish(.failed(.call(failure))) }

    /// Asks no longer; the completion is not called.
    func cancel() {
        completion = nil
        call?.cancel()
        deadline?.cancel()
    }

    private func finish(_ result: FetchResult) {
        let completion = completion
        cancel()
        completion?(result)
    }
}

extension CallFailure {
    /// What happened, for people, after "the backend".
    var words: String {
        switch self {
        case .unreachable(let error): error.message
        case .closedBeforeAnswer: "closed the connection without an answer"
        case .closedEarly: "closed the connection in the middle of its answer"
        case .malformed(let refusal): "sent \(refusal.description)"
        }
    }
}
