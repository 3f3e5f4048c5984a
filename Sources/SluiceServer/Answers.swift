// The head fields and error bodies of every answer.

internal import Chat
internal import Glibc
internal import HTTPTransport
internal import Relay

/// What answers have in common.
enum Answers {
    typealias Field = Reply.HeaderLine

    /// For a JSON body.
    static func jsonFields(_ requestID: String) -> [Field] {
        [Field("Content-Type", "application/json"), Field("x-request-id", requestID)]
    }

    /// A JSON document.
    static func json(_ body: [UInt8], _ requestID: String) -> Reply {
        Reply(status: 200, fields: jsonFields(requestID), body: body)
    }

    /// Who answered, and what it could not honour.
    static func addBackendFields(
        _ backend: String, _ ignored: [String], to fields: inout [Field]
    ) {
        fields.append(Field("x-sluice-backend", backend))
        if !ignored.isEmpty {
            fields.append(Field("x-sluice-ignored", ignored.joined(separator: ",")))
        }
    }
}

extension APIError {
    /// No connection could be made.
    static func unreachable(_ failure: CallFailure, _ backend: String) -> APIError {
        guard !failure.isOurs else {
            return APIError(
                .overloaded,
                "Sluice has no descriptor left to ask the backend '\(backend)'. Raise its limit with ulimit -n."
            )
        }
        return APIError(
            .upstreamUnreachable,
            "The backend '\(backend)' cannot be reached (\(failure.wordsWithoutAddress)). Check that it is running."
        )
    }

    /// The upstream closed before it answered.
    static func closed(_ failure: CallFailure, _ backend: String) -> APIError {
        APIError(.upstreamClosed, "The backend '\(backend)' \(failure.words).")
    }

    /// The upstream's HTTP cannot be read.
    static func malformed(_ failure: CallFailure, _ backend: String) -> APIError {
        APIError(.upstreamProtocol, "The backend '\(backend)' \(failure.words).")
    }

    /// A whole completion that does not fit into what we are willing to hold.
    static func cannotAssemble(_ error: CompletionError, _ backend: String) -> APIError {
        switch error {
        case .tooLong(let limit):
            APIError(
                .upstreamProtocol,
                "The answer of the backend '\(backend)' is longer than \(limit) bytes. Ask for a stream."
            )
        case .malformedChunk: .internalFault("The answer could not be put together.")
        }
    }
}

extension CallFailure {
    /// Whether this process has no descriptors left, which says nothing about the backend.
    var isOurs: Bool {
        guard case .unreachable(.failed(_, _, let number)) = self else { return false }
        return number == EMFILE || number == ENFILE
    }

    /// What happened, without an address: clients are not told where backends are.
    var wordsWithoutAddress: String {
        guard case .unreachable(let error) = self else { return words }
        switch error {
        case .failed(_, _, let number): return errorText(number)
        case .unknownHost: return "its host name is not known"
        case .insecure(_, let reason): return "TLS: \(reason)"
        case .addressInUse: return words
        }
    }
}
