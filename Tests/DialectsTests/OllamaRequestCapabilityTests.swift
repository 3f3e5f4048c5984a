// Capabilities from recorded answers of `/api/show`.

import Dialects
import JSON
import TestSupport
import Testing

@Suite struct OllamaRequestCapabilityTests {
    @Test func recordedModelsAreUnderstood() throws {
        let rendered = OllamaCapabilities(show: try recorded("show-tiny-go"), version: "0.33.0-rc2")
        #expect(rendered.isKnown && rendered.tools && rendered.thinking)
        #expect(!rendered.vision && !rendered.audio)
        #expect(rendered.takesLogprobsWithTools)
        #expect(rendered.supportsTruncate && rendered.supportsLogprobs)
        let jinja = OllamaCapabilities(show: try recorded("show-tiny"), version: nil)
        #expect(jinja.isKnown && jinja.tools)
        #expect(!jinja.takesLogprobsWithTools)
    }

    @Test(arguments: [
        ("0.12.3", false, false), ("0.12.4", true, false), ("0.12.10", true, false),
        ("0.12.11", true, true), ("0.9.6", false, false), ("1.0", true, true),
        ("0.0.0", true, true),
        ("", true, true), ("dev", true, true),
    ])
    func versionsAreComparedAsNumbers(_ version: String, _ truncate: Bool, _ logprobs: Bool) throws
    {
        let capabilities = OllamaCapabilities(
            show: try JSONText(Array("{}".utf8)), version: version)
        #expect(capabilities.supportsTruncate == truncate)
        #expect(capabilities.supportsLogprobs == logprobs)
        #expect(!capabilities.isKnown)
    }

    /// The object in the recorded exchange of this name; its body came in one or more chunks.
    private func recorded(_ name: String) throws -> JSONText {
        for line in try fixture("ollama/cassettes/static.jsonl").split(separator: 0x0A) {
            let exchange = try JSONText(Array(line))
            guard exchange["name"]?.isString(name) == true else { continue }
            var rest = Substring(try #require(exchange["response"]?.string))
            rest = rest[try #require(rest.firstRange(of: "\r\n\r\n")).upperBound...]
            var body: [UInt8] = []
            while let end = rest.firstIndex(of: "\r\n"), let size = Int(rest[..<end], radix: 16) {
                let chunk = rest[rest.index(after: end)...].utf8
                body += chunk.prefix(size)
                rest = Substring(chunk.dropFirst(size + 2))
            }
            return try JSONText(body)
        }
        return try JSONText(Array(try #require(nil as String?, "no exchange \(name)").utf8))
    }
}
