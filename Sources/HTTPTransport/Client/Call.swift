// One request to an upstream and its answer, on a connection of its own.

public import EventLoop
public import Framing
internal import Glibc

/// Why a call failed. In every case the connection is closed already.
public enum CallFailure: Error, Equatable, Sendable {
    /// No connection could be made: refused, no route, no such socket.
    case unreachable(SocketError)
    /// The upstream closed or reset before the first byte of an answer.
    case closedBeforeAnswer
    /// The upstream closed or reset in the middle of the answer.
    case closedEarly
    /// The answer breaks a rule of HTTP.
    case malformed(ResponseRefusal)
}

/// Hears of a call. All calls come on the loop's thread; each may cancel the call.
public protocol CallObserver: AnyObject {
    /// The connection stands, and the request is on its way.
    func callConnected(_ call: Call)
    /// The head of the answer has come.
    func call(_ call: Call, received head: ResponseHead)
    /// A part of the body has come. The bytes are valid during this call only.
    func call(_ call: Call, received body: Span<UInt8>)
    /// The answer is whole. The last call of this call.
    func callEnded(_ call: Call)
    /// The call has failed. The last call of this call.
    func call(_ call: Call, failed failure: CallFailure)
}

/// A request as it is sent: pieces, so that a large body needs no copy.
public struct CallRequest: Sendable {
    /// A piece of the request.
    public enum Piece: Sendable {
        /// All of these bytes.
        case bytes([UInt8])
        /// A part of these bytes: a slice would copy when it is not the only one to hold them.
        case part([UInt8], Range<Int>)

        var count: Int {
            switch self {
            case .bytes(let bytes): bytes.count
            case .part(_, let range): range.count
            }
        }
    }

    /// Head and body, in order.
    public var pieces: [Piece]
    /// Whether the method is HEAD, whose answer has no body.
    public var isHEAD: Bool

    /// Makes a request of a whole head, blank line included, and a body.
    public init(head: [UInt8], body: [Piece] = [], isHEAD: Bool = false) {
        pieces = [.bytes(head)] + body
        self.isHEAD = isHEAD
    }
}

/// One request to an upstream and its answer.
///
/// Cancelling, or releasing the call, closes the socket whole: an upstream that sees half a close
/// may go on generating. Pausing leaves the rest of the answer in the kernel, so that TCP slows the
/// upstream down.
@safe public final class Call {
    private enum State {
        case connecting
        case exchanging
        case over
    }

    private let loop: Loop
    private var addresses: ArraySlice<SocketAddress>
    private var pieces: ArraySlice<CallRequest.Piece>
    /// How many bytes of the first piece are sent.
    private var sentBytes = 0
    private var parser: HTTPResponseParser
    /// Held while the call goes on, and let go with its end: a weak reference costs an atomic
    /// operation for each chunk.
    private var observer: (any CallObserver)?
    private var state = State.connecting
    private var socket: Socket?
    private var reading: Watch?
    private var writing: Watch?
    private var isPaused = false
    private var hasAnswer = false

    /// Makes a call that has not begun. The addresses are tried in their order until one accepts.
    public init(
        on loop: Loop, to addresses: [SocketAddress], _ request: CallRequest, headLimit: Int,
        observer: any CallObserver
    ) {
        self.loop = loop
        self.addresses = addresses[...]
        pieces = request.pieces[...]
        parser = HTTPResponseParser(headLimit: headLimit, isHEAD: request.isHEAD)
        self.observer = observer
    }

    /// Begins. The observer is called in a later turn, except for a connection that fails at once.
    public func start() { connectToNext(after: nil) }

    /// Closes the connection. The observer hears nothing more.
    public func cancel() { close() }

    /// Stops reading the answer, until `resume`.
    public func pause() {
        isPaused = true
        reading?.stop()
    }

    /// Goes on reading.
    public func resume() {
        isPaused = false
        if case .exchanging = state { reading?.start() }
    }

    // MARK: - Connecting

    private func connectToNext(after failure: SocketError?) {
        closeSocket()
        guard let address = addresses.popFirst() else {
            return fail(.unreachable(failure ?? .unknownHost("", reason: "it has no address")))
        }
        do throws(SocketError) {
            let made = try Socket(for: address)
            made.sendWithoutDelay()
            let descriptor = made.descriptor
            let result = unsafe address.withSystemAddress { unsafe connect(descriptor, $0, $1) }
            if result != 0, errno != EINPROGRESS {
                throw .failed(operation: "connect to", address: address.description, errno: errno)
            }
            socket = consume made
            watch(descriptor, connectingTo: address)
        } catch {
            connectToNext(after: error)
        }
    }

    private func watch(_ descriptor: Int32, connectingTo address: SocketAddress) {
        writing = Watch(on: loop, descriptor, for: .write) { [unowned self] _ in
            if case .connecting = state {
                connected(to: address)
            } else {
                send()
            }
        }
        reading = Watch(on: loop, descriptor, for: .read) { [unowned self] _ in receive() }
        writing?.start()
    }

    private func connected(to address: SocketAddress) {
        let number = socket?.pendingError() ?? ECONNREFUSED
        guard number == 0 else {
            // A watch is not released inside its own callback.
            return loop.afterThisTurn { [weak self] in
                guard let self, case .connecting = state else { return }
                connectToNext(
                    after: .failed(
                        operation: "connect to", address: address.description, errno: number))
            }
        }
        state = .exchanging
        if !isPaused { reading?.start() }
        observer?.callConnected(self)
        send()
    }

    // MARK: - The request

    private func send() {
        while case .exchanging = state, let piece = pieces.first {
            guard sentBytes < piece.count else {
                pieces.removeFirst()
                sentBytes = 0
                continue
            }
            switch sendRest(of: piece) {
            case .bytes(let count): sentBytes += count
            case .wouldBlock:
                writing?.start()
                return
            // An upstream may answer and close without reading all: the answer tells, so go on
            // reading.
            case .ended, .failed: pieces = []
            }
        }
        writing?.stop()
    }

    private func sendRest(of piece: CallRequest.Piece) -> Socket.Transfer {
        switch piece {
        case .bytes(let bytes): send(bytes, sentBytes..<bytes.count)
        case .part(let bytes, let range):
            send(bytes, (range.lowerBound + sentBytes)..<range.upperBound)
        }
    }

    private func send(_ bytes: [UInt8], _ range: Range<Int>) -> Socket.Transfer {
        unsafe bytes.withUnsafeBytes { all in
            unsafe socket?.send(UnsafeRawBufferPointer(rebasing: all[range])) ?? .ended
        }
    }

    // MARK: - The answer

    private func receive() {
        guard let transfer = unsafe socket?.receive(into: loop.scratch) else { return }
        switch transfer {
        case .bytes(let count):
            loop.withScratch(count) { parse($0) }
        case .wouldBlock: return
        case .ended, .failed: upstreamClosed()
        }
    }

    private func parse(_ bytes: Span<UInt8>) {
        var i = 0
        // The observer may cancel at every step.
        while case .exchanging = state {
            switch parser.next(bytes, &i) {
            case .needMore: return
            case .head(let head):
                hasAnswer = true
                observer?.call(self, received: head)
            case .body(let range): observer?.call(self, received: bytes.extracting(range))
            case .end: close()?.callEnded(self)
            case .refused(let refusal): fail(.malformed(refusal))
            }
        }
    }

    private func upstreamClosed() {
        switch parser.connectionClosed() {
        case .complete: close()?.callEnded(self)
        case .nothingReceived: fail(.closedBeforeAnswer)
        case .cutInHead, .cutInBody: fail(hasAnswer ? .closedEarly : .closedBeforeAnswer)
        }
    }

    // MARK: - The end

    private func fail(_ failure: CallFailure) {
        close()?.call(self, failed: failure)
    }

    /// The one end. Returns who is to hear of it, if anybody still is.
    @discardableResult
    private func close() -> (any CallObserver)? {
        if case .over = state { return nil }
        state = .over
        closeSocket()
        defer { observer = nil }
        return observer
    }

    /// The socket closes now. A watch may be in its own callback: watches stop now and go later.
    private func closeSocket() {
        reading?.stop()
        writing?.stop()
        if let old = reading, let other = writing {
            loop.afterThisTurn { _ = (old, other) }
        }
        reading = nil
        writing = nil
        socket = nil
    }
}
