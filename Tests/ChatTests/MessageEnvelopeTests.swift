// Messages of a WebSocket: their ids, what is taken out of them, and what is wrong with them.

import Chat
import JSON
import Testing

@Suite struct MessageEnvelopeTests {
    /// The envelope of a message, and what is left of it.
    private func read(_ text: String) -> (envelope: MessageEnvelope, body: String) {
        var body = Array(text.utf8)
        let envelope = MessageEnvelope(takenOutOf: &body)
        #expect(body.count == text.utf8.count)
        return (envelope, String(decoding: body, as: UTF8.self))
    }

    @Test(arguments: [
        (#"{"id":"a","model":"m"}"#, "a", #"{         "model":"m"}"#),
        (#"{"model":"m","id":"a"}"#, "a", #"{"model":"m"         }"#),
        (#"{"model":"m" , "id" : "a" , "n":1}"#, "a", #"{"model":"m" ,              "n":1}"#),
        (#"{"id":"a"}"#, "a", #"{        }"#),
        (#"{ "id" : "a" }"#, "a", #"{            }"#),
        // Of several the last one counts, and none is left.
        (#"{"id":"a","n":1,"id":"b"}"#, "b", #"{         "n":1         }"#),
        (#"{"id":"a","id":"b"}"#, "b", #"{                 }"#),
        (#"{"n":1 , "id":"a" , "id":"b" }"#, "b", #"{"n":1                       }"#),
        (#"{"n":1,"id":"a","id":"b"}"#, "b", #"{"n":1                  }"#),
        // Escapes, in the name too, and what is not at the top.
        (
            #"{"\u0069d":"\"\u00e9","n":{"id":"x"}}"#, "\"é",
            #"{                     "n":{"id":"x"}}"#
        ),
    ])
    func theIDIsTakenOutAndNoByteMoves(_ text: String, _ id: String, _ left: String) throws {
        let (envelope, body) = read(text)
        #expect(envelope.id == id)
        #expect(!envelope.isCancel && envelope.fault == nil)
        #expect(body == left)
        #expect(throws: Never.self) { try JSONText(Array(body.utf8)) }
    }

    @Test(arguments: [
        #"{"model":"m","messages":[{"id":"x"}]}"#, "{}", "[]", "null", "", "no JSON", #"{"id":"a""#,
        #"{"id":"a"} x"#, #""id""#,
    ])
    func whatHasNoIDOrCannotBeReadIsLeftAsItIs(_ text: String) {
        let (envelope, body) = read(text)
        #expect(envelope.id == nil && envelope.fault == nil && !envelope.isCancel)
        #expect(body == text)
    }

    @Test(arguments: [
        "1", "null", #""""#, "[]", "true", "\"" + String(repeating: "é", count: 65) + "\"",
    ])
    func anIDIsAStringThatIsNeitherEmptyNorLong(_ value: String) {
        let (envelope, _) = read(#"{"id":\#(value),"type":"cancel"}"#)
        #expect(envelope.id == nil && !envelope.isCancel)
        #expect(envelope.fault?.param == "id")
    }

    /// Each that looked back over all that was overwritten before it would take hours.
    @Test func aMessageMayNameItsIDVeryOften() {
        let members = Array(repeating: #""id":"a""#, count: 30_000).joined(separator: ",")
        let (envelope, left) = read("{" + members + "}")
        #expect(envelope.id == "a")
        #expect(left.allSatisfy { "{ }".contains($0) })
    }

    @Test func anIDMayHave128Bytes() {
        let id = String(repeating: "é", count: 64)
        #expect(read(#"{"id":"\#(id)"}"#).envelope.id == id)
    }

    @Test(arguments: [
        (#"{"type":"cancel","id":"a"}"#, "a"), (#"{"id":"a","type":"cancel","more":1}"#, "a"),
        (#"{"type":"cancel"}"#, nil),
    ])
    func aCancelNamesItsRequest(_ text: String, _ id: String?) {
        let (envelope, _) = read(text)
        #expect(envelope.isCancel && envelope.id == id && envelope.fault == nil)
    }

    @Test(arguments: [#""Cancel""#, #""response.create""#, "1", "null"])
    func anotherTypeIsRefusedUnderItsID(_ type: String) {
        let (envelope, _) = read(#"{"id":"a","type":\#(type)}"#)
        #expect(!envelope.isCancel && envelope.id == "a")
        #expect(envelope.fault?.param == "type")
    }
}
