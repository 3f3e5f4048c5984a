// `sluice --check` and `sluice models`: asks once and tells what is there.

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
    guard let address = configuration.listen.first else { return ("", false) }
    let loop = Loop()
    var result = FetchResult.failed(.call(.closedBeforeAnswer))
    do throws(SocketError) {
        let addresses = try Server.socketAddresses(of: address)
        var head = "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n"
        if let key = configuration.keys.first {
            head += "Authorization: Bearer \(key.key.text)\r\n"
        }
        // It has the certificate of this configuration, for whatever names that is.
        let security = configuration.tls.map {
            CallTarget.Security(host: "\(address)", .certificate($0.certificate))
        }
        let fetch = Fetch(
            CallRequest(head: Array((head + "\r\n").utf8)),
            to: CallTarget(addresses, security: security), through: ConnectionPool(on: loop),
            within: .seconds(5)
        ) {
            result = $0
            loop.stop()
        }
        fetch.start()
        loop.run()
    } catch {
        return (error.message + "\n", false)
    }
    switch result {
    case .failed(let why): return ("No Sluice answers at \(address): \(why.words)\n", false)
    case .answered(let head, let body):
        // Whatever is not JSON is not a list of models.
        guard head.status == 200, let list = try? JSONText(body)["data"]?.elements else {
            return ("\(address) answered with status \(head.status)\n", false)
        }
        return (list.compactMap { $0["id"]?.string }.map { $0 + "\n" }.joined(), true)
    }
}
