// `sluice top` as text.

import JSON
import Testing

@testable import SluiceServer

@Suite struct Top {
    private func lines(_ json: String, width: Int? = nil, height: Int? = nil) throws -> [String] {
        TopText(try JSONText(Array(json.utf8))).lines(width: width, height: height)
    }

    private static let busy = """
        {"version":"1.2","time":"2026-11-20T14:00:00.000Z","workers":1,"in_flight":3,
        "tokens_per_second":47.3,"history":[0.0,10.0,20.0,40.0],"requests":[
        {"id":"0-7","request_id":"r7","client":"127.0.0.1","key":"alice","path":"/v1/chat/completions",
        "model":"qwen3-coder-30b-a3b-instruct","backend":"gpu","phase":"streaming","tokens":609,
        "tokens_per_second":33.4,"queue_ms":0,"first_token_ms":801,"total_ms":19000},
        {"id":"0-9","request_id":"r9","client":"10.0.0.5","path":"/v1/chat/completions","model":"x",
        "phase":"queued","tokens":0,"total_ms":3723000}],"queued":1,"backends":[
        {"name":"gpu","kind":"llama-server","state":"up","reason":null,
        "slots":{"used":1,"total":4},"queued":1,"cures":0,"models":2},
        {"name":"box","kind":"ollama","state":"down","reason":"Connection refused","seconds":6,
        "slots":{"used":0,"total":1,"per":"model"},"queued":0,"cures":0,"models":0}]}
        """

    @Test func tellsEverythingInColumns() throws {
        #expect(
            try lines(Self.busy) == [
                "Sluice 1.2   3 in flight   1 queued   47.3 tokens/s   ▁▂▄█",
                "",
                "BACKEND  KIND          STATE  SLOTS     QUEUED  MODELS",
                "gpu      llama-server  up     1/4            1       2",
                "box      ollama        down   0/1 each       0       0  Connection refused",
                "",
                "PHASE      MODEL                         BACKEND  FROM      TOKENS  TOKENS/S  FIRST   TIME  ID",
                "streaming  qwen3-coder-30b-a3b-instruct  gpu      alice        609      33.4  801ms  19.0s  0-7",
                "queued     x                                      10.0.0.5       0         -      -   1h2m  0-9",
                "… and 1 more",
            ])
    }

    /// The model's name gives way, for numbers that are cut say something else.
    @Test(arguments: [76, 80, 90, 200])
    func fitsTheTerminal(_ width: Int) throws {
        let lines = try lines(Self.busy, width: width, height: 24)
        #expect(lines.allSatisfy { $0.count <= width })
        #expect(
            lines.contains { $0.hasPrefix("streaming  qwen3-co") && $0.hasSuffix("19.0s  0-7") })
    }

    @Test func saysWhatDoesNotFit() throws {
        let lines = try lines(Self.busy, width: 80, height: 8)
        #expect(lines.count == 8)
        #expect(lines.last == "… and 3 more")
    }

    @Test func anIdleOneSaysSo() throws {
        let idle =
            #"{"version":"1.2","in_flight":0,"tokens_per_second":0.0,"history":[0.0],"requests":[],"queued":0,"backends":[]}"#
        let lines = try lines(idle)
        #expect(lines.first == "Sluice 1.2   0 in flight   0 queued   0.0 tokens/s   ")
        #expect(lines.last == "Nothing is running.")
    }

    /// Names are others' words: none of them may move the cursor or turn the writing around.
    @Test func namesCannotSteerTheTerminal() throws {
        let evil =
            #"{"requests":[{"id":"0-1","model":"a\u001b[2Jb\u009bc\u202ed\n","phase":"queued"}]}"#
        let text = try lines(evil).joined(separator: "\n")
        #expect(text.contains("a?[2Jb?c?d?"))
        #expect(
            !text.unicodeScalars.contains {
                $0 != "\n" && $0.properties.generalCategory == .control
            })
    }

    @Test func whatIsNotThereIsADash() throws {
        #expect(try lines("{}").first == "Sluice    - in flight   - queued   - tokens/s   ")
    }
}
