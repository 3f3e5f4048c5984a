// Short ways for tests to write the values that the server works with.

import Configuration
import HTTPTransport

@testable import SluiceServer

/// The configuration of an empty file, changed.
func configuration(_ change: (inout Configuration) -> Void = { _ in }) -> Configuration {
    var configuration = Configuration()
    change(&configuration)
    return configuration
}

/// The policy of a configuration on a machine called `workshop`.
func policy(_ change: (inout Configuration) -> Void = { _ in }) -> AccessPolicy {
    AccessPolicy(configuration(change), ownHostName: "workshop")
}

/// A caller that names us rightly.
func caller(_ change: (inout Caller) -> Void = { _ in }) -> Caller {
    var caller = Caller()
    caller.method = .post
    caller.path = "/v1/chat/completions"
    caller.host = "127.0.0.1:8484"
    change(&caller)
    return caller
}

/// The fields of an answer, a line each.
func lines(_ fields: [Reply.HeaderLine]) -> [String] { fields.map { "\($0.name): \($0.value)" } }

/// A head or body as text.
func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

/// A backend called `gpu` at `url`.
func backend(
    _ url: String = "http://127.0.0.1:8080", _ change: (inout BackendSettings) -> Void = { _ in }
) throws -> BackendSettings {
    var backend = BackendSettings(name: "gpu", url: try BackendURL(url))
    change(&backend)
    return backend
}
