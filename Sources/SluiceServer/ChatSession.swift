// One chat: the driver that carries out what the session machine orders.

internal import Chat
internal import Configuration
internal import Dialects
internal import EventLoop
internal import Framing
internal import HTTPTransport
internal import JSON
internal import Observability
internal import Relay
internal import Routing

/// Everything between one chat request and its end. Lives on its worker's loop; the worker holds it
/// until `end`.
///
/// Tokens are handed straight from the call to the exchange. The machine hears of the first, of the
/// last, and of what is exceptional.
final class ChatSession {
    // What a token touches stands first, so that it lies together in memory.
    let worker: Worker
    let exchange: Exchange
    let wantsStream: Bool
    let clientProtocol: ClientProtocol
    /// How many of the decoder's events deadlines and metrics have heard of.
    private var notedEvents = 0
    private var pace = TokenPace()
    /// An answer that is no stream: its head, and its body as far as it is of use.
    private var refusal: (head: ResponseHead, body: [UInt8])?
    var decoder: SessionDecoder
    var deadlines: Deadlines

    let form: AnswerForm
    /// Where it goes; before the first grant, where it would like to go.
    var candidate: Candidate
    /// Where else it might go.
    let plan: RoutePlan
    /// Under which the front desk knows it.
    let ticketID: UInt64
    /// What its client says of its hurry.
    let priority: KeyPriority?
    /// How it stands with that.
    var slot = Slot.none
    /// Why the last attempt failed.
    var attemptFailure: AttemptFailure?
    /// How it ends if there is no further attempt.
    var attemptEnding = Ending.internal
    /// A comment is due as soon as it is known how many are before this one.
    var owesComment = false
    let incoming: IncomingRequest

    private var machine: SessionMachine
    private var waiting: [Fact] = []
    private var isTakingTurns = false

    private(set) var call: Call?
    private var assembler: (any AnswerAssembler)?
    private static let refusalLimit = 64 * 1024
    /// What the client is told if the session fails.
    var failure: APIError? {
        get { toldFailure?.error }
        set { toldFailure = newValue.map(ToldFailure.init) }
    }
    private var toldFailure: ToldFailure?

    private var timer: Timer?
    private var dispatched: Instant?

    init(
        _ worker: Worker, _ incoming: IncomingRequest, _ form: AnswerForm, _ plan: RoutePlan
    ) throws(APIError) {
        self.worker = worker
        exchange = incoming.exchange
        self.form = form
        clientProtocol = incoming.clientProtocol
        wantsStream = form.wantsStream
        decoder = form.makeIdleDecoder()
        candidate = plan.candidates[0]
        self.plan = plan
        ticketID = worker.desk.ids.next()
        priority = try incoming.exchange.priority()
        self.incoming = incoming
        incoming.record.model = plan.model
        machine = SessionMachine(wantsStream: wantsStream)
        deadlines = Deadlines(
            candidate.destination.deadlines,
            wantsStream: wantsStream, now: incoming.began.nanoseconds)
        assembler = form.makeAssembler(limitBytes: worker.configuration.limits.completion)
        timer = Timer(on: worker.loop) { [unowned self] in lookAtClocks() }
    }

    /// Begins. The client may leave from here on.
    func begin() {
        exchange.observer = self
        askForSlot()
        // Afterwards, for who is granted a slot at once waits for something else already.
        if !machine.hasEnded { armTimer() }
    }

    /// Events of the answer so far, which stand for its tokens.
    var tokensSoFar: Int { decoder.dataEvents }

    // MARK: - Turns

    /// Tells the machine what happened, then carries out its orders.
    ///
    /// An order may itself make something happen before it returns: a send may find that the client
    /// has left. Such facts wait in line, so the machine is never told of one in the middle of
    /// another.
    func happened(_ fact: Fact) {
        guard !isTakingTurns else { return waiting.append(fact) }
        isTakingTurns = true
        defer { isTakingTurns = false }
        for order in machine.receive(fact) { carryOut(order) }
        while !waiting.isEmpty {
            for order in machine.receive(waiting.removeFirst()) { carryOut(order) }
        }
    }

    private func carryOut(_ order: Order) {
        switch order {
        case .callUpstream: callUpstream()
        case .askAgain(let ending):
            letUpstreamGo { $0.cancel() }
            enter(.queued)
            askAgain(ending)
        case .pauseUpstream:
            call?.pause()
            pace.interrupt()
            enter(.paused)
        case .resumeUpstream:
            call?.resume()
            enter(.streaming)
        case .abortUpstream:
            let isCancelled = call != nil
            letUpstreamGo { $0.cancel() }
            giveSlotBack(attemptFailure?.healthFact(othersStand: false), isCancelled: isCancelled)
        case .releaseUpstream:
            letUpstreamGo { $0.release() }
            giveSlotBack(.succeeded)
        case .startStream: startStream()
        case .sendHead:
            exchange.flush()
            deadlines.headSent(now: worker.loop.now.nanoseconds)
            armTimer()
        case .finishStream: finishStream()
        case .sendCompletion: sendCompletion()
        case .failWithStatus(let ending): failWithStatus(ending)
        case .failInStream(let ending): failInStream(ending)
        case .end(let ending): end(ending)
        }
    }

    // MARK: - The upstream

    private func callUpstream() {
        let destination = currentDestination
        incoming.record.backend = destination.backend.name
        (refusal, attemptFailure, notedEvents) = (nil, nil, 0)
        let limits = worker.configuration.limits
        decoder = form.makeDecoder(
            candidate.destination.dialect, streamOptions(),
            limits: (limits.event, limits.completion))
        call = Call(
            callRequest(to: destination),
            to: destination.call, connectLimit: destination.connectLimit,
            through: worker.pool, headLimit: limits.upstreamHead)
        dispatched = worker.loop.now
        incoming.record.queueMilliseconds = began.milliseconds(to: worker.loop.now)
        deadlines.settings = destination.deadlines
        enter(.connecting)
        call?.start(self)
    }

    private func letUpstreamGo(_ how: (Call) -> Void) {
        guard let ended = call else { return }
        call = nil
        how(ended)
        // This may be one of its callbacks.
        worker.loop.afterThisTurn { _ = ended }
    }

    /// Sends what the decoder has made of the bytes just read, at `now`.
    private func passOn(now: Instant) {
        if wantsStream {
            guard !worker.events.isEmpty else { return }
            exchange.write(&worker.events.bytes)
            worker.events.reset()
            deadlines.sentToClient(now: now.nanoseconds)
        } else {
            assemble()
        }
    }

    private func assemble() {
        guard !worker.lines.isEmpty else { return }
        do throws(CompletionError) {
            let lines = worker.lines.bytes
            try assembler?.take(lines: lines.span)
        } catch {
            failure = .cannotAssemble(error, candidate.name)
            attemptFailure = .final
            happened(.upstreamFailed(.upstreamProtocol))
        }
        worker.lines.reset()
    }

    private func feed(_ bytes: Span<UInt8>) throws(DialectError) {
        if wantsStream {
            worker.events.framing = clientProtocol.framing
            try decoder.feed(bytes, into: &worker.events)
        } else {
            try decoder.feed(bytes, into: &worker.lines)
        }
    }

    /// Everything the upstream has to say has come, or will not come any more.
    private func upstreamFinished(_ otherwise: DialectError? = nil) {
        do throws(DialectError) {
            if wantsStream {
                worker.events.framing = clientProtocol.framing
                try decoder.finish(into: &worker.events)
            } else {
                try decoder.finish(into: &worker.lines)
                assemble()
            }
            if decoder.dataEvents > 0 { noteFirstEvent() }
            happened(.answerCompleted)
        } catch {
            passOn(now: worker.loop.now)
            fail(otherwise ?? error)
        }
    }

    private func fail(_ error: DialectError) {
        let (ending, apiError) = worker.translate(error, candidate)
        failure = apiError
        attemptFailure = error == .endedEarly ? .broken : .final
        happened(.upstreamFailed(ending))
    }

    private func noteFirstEvent() {
        guard incoming.record.firstTokenMilliseconds == nil, let dispatched else { return }
        incoming.record.firstTokenMilliseconds = dispatched.milliseconds(to: worker.loop.now)
        pace = worker.answerBegan(incoming, dispatched: dispatched)
        happened(.firstEvent)
        enter(.streaming)
        releaseRequest()
    }

    /// From the first event on nobody else is asked: what was kept for that can go.
    private func releaseRequest() {
        plan.release()
        candidate.upstream.releaseBody()
        exchange.releaseBody()
    }

    // MARK: - The reply

    private func startStream() {
        incoming.record.status = 200
        var fields = clientProtocol.streamFields(incoming.identity.id)
        addBackendFields(to: &fields)
        let cors = worker.corsFields(for: exchange)
        if !cors.isEmpty { fields += cors }
        exchange.startStream(fields)
        deadlines.headSent(now: worker.loop.now.nanoseconds)
    }

    private func finishStream() {
        enter(.delivering)
        exchange.finishStream(&worker.events.bytes)
        worker.events.reset()
    }

    private func sendCompletion() {
        enter(.delivering)
        incoming.record.status = 200
        var fields = clientProtocol.documentFields(incoming.identity.id)
        fields += worker.corsFields(for: exchange)
        addBackendFields(to: &fields)
        exchange.respond(
            Reply(status: 200, fields: fields, body: assembler?.completion() ?? []))
    }

    private func failWithStatus(_ ending: Ending) {
        enter(.delivering)
        let error = failure ?? worker.error(for: ending, candidate.destination.backend)
        incoming.record.status = error.status
        var reply = clientProtocol.reply(error, incoming.identity.id)
        reply.fields += worker.corsFields(for: exchange)
        if let backend = incoming.record.backend {
            Answers.addBackendFields(backend, [], to: &reply.fields)
        }
        exchange.respond(reply)
    }

    private func failInStream(_ ending: Ending) {
        enter(.delivering)
        let error = failure ?? worker.error(for: ending, candidate.destination.backend)
        worker.events.framing = clientProtocol.framing
        decoder.appendFailure(error, into: &worker.events)
        exchange.finishStream(&worker.events.bytes)
        worker.events.reset()
    }

    /// The one way out.
    private func end(_ ending: Ending) {
        timer?.cancel()
        letUpstreamGo { $0.cancel() }
        leaveDesk()
        exchange.observer = nil
        incoming.record.ending = ending
        incoming.record.events = decoder.dataEvents
        if let usage = decoder.usage {
            incoming.record.promptTokens = usage.promptTokens
            incoming.record.completionTokens = usage.completionTokens
        }
        incoming.record.totalMilliseconds = began.milliseconds(to: worker.loop.now)
        worker.ended(self)
    }

    // MARK: - Clocks

    private func enter(_ phase: Deadlines.Phase) {
        deadlines.enter(phase, now: worker.loop.now.nanoseconds)
        armTimer()
    }

    /// The timer is not moved when a clock is put back, which every token does: it fires early, and
    /// sleeps on.
    func armTimer() {
        guard let next = deadlines.next else { return }
        timer?.arm(noLaterThan: Instant(nanoseconds: next))
    }

    private func lookAtClocks() {
        let now = worker.loop.now.nanoseconds
        switch deadlines.due(now: now) {
        case .deadline(let ending): deadlinePassed(ending)
        case .headGrace: happened(.headGracePassed)
        case .comment:
            // None into a client that is not reading.
            if !exchange.hasUnsentBytes { comment() }
            deadlines.sentToClient(now: now)
        case nil: break
        }
        if !machine.hasEnded { armTimer() }
    }

    private func deadlinePassed(_ ending: Ending) {
        // All that is missing may be the upstream's own goodbye.
        if decoder.isAnswerComplete {
            letUpstreamGo { $0.cancel() }
            return upstreamFinished()
        }
        failure = worker.error(for: ending, candidate.destination.backend)
        attemptFailure = ending == .connectTimeout ? .connectTimedOut : .deadlinePassed
        happened(
            ending == .connectTimeout ? .attemptFailed(ending) : .deadlinePassed(ending))
    }
}

// MARK: - The call

extension ChatSession: CallObserver {
    func callConnected(_ call: Call) {
        if let dispatched {
            incoming.record.connectMilliseconds = dispatched.milliseconds(to: worker.loop.now)
        }
        enter(.awaitingFirstEvent)
        happened(.upstreamConnected)
    }

    func callConnectsAgain(_ call: Call) {
        deadlines.connectsAgain(now: worker.loop.now.nanoseconds)
        armTimer()
    }

    func call(_ call: Call, received head: ResponseHead) {
        if head.status != 200 { refusal = (head, []) }
        // What a 503 means for the backend is told by its body.
        if head.status < 500 { worker.tell(.answered(ticketID), about: ticketID) }
    }

    func call(_ call: Call, received body: Span<UInt8>) {
        guard refusal == nil else { return keepRefusal(body) }
        do throws(DialectError) {
            try feed(body)
        } catch {
            // A failure that is the first thing said can still have its status.
            if !worker.events.isEmpty || !worker.lines.isEmpty {
                noteProgress(now: worker.loop.now)
            }
            // A complete answer stays one, whatever follows it.
            if decoder.isAnswerComplete { return upstreamFinished() }
            passOn(now: worker.loop.now)
            return fail(error)
        }
        guard decoder.isDone else { return }
        noteProgress(now: worker.loop.now)
        // What is in the sink leaves with the end of the stream, in one send.
        if !wantsStream { assemble() }
        happened(.answerCompleted)
    }

    /// What came with one read leaves in one send, however many chunks the upstream made of it.
    func callReadEnded(_ call: Call) {
        guard refusal == nil else { return }
        let now = worker.loop.now
        noteProgress(now: now)
        passOn(now: now)
    }

    private func noteProgress(now: Instant) {
        let events = decoder.dataEvents
        guard events != notedEvents else { return }
        deadlines.eventArrived(now: now.nanoseconds)
        worker.meter.metrics.eventsArrived(events - notedEvents, &pace, now: now.nanoseconds)
        let isFirst = notedEvents == 0
        if notedEvents < Self.settledAfter { layOutFootprint() }
        notedEvents = events
        if isFirst { noteFirstEvent() }
    }

    private func keepRefusal(_ part: Span<UInt8>) {
        let room = Self.refusalLimit - (refusal?.body.count ?? 0)
        refusal?.body.append(part.extracting(0..<min(room, part.count)))
    }

    func callEnded(_ call: Call) {
        self.call = nil
        worker.loop.afterThisTurn { _ = call }
        guard let refusal else { return upstreamFinished() }
        let error = worker.translate(
            refusal.head, refusal.body, backend: candidate.name)
        failure = error
        attemptFailure = AttemptFailure(status: refusal.head.status, error)
        happened(.answered(status: refusal.head.status, error))
    }

    func call(_ call: Call, failed callFailure: CallFailure) {
        self.call = nil
        worker.loop.afterThisTurn { _ = call }
        let name = candidate.name
        switch callFailure {
        case .unreachable:
            failure = .unreachable(callFailure, name)
            // Without a descriptor of ours the backend has not been asked, so nothing counts
            // against it.
            if callFailure.isOurs { return happened(.upstreamFailed(.refused)) }
            attemptFailure = AttemptFailure(callFailure)
            happened(.attemptFailed(.upstreamUnreachable))
        case .closedBeforeAnswer:
            failure = .closed(callFailure, name)
            attemptFailure = .broken
            happened(.attemptFailed(.upstreamClosed))
        case .closedEarly where refusal != nil: callEnded(call)
        // Nothing of an answer has come, so another may give one.
        case .closedEarly where decoder.dataEvents == 0:
            failure = .closed(callFailure, name)
            attemptFailure = .broken
            happened(.attemptFailed(.upstreamClosed))
        case .closedEarly: upstreamFinished(.endedEarly)
        case .malformed:
            if decoder.isAnswerComplete { return upstreamFinished() }
            failure = .malformed(callFailure, name)
            attemptFailure = .final
            happened(.upstreamFailed(.upstreamProtocol))
        }
    }
}
