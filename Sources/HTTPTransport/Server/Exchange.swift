// One request and its answer, whatever brought it here.

public import EventLoop
public import HTTPTypes

/// What whoever answers a request wants to hear of the client. All calls come on the loop's thread,
/// and may come in the middle of a call to the exchange.
public protocol ExchangeObserver: AnyObject {
    /// The client has closed, half-closed or reset its connection. The exchange is over.
    func clientLeft()
    /// The client has taken nothing for `clientStall`; its connection was dropped. The exchange is
    /// over.
    func clientStalled()
    /// The client is slower than the answer: stop producing.
    func clientBlocked()
    /// The client has caught up.
    func clientDrained()
    /// The last byte of the answer was handed to the system. The exchange is over.
    func replyDelivered()
}

/// One request, whole, and the means to answer it: at once with `respond`, or bit by bit with
/// `startStream`, `write` and `finishStream`.
///
/// A class, since a call through a protocol would cost each token more instructions: HTTP's comes
/// from `HTTPServer`, and a WebSocket has one for each message. Without such a subclass an exchange
/// has nobody to talk to.
open class Exchange {
    /// The request's method.
    public let method: Method
    /// The request's target as it was sent: path and query.
    public let target: String
    /// The request's body, unframed; empty after `releaseBody`.
    public private(set) var body: [UInt8]
    /// Hears of the client; held until the exchange is over.
    public var observer: (any ExchangeObserver)?

    /// For subclasses.
    public init(method: Method, target: String, body: [UInt8]) {
        self.method = method
        self.target = target
        self.body = body
    }

    /// The value of a request field, named in lower case; the first one, if there are several. A
    /// stream's request has none any more once the stream has begun.
    open func header(_ name: StaticString) -> String? { nil }

    /// The client's address without its port.
    open var clientAddress: String { "-" }

    /// The id that the client gave this request, to be told in every part of its answer; `nil`
    /// where a connection carries one request at a time.
    open var clientID: String? { nil }

    /// Whether an answer can still be given.
    open var isOpen: Bool { false }

    /// Whether the client has not taken all that it was sent.
    open var hasUnsentBytes: Bool { false }

    /// Gives the whole answer. A HEAD request gets its head only.
    open func respond(_ reply: Reply) {}

    /// Begins a streamed answer with status 200. Its head leaves together with the first bytes, or
    /// with `flush`.
    open func startStream(_ fields: [Reply.HeaderLine]) {}

    /// Lets the body go, which for long streams may be much memory.
    open func releaseBody() { body = [] }

    /// Sends what waits: the head of a stream without any bytes yet.
    open func flush() {}

    /// Sends a part of a streamed answer. `buffer` begins with `ChunkFraming.headroom` bytes of
    /// room, in which the chunk's head is written.
    open func write(_ buffer: inout [UInt8]) {}

    /// Sends the last part of a streamed answer, possibly empty, and ends it.
    open func finishStream(_ buffer: inout [UInt8]) {}

    /// Adds what `write` touches.
    open func addFootprint(to footprint: inout Footprint) {}

    /// Fills a silence, where the stream itself knows no comments.
    open func keepAlive() {}

    /// Whether the client asks to go on as a WebSocket, and still may.
    open var wantsWebSocket: Bool { false }

    /// Says `101 Switching Protocols`; from here on messages come and go. `nil` if the handshake is
    /// not complete, or if the client has just left.
    open func openWebSocket(_ fields: [Reply.HeaderLine]) -> WebSocket? { nil }
}
