// `sluice --check`: asks every backend once and tells what is there.

public import Configuration
internal import EventLoop
internal import HTTPTransport

/// Asks every backend of a valid configuration once.
///
/// - Returns: a report for people, and whether all is well: every configured backend answered, or,
/// with `isSearching`, at least one of those that are looked for.
public func checkBackends(
    _ configuration: Configuration, isSearching: Bool = false
) -> (report: String, isFine: Bool) {
    let loop = Loop()
    var answers: [BackendState] = []
    let discovery = Discovery(through: ConnectionPool(on: loop), configuration.backends) { states in
        answers = states
        loop.stop()
    }
    discovery.start()
    loop.run()
    var report = ""
    for backend in answers {
        report += "\(backend.name): \(backend.settings.url): \(backend.summary)\n"
        for model in backend.models where backend.isUp { report += "  \(model.id)\n" }
    }
    let isFine = isSearching ? answers.contains(where: \.isUp) : answers.allSatisfy(\.isUp)
    return (report, isFine)
}
