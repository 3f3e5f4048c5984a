// `sluice --check`: asks the backends once and tells what is there.

public import Configuration
internal import EventLoop

/// Asks every backend of a valid configuration once.
///
/// - Returns: a report for people, and whether at least one backend answered and none is wrongly configured.
public func checkBackends(_ configuration: Configuration) -> (report: String, isFine: Bool) {
    let loop = Loop()
    var answers: [BackendState] = []
    let discovery = Discovery(on: loop, configuration.backends) { states in
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
    return (report, answers.allSatisfy(\.isUp))
}
