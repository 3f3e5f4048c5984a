// `sluice --check` and `sluice models`: asks once and tells what is there. And how a Sluice that runs is asked.

public import Configuration
internal import EventLoop
internal import HTTPTransport
internal import JSON

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

/// Asks the Sluice that runs at the configuration's first address for its models.
///
/// - Returns: the names, a line each, or why there are none.
public func askForModels(_ configuration: Configuration) -> (report: String, isFine: Bool) {
    switch askRunning(configuration, "/v1/models") {
    case .failure(let report): return (report, false)
    case .success(let body):
        // Whatever is not JSON is not a list of models.
        guard let list = try? JSONText(body)["data"]?.elements else {
            return (
                "\(runningAddress(configuration)) did not answer with a list of models\n", false
            )
        }
        return (list.compactMap { $0["id"]?.string }.map { $0 + "\n" }.joined(), true)
    }
}

// MARK: - Asking the Sluice that runs

/// An answer's body, or a line that says why there is none.
enum RunningAnswer {
    case success([UInt8])
    case failure(String)
}

/// Gets a path of the Sluice that runs at the configuration's first address.
func askRunning(_ configuration: Configuration, _ path: String) -> RunningAnswer {
    let loop = Loop()
    var result = FetchResult.failed(.call(.closedBeforeAnswer))
    do throws(SocketError) {
        let fetch = Fetch(
            runningRequest(configuration, path), to: try runningTarget(configuration),
            through: ConnectionPool(on: loop), within: .seconds(5)
        ) {
            result = $0
            loop.stop()
        }
        fetch.start()
        loop.run()
    } catch {
        return .failure(error.message + "\n")
    }
    let address = runningAddress(configuration)
    switch result {
    case .failed(let why): return .failure("No Sluice answers at \(address): \(why.words)\n")
    case .answered(let head, let body):
        if head.status == 200 { return .success(body) }
        // An error's own words, where it has some.
        let message = (try? JSONText(body))?["error"]?["message"]?.string
        return .failure(
            "\(address) answered with status \(head.status)\(message.map { ": " + $0 } ?? "")\n")
    }
}

func runningAddress(_ configuration: Configuration) -> ListenAddress {
    configuration.listen.first ?? .standard
}

func runningTarget(_ configuration: Configuration) throws(SocketError) -> CallTarget {
    let address = runningAddress(configuration)
    // It has the certificate of this configuration, for whatever names that is.
    var security = configuration.tls.map {
        CallTarget.Security(host: "\(address)", .certificate($0.certificate))
    }
    // There it never has TLS.
    if case .unix = address { security = nil }
    return CallTarget(try Server.socketAddresses(of: address), security: security)
}

func runningRequest(_ configuration: Configuration, _ path: String) -> CallRequest {
    var head = "GET \(path) HTTP/1.1\r\nHost: localhost\r\n"
    // One that may look at /ui, if there is one.
    if let key = configuration.keys.first(where: \.mayWatch) ?? configuration.keys.first {
        head += "Authorization: Bearer \(key.key.text)\r\n"
    }
    return CallRequest(head: Array((head + "\r\n").utf8))
}
