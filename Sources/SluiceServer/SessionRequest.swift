// What a session asks of its upstream, and what it knows of the request that it is for.

internal import Chat
internal import Dialects
internal import EventLoop
internal import HTTPTransport
internal import Observability

extension ChatSession {
    /// What is known of the request so far.
    var record: RequestRecord { incoming.record }

    /// When the request came.
    var began: Instant { incoming.began }

    /// Where the candidate goes, as it is known now: addresses may have changed while it waited.
    var currentDestination: Destination {
        let known = candidate.destination
        guard known.fleet !== worker.fleet else { return known }
        return Destination(known.route, worker.fleet, worker.configuration) ?? known
    }

    func streamOptions() -> StreamOptions {
        let destination = candidate.destination
        var options = StreamOptions(
            id: form.idPrefix + incoming.identity.id, created: worker.wallSeconds, model: plan.model
        )
        options.clientID = exchange.clientID
        // A completion always says its usage.
        options.includeUsage = form.includesUsage || !wantsStream
        options.choiceCount = form.choiceCount
        options.reasoning = worker.reasoningField
        options.thinkTags = destination.thinkTags
        options.isLlamaServer = destination.backend.kind == .llamaServer
        options.tokenLimit = candidate.upstream.tokenLimit
        return options
    }

    /// The request as it is sent to `destination`.
    func callRequest(to destination: Destination) -> CallRequest {
        let source = candidate.upstream.source ?? exchange.body
        let body = candidate.upstream.body.map { part -> CallRequest.Piece in
            switch part {
            case .bytes(let bytes): .bytes(bytes)
            case .client(let range): .part(source, range)
            }
        }
        let head = destination.backend.head.bytes(
            "POST", candidate.upstream.path, bodyLength: candidate.upstream.contentLength,
            accept: form.accept(candidate.destination.dialect), identity: incoming.identity)
        return CallRequest(head: head, body: body)
    }
}

/// An error on the heap: few sessions have one, and up to 1,032 bytes the allocator is fast.
final class ToldFailure {
    let error: APIError

    init(_ error: APIError) { self.error = error }
}
