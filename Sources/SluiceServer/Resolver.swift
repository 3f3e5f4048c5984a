// Finds the addresses of host names without holding up the loop.

internal import Configuration
internal import EventLoop
internal import Glibc
internal import HTTPTransport

/// Asks the system's resolver in a thread of its own. Lives on one loop.
///
/// The resolver blocks for as long as it likes, half a minute when its servers are gone. A thread
/// for each question is more than is needed and as simple as can be: a backend has one question at
/// a time.
final class Resolver {
    typealias Outcome = Result<[SocketAddress], SocketError>

    private let loop: Loop
    private var thread: Thread?
    private var mailbox: Mailbox<Outcome>?

    init(on loop: Loop) { self.loop = loop }

    /// Whether a question is under way.
    var isBusy: Bool { thread != nil }

    /// Finds the addresses of `url`, the preferred first. What needs no resolver is told before
    /// this returns. Not to be called while it is busy.
    func resolve(_ url: BackendURL, then completion: @escaping (Outcome) -> Void) {
        if url.scheme == .unix {
            let path = url.socketPath
            let address = SocketAddress(unixPath: path)
            return completion(
                address.map { .success([$0]) }
                    ?? .failure(
                        .failed(operation: "connect to", address: path, errno: ENAMETOOLONG)))
        }
        let (host, port) = (url.host, url.port)
        if IPAddress(host) != nil { return completion(Self.ask(host, port)) }
        let mailbox = Mailbox<Outcome>(on: loop) { [unowned self] outcome in
            // Sending was the last thing it did, so this does not wait.
            thread?.join()
            thread = nil
            completion(outcome)
        }
        self.mailbox = mailbox
        let address = mailbox.address
        thread = Thread { address.send(Self.ask(host, port)) }
        if thread == nil { completion(.failure(.unknownHost(host, reason: "no more threads"))) }
    }

    private static func ask(_ host: String, _ port: Int) -> Outcome {
        do throws(SocketError) {
            return .success(try SocketAddress.resolve(host: host, port: port))
        } catch {
            return .failure(error)
        }
    }
}
