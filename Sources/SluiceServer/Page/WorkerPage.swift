// A worker's part of the live page: its files, who looks, and the Stop button.

internal import Chat
internal import EventLoop
internal import Framing
internal import HTTPTransport
internal import JSON
internal import Observability
internal import Relay

/// What workers say to each other about the live page.
enum PageTalk: Sendable {
    /// To the leading worker: somebody looks, or no longer does.
    case interest(PageInterest, worker: Int)
    /// To all: what is there to show? Ended requests up to a number are known.
    case look(
        round: Int, since: UInt64, limit: Int, for: Mailbox<WorkerMessage>.Address)
    /// The answer.
    case seen(round: Int, worker: Int, PageSight)
    /// To those with somebody who looks.
    case show(PageSnapshot)
    /// End a request of yours.
    case stop(PageID, question: Int, for: Mailbox<WorkerMessage>.Address)
    /// Whether it was there to be ended.
    case stopped(question: Int, Bool)
}

/// What a worker keeps for the page. All of it has a bound.
struct PageBook {
    /// How many may look at a time, on each worker.
    static let watcherLimit = 16
    /// How many may wait for an answer.
    static let questionLimit = 64

    /// The worker's number; the leading one has 0.
    var number = 0
    var recent = RecentRequests(limit: Watchtower.recentLimit)
    /// Tokens of answers that have ended.
    var endedTokens: UInt64 = 0
    var watchers: [ObjectIdentifier: PageWatcher] = [:]
    /// Those who wait for figures or for the end of a request.
    var questions: [Int: PageQuestion] = [:]
    var lastQuestion = 0
    var tower: Watchtower?

    /// Whether nobody waits for an answer. Who only looks on does not keep Sluice from ending.
    var isIdle: Bool { questions.isEmpty }

    /// A request has ended.
    mutating func ended(_ record: RequestRecord, at time: WallTime) {
        endedTokens &+= UInt64(max(0, record.events))
        guard record.isOfInterest else { return }
        recent.append(RecentRequest(time: time, record: record.clipped))
    }

    /// Everybody who is owed a line in the log when everything is closed.
    mutating func takeAll() -> [IncomingRequest] {
        defer { (questions, watchers) = ([:], [:]) }
        for watcher in watchers.values { watcher.end() }
        for question in questions.values { question.incoming.exchange.observer = nil }
        return questions.values.map(\.incoming) + watchers.values.map(\.incoming)
    }
}

extension Worker {
    // MARK: - Answering

    func respondWithPage(_ incoming: IncomingRequest, _ path: PagePath) {
        let site = incoming.exchange.header("sec-fetch-site")
        if case .file(let file) = path {
            return respond(incoming, file.reply(incoming.identity.id))
        }
        if let error = access.refusePage(
            Caller(incoming.exchange, path: incoming.path), site: site, key: incoming.key)
        {
            return refuse(incoming, error)
        }
        switch path {
        case .file: break
        case .state:
            if ask(incoming, { [unowned self] in answer($0, with: $1) }) != nil { want(.once) }
        case .events: watch(incoming)
        case .stop(let id): stop(incoming, id)
        }
    }

    private func want(_ interest: PageInterest) {
        guard page.number == 0 else {
            return tellLeader(.page(.interest(interest, worker: page.number)))
        }
        take(interest, of: 0)
    }

    private func take(_ interest: PageInterest, of number: Int) {
        let tower = page.tower ?? Watchtower(self)
        page.tower = tower
        tower.take(interest, of: number)
    }

    /// What another worker says.
    func hear(_ talk: PageTalk) {
        switch talk {
        case .interest(let interest, let worker): take(interest, of: worker)
        case .look(let round, let since, let limit, let asking):
            let sight = sight(since: since, limit: limit)
            asking.send(.talk(.page(.seen(round: round, worker: page.number, sight))))
        case .seen(let round, let worker, let sight):
            page.tower?.take(sight, of: worker, round: round)
        case .show(let snapshot): show(snapshot)
        case .stop(let id, let question, let asking):
            asking.send(.talk(.page(.stopped(question: question, stop(id)))))
        case .stopped(let question, let wasThere):
            page.questions[question]?.answer(.stopped(wasThere))
        }
    }

    // MARK: - Looking

    private func watch(_ incoming: IncomingRequest) {
        guard page.watchers.count < PageBook.watcherLimit else {
            return refuse(
                incoming,
                APIError(
                    .overloaded, "As many pages are open as may. Close one of them, or wait."))
        }
        let watcher = PageWatcher(self, incoming)
        page.watchers[ObjectIdentifier(watcher)] = watcher
        // Its beginning may find that its client has left already, and then says that nobody looks.
        want(.on)
        watcher.begin()
    }

    /// Shows what there is to everybody here who looks. Who has not read the last one yet is not
    /// sent another: the next is as good.
    func show(_ snapshot: PageSnapshot) {
        for question in page.questions.values { question.answer(.snapshot(snapshot)) }
        var buffer = [UInt8](repeating: 0, count: ChunkFraming.headroom)
        for watcher in page.watchers.values where !watcher.isBehind {
            watcher.show(snapshot, through: &buffer)
        }
    }

    /// Somebody has looked enough.
    func ended(_ watcher: PageWatcher, _ ending: Ending) {
        guard page.watchers.removeValue(forKey: ObjectIdentifier(watcher)) != nil else { return }
        watcher.incoming.exchange.observer = nil
        // This is one of its callbacks.
        loop.afterThisTurn { _ = watcher }
        if page.watchers.isEmpty { want(.off) }
        var record = watcher.incoming.record
        record.status = 200
        record.ending = ending
        record.totalMilliseconds = watcher.incoming.began.milliseconds(to: loop.now)
        finished(record)
    }

    private func answer(_ incoming: IncomingRequest, with news: PageQuestion.News) -> Bool {
        guard case .snapshot(let snapshot) = news else { return false }
        var json = snapshot.state
        json.append(#","recent":"#)
        json.append(contentsOf: snapshot.recent)
        json.append("}\n")
        var reply = Answers.json(json, incoming.identity.id)
        reply.fields.append(Reply.HeaderLine("Cache-Control", "no-store"))
        respond(incoming, reply)
        return true
    }

    // MARK: - Stopping

    private func stop(_ incoming: IncomingRequest, _ text: String) {
        guard let id = PageID(text) else { return tell(incoming, stopped: false, text) }
        let number = DeskIDs.worker(of: id.ticket)
        guard number != page.number, meter.colleagues.indices.contains(number),
            let own = mailbox?.address
        else { return tell(incoming, stopped: stop(id), text) }
        let question = ask(incoming) { [unowned self] incoming, news in
            guard case .stopped(let wasThere) = news else { return false }
            tell(incoming, stopped: wasThere, text)
            return true
        }
        guard let question else { return }
        meter.colleagues[number].send(.talk(.page(.stop(id, question: question, for: own))))
    }

    /// Ends a request of this worker; whether it was there to be ended. What is only being
    /// delivered has no backend any more.
    private func stop(_ id: PageID) -> Bool {
        guard let session = sessions[id.ticket], session.deadlines.phase != .delivering else {
            return false
        }
        session.stop(.stoppedByOperator, .stoppedByOperator)
        return true
    }

    private func tell(_ incoming: IncomingRequest, stopped: Bool, _ id: String) {
        guard stopped else {
            return refuse(
                incoming,
                APIError(.unknownPath, "No request '\(id.clipped)' is running; it may have ended."))
        }
        var json = Array(#"{"stopped":"#.utf8)
        json.appendJSONString(id)
        json.append("}\n")
        respond(incoming, Answers.json(json, incoming.identity.id))
    }

    // MARK: - Waiting for an answer

    /// Keeps a request until its answer is known; the number of its question, or `nil` if it was
    /// refused.
    private func ask(
        _ incoming: IncomingRequest,
        _ take: @escaping (IncomingRequest, PageQuestion.News) -> Bool
    ) -> Int? {
        guard page.questions.count < PageBook.questionLimit else {
            refuse(incoming, APIError(.overloaded, "Too many ask for figures at a time."))
            return nil
        }
        page.lastQuestion += 1
        let question = PageQuestion(self, page.lastQuestion, incoming, take)
        page.questions[question.number] = question
        question.begin()
        return question.number
    }
}
