// Every refusal has a status, a code and words that help.

import Framing
import Testing

extension RequestRefusal {
    /// One of each reason.
    static let samples: [RequestRefusal] = [
        .bareLineEnd, .controlByte(0), .emptyLines, .malformedRequestLine, .malformedMethod,
        .methodNotImplemented, .unsupportedVersion, .malformedTarget,
        .requestLineTooLong(limitBytes: 8192), .foldedField, .fieldWithoutColon,
        .malformedFieldName(spaceBeforeColon: true), .headTooLarge(limitBytes: 65536),
        .tooManyFields(limit: 100), .missingHost, .repeatedHost, .malformedHost,
        .malformedConnection, .expectationFailed, .repeatedContentLength, .malformedContentLength,
        .contentLengthWithTransferEncoding, .transferEncodingInHTTP10, .malformedTransferEncoding,
        .transferCodingNotImplemented, .bodyTooLarge(limitBytes: 1 << 26), .malformedChunkSize,
        .malformedChunkExtension, .chunkExtensionTooLong, .malformedChunkEnd, .headTimedOut,
        .bodyTimedOut,
    ]
}

@Suite struct RequestRefusalTests {
    @Test func everyReasonHasItsOwnMessage() {
        let messages = RequestRefusal.samples.map(\.message)
        #expect(Set(messages).count == messages.count)
        #expect(messages.allSatisfy { $0.hasSuffix(".") && $0.utf8.count <= 100 })
    }

    @Test func statusAndCodeGoTogetherAsTheContractSays() {
        let pairs = Set(RequestRefusal.samples.map { "\($0.status) \($0.code)" })
        #expect(
            pairs == [
                "400 bad_request", "408 request_timeout", "413 body_too_large", "414 uri_too_long",
                "417 expectation_failed", "431 head_too_large", "501 not_implemented",
            ])
    }

    @Test func aSpaceBeforeTheColonIsToldFromOtherBadNames() {
        let space = RequestRefusal.malformedFieldName(spaceBeforeColon: true).message
        let other = RequestRefusal.malformedFieldName(spaceBeforeColon: false).message
        #expect(space.contains("colon") && !other.contains("colon"))
    }

    @Test func messagesNameTheLimitOrTheByte() {
        #expect(RequestRefusal.bodyTooLarge(limitBytes: 64).message.contains("64 bytes"))
        #expect(RequestRefusal.tooManyFields(limit: 100).message.contains("100 header fields"))
        #expect(RequestRefusal.controlByte(0).message.contains("0x00"))
        #expect(RequestRefusal.controlByte(0x1B).message.contains("0x1B"))
        #expect(RequestRefusal.controlByte(0x16).message.contains("TLS"))
    }
}
