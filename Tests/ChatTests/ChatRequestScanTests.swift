// One pass checks a chat's JSON and reads it: what is wrong with the JSON is told first, wherever it is.

import Chat
import JSON
import Testing

@Suite struct ChatRequestScanTests {
    /// Has every kind of member that is looked into.
    private static let rich = Array(
        #"""
        {"model":"m","messages":[{"role":"developer","content":[{"type":"refusal","refusal":"no"},
        {"type":"image_url","image_url":"data:x"},{"type":"image_url","image_url":{"url":"data:y"}},
        {"type":"input_audio","input_audio":{}}],"name":null},{"role":"assistant","refusal":"w",
        "tool_calls":[{"id":"a","function":{"name":"f","arguments":" \n"}},{"type":null}]},
        {"role":"function","name":"f","function_call":{"name":"g","arguments":"{}"}}],
        "stop":["a"],"stream_options":{"include_usage":true},"n":2,"response_format":
        {"type":"json_schema","json_schema":{}},"tools":[{"type":"function","function":{"name":"f"}}],
        "temperature":1e0,"m\u0061x_tokens":5,"other":{"deep":[[1]]}}
        """#.utf8)

    /// What a check of the JSON alone says.
    private func fault(of body: [UInt8]) -> APIError? {
        do {
            _ = try JSONText(body, depthLimit: ChatRequest.depthLimit)
            return nil
        } catch {
            return .invalidJSON(error)
        }
    }

    private func refusal(of body: [UInt8]) -> APIError? {
        do {
            _ = try ChatRequest(reading: body)
            return nil
        } catch {
            return error
        }
    }

    @Test func aBodyThatStopsAnywhereIsNoJSON() throws {
        for end in Self.rich.indices {
            let body = Array(Self.rich[..<end])
            let wanted = try #require(fault(of: body))
            #expect(refusal(of: body) == wanted, "cut at \(end)")
        }
    }

    @Test(arguments: Array("\"\\{}[]:,x\u{1} ".utf8))
    func aWrongByteAnywhereIsToldAsByACheckOfTheJSONAlone(_ byte: UInt8) {
        for place in Self.rich.indices {
            var body = Self.rich
            body[place] = byte
            guard let wanted = fault(of: body) else { continue }
            #expect(refusal(of: body) == wanted, "at \(place)")
        }
    }

    /// Each has a fault of its own before the one that counts.
    @Test(arguments: [
        #"{"messages":[],"n":0,"#, #"{"messages":7,"stream":"yes"]"#, #"[1,2"#,
        #"{"messages":[{"role":1,"content":2}],"x":tru}"#, #"{"model":1} x"#,
    ])
    func faultsOfTheChatAreNoMatterWhileTheJSONIsBroken(_ body: String) {
        #expect(refusal(of: Array(body.utf8))?.code == .invalidJSON)
    }

    @Test func aFieldOfAWrongTypeMattersOnlyWhereItCounts() throws {
        let messages = #""messages":[{"role":"user","content":"x"}]"#
        #expect(readRefusal("{\(messages),\"n\":\"x\",\"n\":2}") == nil)
        #expect(readRefusal("{\(messages),\"n\":2,\"n\":\"x\"}")?.param == "n")
        #expect(readRefusal("{\(messages),\"top_p\":\"x\",\"n\":\"x\"}")?.param == "n")
    }
}
