// A worker's side of the front desk: asks for its sessions, and hands them the answers.

internal import Routing

/// The requests of one worker that the front desk knows of.
struct DeskBook {
    var line: DeskLine?
    var ids = DeskIDs(worker: 0)
    /// Operators who wait for an answer.
    var questions: [UInt64: IncomingRequest] = [:]
    /// Whose message is being handled right now: only that one hears news at once.
    var asking: UInt64?
    /// News for others, until the end of the turn.
    var later: [DeskNews] = []
}

extension Worker {
    /// Names the front desk, before the first request.
    func join(_ line: DeskLine, as number: Int) {
        desk.line = line
        desk.ids = DeskIDs(worker: number)
        page.number = number
    }

    /// Tells the desk something about the request with this id. Where the desk is on the same loop,
    /// its answer to this request has been heard when this returns.
    func tell(_ message: DeskMessage, about id: UInt64) {
        switch desk.line {
        case .direct(let frontDesk):
            let outer = desk.asking
            desk.asking = id
            frontDesk.take(message)
            desk.asking = outer
        case .mail(let address): address.send(message)
        case nil: break
        }
    }

    /// Takes news from a desk on the same loop. Other sessions than the one that asks hear of it at
    /// the end of the turn: they may be in the middle of something, and chunks in the sinks that
    /// all share are somebody's.
    func hearInTurn(_ news: DeskNews) {
        guard news.id != desk.asking else { return hear(news) }
        desk.later.append(news)
        guard desk.later.count == 1 else { return }
        loop.afterThisTurn { [self] in
            let news = desk.later
            desk.later = []
            for item in news { hear(item) }
        }
    }

    /// Hands news to whom it is for. A session that has ended has told the desk so; news that
    /// crossed it on the way mean nothing.
    func hear(_ news: DeskNews) {
        if case .description(let id, let json) = news {
            guard let incoming = desk.questions.removeValue(forKey: id) else { return }
            return respond(incoming, Answers.json(json, incoming.identity.id))
        }
        sessions[news.id]?.hear(news)
    }

    /// Routes those who wait by the backends as they are known now.
    func rerouteWaiting() {
        for session in sessions.values { session.reroute() }
    }
}
