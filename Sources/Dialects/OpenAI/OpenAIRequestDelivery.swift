// What every request to a server of OpenAI's kind is told about model and delivery.

import Chat
import JSON

private let withUsage: [BodyPart] = [.bytes(Array(#"{"include_usage":true}"#.utf8))]

extension OpenAIRequestSplice {
    /// Names the model as the backend knows it.
    mutating func setModel(_ model: String, of request: some CheckedRequest) {
        // Compared first: the usual request leaves without a change here.
        guard request["model"]?.isString(model) != true else { return }
        var name: [UInt8] = []
        name.appendJSONString(model)
        set("model", [.bytes(name)])
    }

    /// A client that leaves is noticed only by a stream, and `usage` is what the log counts; so
    /// both are always asked for, whatever the client wants to see.
    mutating func askForAStream(_ request: some CheckedRequest) {
        if request["stream"]?.bool != true { set("stream", "true") }
        guard let options = request["stream_options"] else {
            return set("stream_options", withUsage)
        }
        if let flag = options["include_usage"] {
            guard flag.bool != true else { return }
            edit("stream_options", [.init(range: flag.range, replacement: Array("true".utf8))])
        } else {
            let start = options.range.lowerBound + 1
            let comma = options.members.isEmpty ? "" : ","
            let text = #""include_usage":true"# + comma
            edit(
                "stream_options", [.init(range: start..<start, replacement: Array(text.utf8))])
        }
    }
}
