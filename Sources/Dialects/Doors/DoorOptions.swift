// What an answer at one of the doors looks like.

public import Chat
internal import JSON

/// What the request and the session decide about an answer at a door.
public struct DoorOptions: Sendable {
    /// Which door.
    public let door: Door
    /// Whether the client wants a stream of events, or one document.
    public let isStream: Bool
    /// The `model` of the answer: the name the client asked for.
    public let model: String
    /// The id of the request, for errors and for answers whose upstream gives none.
    public var requestID = ""
    /// Seconds since 1970, for answers whose upstream does not tell.
    public var created = 0
    /// The most tokens the answer may have, if the upstream is llama-server, whose Responses do not
    /// say that this was their end.
    public var tokenLimit: Int?
    /// What a response repeats of its request: names and JSON.
    let echo: [(name: String, json: [UInt8])]

    /// What is asked for by `request`, whose client calls the model `model`.
    public init(_ request: DoorRequest, model: String) {
        door = request.door
        isStream = request.isStream
        self.model = model
        echo = request.door == .responses ? Self.echo(of: request) : []
    }

    /// The options once it is known who answers.
    public func completed(by options: StreamOptions) -> DoorOptions {
        var own = self
        own.requestID = options.id
        own.created = options.created
        own.tokenLimit = options.isLlamaServer ? options.tokenLimit : nil
        return own
    }

    /// OpenAI's response objects repeat what they were asked with, and its clients' types want it
    /// there.
    private static func echo(of request: DoorRequest) -> [(name: String, json: [UInt8])] {
        let defaults: [(name: String, json: StaticString)] = [
            ("background", "false"), ("instructions", "null"), ("max_output_tokens", "null"),
            ("metadata", "{}"), ("parallel_tool_calls", "true"), ("previous_response_id", "null"),
            ("reasoning", "null"), ("store", "false"), ("temperature", "null"),
            ("text", #"{"format":{"type":"text"}}"#), ("tool_choice", #""auto""#),
            ("tools", "[]"), ("top_p", "null"), ("truncation", #""disabled""#),
        ]
        return defaults.map { name, json in
            // Nothing is stored here, and no end is cut away, whatever was asked for.
            guard name != "store", name != "truncation", let value = request[name],
                value.range.count <= echoLimit
            else { return (name, .json(json)) }
            return (name, .json(value))
        }
    }

    /// Longer values are not repeated: they would be held for each stream.
    private static let echoLimit = 64 * 1024
}
