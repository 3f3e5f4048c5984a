// The fields and bodies of answers, and the word each failure leaves in the log.

import Chat
import Configuration
import HTTPTransport
import Relay
import Testing

@testable import SluiceServer

@Suite struct AnswerFields {
    @Test func ofAStream() {
        #expect(
            lines(ClientProtocol.openAI.streamFields("r1")) == [
                "Content-Type: text/event-stream; charset=utf-8", "Cache-Control: no-cache",
                "X-Accel-Buffering: no", "x-request-id: r1",
            ])
    }

    @Test func nameWhatCouldNotBeHonoured() {
        func fields(_ ignored: [String]) -> [String] {
            var fields: [Reply.HeaderLine] = []
            Answers.addBackendFields("box", ignored, to: &fields)
            return lines(fields)
        }
        #expect(
            fields(["user", "seed"]) == ["x-sluice-backend: box", "x-sluice-ignored: user,seed"])
        #expect(fields([]) == ["x-sluice-backend: box"])
    }

    @Test func ofJSON() {
        #expect(
            lines(Answers.jsonFields("r1")) == [
                "Content-Type: application/json", "x-request-id: r1",
            ])
    }
}

@Suite struct ErrorAnswers {
    @Test func haveOpenAIsShape() {
        let error = APIError.missingField("messages")
        let reply = ClientProtocol.openAI.reply(error, "r1")
        #expect(reply.status == 400)
        #expect(
            lines(reply.fields) == [
                "Content-Type: application/json", "x-request-id: r1",
            ])
        #expect(
            text(reply.body)
                == #"{"error":{"message":"'messages' is required.","type":"invalid_request_error","param":"messages","code":"missing_field"}}"#
        )
    }

    @Test func sayWhenToComeBack() {
        let loading = ClientProtocol.openAI.reply(APIError(.modelLoading, "It loads."), "r1")
        #expect(loading.status == 503)
        #expect(lines(loading.fields).suffix(1) == ["Retry-After: 5"])
        var upstreams = APIError(.upstreamFailed, "Later.")
        (upstreams.status, upstreams.retryAfterSeconds) = (429, 30)
        #expect(
            lines(ClientProtocol.openAI.reply(upstreams, "r1").fields).suffix(1) == [
                "Retry-After: 30"
            ])
    }

    /// Official SDKs repeat every 5xx unless they are told not to.
    @Test(arguments: [ErrorCode.firstTokenTimeout, .tokenTimeout, .totalTimeout])
    func sayWhatIsNotWorthRepeating(_ code: ErrorCode) {
        let reply = ClientProtocol.openAI.reply(APIError(code, "Too late."), "r1")
        #expect(reply.status == 504)
        #expect(lines(reply.fields).suffix(1) == ["x-should-retry: false"])
    }

    @Test(arguments: [
        (
            ClientProtocol.openAI,
            #"{"error":{"message":"No.","type":"permission_error","param":null,"code":"forbidden"}}"#
        ),
        (
            .messages,
            #"{"type":"error","error":{"type":"permission_error","message":"No."},"request_id":"r1"}"#
        ),
        (.ollama, #"{"error":"No."}"#),
    ])
    func haveTheShapeTheirClientKnows(_ clientProtocol: ClientProtocol, _ json: String) {
        #expect(text(clientProtocol.reply(APIError(.forbidden, "No."), "r1").body) == json)
    }

    @Test func ofAFaultOfOurOwnHaveNoCode() {
        let reply = ClientProtocol.openAI.reply(.internalFault("Oh."), "r1")
        #expect(reply.status == 500)
        #expect(
            text(reply.body)
                == #"{"error":{"message":"Oh.","type":"server_error","param":null,"code":null}}"#)
    }

    @Test func nameABackendAndNeverItsAddress() {
        let refused = CallFailureSamples.refused
        #expect(
            APIError.unreachable(refused, "gpu").message
                == "The backend 'gpu' cannot be reached (Connection refused). Check that it is running."
        )
        #expect(!APIError.unreachable(CallFailureSamples.unknown, "gpu").message.contains("secret"))
        #expect(APIError.closed(.closedBeforeAnswer, "gpu").code == .upstreamClosed)
        #expect(
            APIError.closed(.closedBeforeAnswer, "gpu").message
                == "The backend 'gpu' closed the connection without an answer.")
    }
}

@Suite struct Verdicts {
    /// An error with a status.
    private func error(_ status: Int) -> APIError {
        var error = APIError(.upstreamFailed, "No.")
        error.status = status
        return error
    }

    @Test(arguments: [502, 503])
    func anUpstreamThatCannotNowIsNotTheLast(_ status: Int) {
        #expect(Fact.answered(status: status, error(status)) == .attemptFailed(.upstreamFailed))
    }

    /// A 504 and most 500s become 502 for the client, but the work they cost is not done again
    /// elsewhere.
    @Test(arguments: [500, 501, 504, 507, 599])
    func anUpstreamThatFailedIsTheLast(_ status: Int) {
        #expect(
            Fact.answered(status: status, error(502))
                == .upstreamFailed(.upstreamFailed))
    }

    @Test(arguments: [400, 401, 403, 404, 413, 422, 429, 499])
    func whatItRefusesItRefuses(_ status: Int) {
        // Of a refused key the client is told 502, as it is not its own.
        let told = status == 401 || status == 403 ? 502 : status
        #expect(
            Fact.answered(status: status, error(told))
                == .upstreamFailed(.upstreamRefused))
    }

    @Test func a500ThatIsTheClientsFaultIsARefusal() {
        #expect(
            Fact.answered(status: 500, error(400))
                == .upstreamFailed(.upstreamRefused))
    }

    @Test(arguments: [201, 204, 206, 301, 304])
    func aStatusThatIsNoAnswerToAChatBreaksTheProtocol(_ status: Int) {
        #expect(
            Fact.answered(status: status, APIError(.upstreamProtocol, "?"))
                == .upstreamFailed(.upstreamProtocol))
    }

    @Test func everyRefusalOfOursHasItsWord() {
        let words: [ErrorCode: Ending] = [
            .shuttingDown: .shuttingDown, .noBackend: .upstreamUnreachable, .queueFull: .queueFull,
            .requestTimeout: .requestTimeout,
        ]
        for code in ErrorCode.allCases {
            #expect(APIError(code, "No.").refusalEnding == words[code] ?? .refused, "\(code)")
        }
        #expect(APIError.internalFault("Oh.").refusalEnding == .internal)
    }
}
