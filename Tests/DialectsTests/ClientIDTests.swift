// Streams whose client tells its requests apart by ids of its own.

import Chat
import TestSupport
import Testing

@Suite struct ClientIDTests {
    private let options = testOptions { $0.clientID = "a \"b\" é" }

    private func ids(_ decoded: Decoded) -> Set<String?> {
        Set(decoded.events.dropLast().map { JSONValue(Array($0.utf8))?["id"]?.string })
    }

    @Test func everyChunkHasTheClientsIDWhateverTheUpstreamGives() {
        let events = [
            #"{"id":"chatcmpl-up","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":null},"finish_reason":null}]}"#,
            #"{"id":"chatcmpl-up","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}"#,
            #"{"id":"chatcmpl-up","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"y"},"finish_reason":null}]}"#,
            #"{"id":"chatcmpl-up","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        ]
        let decoded = decode(events: events, options)
        #expect(decoded.error == nil)
        #expect(decoded.events.count == 5)
        #expect(ids(decoded) == ["a \"b\" é"])
    }

    // A client may call its next request the same, in the same conversation.
    @Test func idsMadeForCallsAreNotMadeOfTheClientsID() {
        let record =
            #"{"message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]},"done":false}"#
            + "\n"
            + #"{"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop"}"#
            + "\n"
        let decoded = decode(.ollama, [Array(record.utf8)], options)
        #expect(decoded.error == nil)
        #expect(ids(decoded) == ["a \"b\" é"])
        #expect(decoded.text.contains(#""id":"call_made_0""#))
        #expect(!decoded.text.contains("call_a"))
    }

    @Test func messagesEndWithTheWordOfTheStream() {
        let record =
            #"{"message":{"role":"assistant","content":"x"},"done":true,"done_reason":"stop"}"#
            + "\n"
        let lines = decode(.ollama, [Array(record.utf8)], framing: .lines).text
        let messages = decode(.ollama, [Array(record.utf8)], framing: .messages).text
        #expect(messages == lines + "[DONE]\n")
        var sink = ChunkSink(framing: .messages, headroom: 0)
        sink.appendFailure(APIError(.overloaded, "much"))
        #expect(sink.bytes.starts(with: #"{"error":{"#.utf8) && sink.bytes.last == 0x0A)
    }
}
