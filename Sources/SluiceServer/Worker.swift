// One worker: a loop, its HTTP server, and the sessions on it.

internal import Chat
internal import Configuration
internal import Dialects
internal import EventLoop
internal import Framing
internal import HTTPTransport
internal import JSON
internal import Observability
internal import Relay

/// What workers are told by the one that leads them.
enum WorkerMessage: Sendable {
    /// The backends are known anew.
    case fleet(Fleet)
    /// The configuration was read anew.
    case configuration(Configuration)
    /// What the front desk says.
    case news(DeskNews)
    /// Accept no more, let streams end, stop when none is left.
    case drain
    /// Time is up: what is left gets an error.
    case stopSessions
    /// End at once.
    case stop
    /// What another worker says.
    case talk(WorkerTalk)
}

/// One event loop and everything on it. Workers share nothing: they get immutable values by mail.
final class Worker {
    let loop: Loop
    private(set) var configuration: Configuration
    /// Chunks on their way out, framed as events; and as lines, for completions that are assembled.
    /// Used within one turn, so all sessions share them.
    var events = ChunkSink(framing: .serverSentEvents, headroom: ChunkFraming.headroom)
    var lines = ChunkSink(framing: .lines, headroom: 0)

    /// Idle connections to backends.
    let pool: ConnectionPool
    private(set) var fleet: Fleet
    private(set) var server: HTTPServer?
    private(set) var mailbox: Mailbox<WorkerMessage>?
    /// By the ids of their tickets.
    private(set) var sessions: [UInt64: ChatSession] = [:]
    private(set) var isDraining = false
    var ids: RequestIDs
    let log: Log
    /// What is counted here.
    var meter = Meter()
    /// What all keys have used; the leading worker has it.
    var ledger: KeyLedger?
    /// Requests that wait for the leading worker's word on their key, and mail it cannot get yet.
    var questions: [Int: KeyQuestion] = [:]
    var lastQuestion = 0
    /// Requests that wait for what backends tell of themselves.
    var inquiries: [ObjectIdentifier: Inquiry] = [:]
    /// What backends are being asked for them.
    var sharedQuestions: [BackendQuestion.Key: SharedQuestion] = [:]
    var unsent: [WorkerTalk] = []
    /// Requests that came before the backends were asked.
    var earlyRequests: [Int: EarlyRequest] = [:]
    var lastEarly = 0
    private(set) var access: AccessPolicy
    /// Begun anew whenever fleet or configuration change.
    var memory = WorkerMemory()
    /// What the live page is shown of here, and who looks at it.
    var page = PageBook()
    /// What the front desk knows of here.
    var desk = DeskBook()
    /// Called once everything is closed.
    var hasClosed: () -> Void = {}

    /// Makes a worker on `loop` that does not listen yet.
    init(on loop: Loop, _ configuration: Configuration, seed: UInt64, log: Log) {
        self.loop = loop
        self.configuration = configuration
        self.log = log
        ids = RequestIDs(seed: seed)
        pool = ConnectionPool(on: loop)
        access = AccessPolicy(configuration, ownHostName: ownHostName())
        fleet = Fleet(configuration, [])
        mailbox = Mailbox(on: loop) { [unowned self] in receive($0) }
        server = HTTPServer(
            on: loop, options: HTTPServer.Options(configuration),
            refusalReply: { [unowned self] in reply(to: $0) },
            handler: { [unowned self] in handle($0) })
    }

    /// Reads certificate and key; connections made from now on are secured with them.
    func loadCertificate() throws(TLSError) {
        server?.tls = try configuration.tls.map { files throws(TLSError) in
            try TLSContext(certificate: files.certificate, key: files.key)
        }
    }

    /// Listens on one more address; says which, with its port.
    @discardableResult
    func listen(on address: SocketAddress) throws(SocketError) -> SocketAddress {
        guard let server else { return address }
        return try server.listen(on: address, sharesPort: configuration.workers > 1)
    }

    /// Listens on a socket of the service manager's.
    func listen(on socket: InheritedSocket) throws(SocketError) { try server?.listen(on: socket) }

    private func receive(_ message: WorkerMessage) {
        switch message {
        case .fleet(let fleet):
            self.fleet = fleet
            memory = WorkerMemory()
            rerouteWaiting()
            resumeEarlyRequests()
        case .configuration(let configuration): reconfigure(configuration)
        case .news(let news): hear(news)
        case .drain:
            isDraining = true
            server?.drain()
            resumeEarlyRequests()
            stopIfDone()
        case .stopSessions:
            for session in sessions.values {
                session.stop(.shuttingDown, APIError(.shuttingDown, "Sluice is shutting down."))
            }
            loop.afterThisTurn { [self] in close() }
        case .stop: close()
        case .talk(let talk): hear(talk)
        }
    }

    /// Takes settings for the requests that come from now on; those that are here keep theirs.
    private func reconfigure(_ configuration: Configuration) {
        self.configuration = configuration
        memory = WorkerMemory()
        access = AccessPolicy(configuration, ownHostName: ownHostName())
        ledger?.reconfigure(configuration.keys)
        server?.options = HTTPServer.Options(configuration)
        pool.forgetAuthorities()
        do throws(TLSError) {
            try loadCertificate()
        } catch {
            log.write(.error, "the certificate stays the one there was: \(error.message)")
        }
    }

    /// Drops every connection, and tells when that is done.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        // Dropping tells nobody, and every request has its log line.
        for session in sessions.values { session.cutOff(.shuttingDown) }
        giveUpWaiting()
        server?.dropAll()
        pool.closeAll()
        // The connections go at the end of this turn, so this comes after them.
        loop.afterThisTurn { [self] in hasClosed() }
    }
    private var isClosed = false

    func stopIfDone() {
        guard isDraining, isIdle else { return }
        loop.afterThisTurn { [self] in if isIdle { close() } }
    }

    /// Whether nobody waits for anything: neither for a model nor for another worker's word.
    private var isIdle: Bool {
        sessions.isEmpty && questions.isEmpty && earlyRequests.isEmpty && meter.scrapes.isEmpty
            && inquiries.isEmpty && page.isIdle
    }

    // MARK: - Requests

    private func handle(_ exchange: Exchange) {
        meter.metrics.requestArrived()
        let incoming = IncomingRequest(
            exchange, id: ids.accept(exchange.header("x-request-id")), began: loop.now)
        let caller = Caller(exchange, path: incoming.path, offersKey: access.hasKeys)
        incoming.key = access.key(of: caller)
        incoming.record.key = incoming.key?.name
        if let error = access.refuse(caller, with: incoming.key) {
            return refuse(incoming, error)
        }
        answer(incoming)
    }

    func begin(_ session: ChatSession) {
        sessions[session.ticketID] = session
        session.begin()
    }

    func ended(_ session: ChatSession) {
        sessions[session.ticketID] = nil
        finished(session.record)
        // The session may be in the middle of a callback of its own.
        loop.afterThisTurn { _ = session }
        stopIfDone()
    }

    /// Answers at once, and logs.
    func respond(_ incoming: IncomingRequest, _ reply: Reply, ending: Ending = .completed) {
        var reply = reply
        reply.fields += corsFields(for: incoming.exchange)
        var record = incoming.record
        record.status = reply.status
        record.ending = ending
        record.totalMilliseconds = incoming.began.milliseconds(to: loop.now)
        incoming.exchange.respond(reply)
        finished(record)
    }

    func refuse(_ incoming: IncomingRequest, _ error: APIError, fields: [Reply.HeaderLine] = []) {
        var reply = incoming.clientProtocol.reply(error, incoming.identity.id)
        reply.fields += fields
        respond(incoming, reply, ending: error.refusalEnding)
    }

    /// The answer to what the HTTP layer itself refuses.
    private func reply(to refusal: HTTPServer.Refusal) -> Reply {
        let error: APIError
        switch refusal.cause {
        case .request(let refusal):
            error = APIError(ErrorCode(rawValue: refusal.code) ?? .badRequest, refusal.message)
        case .overloaded:
            error = APIError(
                .overloaded, "Sluice has as many connections or request bodies as it is allowed.")
        case .shuttingDown: error = APIError(.shuttingDown, "Sluice is shutting down.")
        }
        // What has no valid head has no method and no path, but it has its line in the log.
        var record = RequestRecord(
            id: ids.next(), method: "-", path: "-",
            ending: error.refusalEnding,
            totalMilliseconds: 0)
        record.client = refusal.clientAddress
        record.status = error.status
        meter.metrics.requestArrived()
        finished(record)
        var reply = ClientProtocol.openAI.reply(error, record.id)
        reply.fields += access.corsFields(origin: refusal.origin)
        return reply
    }

    func corsFields(for exchange: Exchange) -> [Reply.HeaderLine] {
        access.corsFields(origin: exchange.header("origin"))
    }

    // MARK: - What sessions ask

    /// Seconds since 1970.
    var wallSeconds: Int { Clock.wall().seconds }

    var reasoningField: Chat.ReasoningField {
        switch configuration.reasoning {
        case .reasoningContent: .reasoningContent
        case .reasoning: .reasoning
        case .both: .both
        case .none: .none
        }
    }

    /// What the bytes of an upstream being wrong means for the session and its client.
    func translate(_ error: DialectError, _ candidate: Candidate) -> (Ending, APIError) {
        let name = candidate.name
        switch error {
        case .endedEarly:
            return (
                .upstreamClosed,
                APIError(
                    .upstreamClosed,
                    "The backend '\(name)' ended its answer before it was complete.")
            )
        case .malformedFrame(let excerpt):
            return (
                .upstreamProtocol,
                APIError(
                    .upstreamProtocol, "The backend '\(name)' sent what cannot be read: \(excerpt)")
            )
        case .strayText(let excerpt):
            return (
                .upstreamProtocol,
                APIError(
                    .upstreamProtocol, "The backend '\(name)' broke its stream off with: \(excerpt)"
                )
            )
        case .frameTooLong(let limit):
            return (
                .upstreamProtocol,
                APIError(
                    .upstreamProtocol,
                    "The backend '\(name)' sent more than \(limit) bytes in one piece.")
            )
        case .reported(let json):
            let error = reported(json, name)
            return (error.upstreamEnding, error)
        }
    }

    /// An error the upstream told inside its stream.
    private func reported(_ json: [UInt8], _ name: String) -> APIError {
        // The decoder has read it as JSON already.
        guard let value = try? JSONText(json) else {
            return APIError(.upstreamFailed, "The backend '\(name)' failed.")
        }
        return apiError(forErrorValue: value, backend: name)
    }

    /// What an answer that is no stream means.
    func translate(_ head: ResponseHead, _ body: [UInt8], backend name: String) -> APIError {
        if head.status < 400 {
            return APIError(
                .upstreamProtocol, "The backend '\(name)' answered with status \(head.status).")
        }
        let failure = UpstreamFailure(
            status: head.status, contentType: head.value(for: "content-type"), body: body,
            retryAfter: head.value(for: "retry-after"))
        return apiError(for: failure, backend: name)
    }

    /// The error for an ending that nobody described closer.
    func error(for ending: Ending, _ backend: BackendState) -> APIError {
        let timeouts = configuration.timeouts(for: backend.settings)
        let name = backend.name
        func after(_ limit: Duration?, _ what: String) -> String {
            let seconds = Double((limit ?? .zero).wholeMilliseconds) / 1000
            return "The backend '\(name)' \(what) within \(seconds) s."
        }
        switch ending {
        case .connectTimeout:
            return APIError(
                .connectTimeout, after(timeouts.connect, "did not accept a connection"))
        case .firstTokenTimeout:
            return APIError(
                .firstTokenTimeout, after(timeouts.firstToken, "did not send a first token"))
        case .tokenTimeout:
            return APIError(.tokenTimeout, after(timeouts.token, "did not send another token"))
        case .totalTimeout:
            return APIError(.totalTimeout, after(timeouts.total, "did not end its answer"))
        case .queueTimeout:
            return APIError(.queueTimeout, "No slot became free in time.")
        case .shuttingDown: return APIError(.shuttingDown, "Sluice is shutting down.")
        case .completed, .clientLeft, .clientStalled, .stoppedByOperator, .refused, .queueFull,
            .upstreamRefused, .upstreamUnreachable, .upstreamFailed, .upstreamClosed,
            .upstreamProtocol, .internal, .requestTimeout:
            return APIError(.upstreamFailed, "The backend '\(name)' failed (\(ending.rawValue)).")
        }
    }
}

extension HTTPServer.Options {
    /// The transport's share of the configuration.
    init(_ configuration: Configuration) {
        let (limits, timeouts) = (configuration.limits, configuration.timeouts)
        self.init(
            limits: RequestLimits(
                requestLine: limits.requestLine, head: limits.head, headFields: limits.headFields,
                body: limits.body),
            deadlines: HTTPServer.ClientDeadlines(
                requestHead: timeouts.requestHead, requestBody: timeouts.requestBody,
                requestTotal: timeouts.requestTotal, idle: timeouts.idle,
                clientStall: timeouts.clientStall),
            connections: limits.connections, bodies: limits.bodies,
            // One more read of the upstream must fit between the pause and the limit. The kernel
            // has swallowed megabytes before the first byte waits here.
            blockedAbove: limits.streamBuffer / 4, drainedBelow: limits.streamBuffer / 16)
    }
}
