// A small request of our own to a backend: probes and lists, not chats.

internal import EventLoop
internal import Framing
internal import HTTPTransport
internal import JSON

/// What became of a fetch.
enum FetchResult {
    /// The whole answer, whatever its status.
    case answered(ResponseHead, body: [UInt8])
    /// No answer; why, in words.
    case failed(String)
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

    init(
        _ request: CallRequest, to target: CallTarget, through pool: ConnectionPool,
        within limit: Duration, completion: @escaping (FetchResult) -> Void
    ) {
        self.completion = completion
        call = Call(request, to: target, through: pool, headLimit: 64 << 10)
        deadline = Timer(on: pool.loop) { [unowned self] in
            finish(.failed("no answer within \(limit.wholeMilliseconds) ms"))
        }
        deadline?.arm(after: limit)
    }

    /// Begins. The completion may be called before this returns.
    func start() { call?.start(self) }

    func callConnected(_ call: Call) {}

    func call(_ call: Call, received head: ResponseHead) { self.head = head }

    func call(_ call: Call, received body: Span<UInt8>) {
        guard self.body.count + body.count <= Self.bodyLimit else {
            return finish(.failed("the answer is longer than \(Self.bodyLimit) bytes"))
        }
        self.body.append(body)
    }

    func callEnded(_ call: Call) {
        guard let head else { return finish(.failed("no answer")) }
        finish(.answered(head, body: body))
    }

    func call(_ call: Call, failed failure: CallFailure) { finish(.failed(failure.words)) }

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
