// Ollama's messages as OpenAI's: images as content parts, arguments as strings, every call with an
// id that its result names.

import JSON

/// Writes the messages of a chat request.
struct FacadeMessages {
    private let kind: UpstreamKind
    private var body: [UInt8] = [UInt8(ascii: "[")]
    private var count = 0
    /// Calls that have no result yet.
    private var open = FacadeOpenCalls()
    /// What has no place in OpenAI's messages, or not at this kind of backend.
    private(set) var ignored: [String] = []

    init(_ kind: UpstreamKind) { self.kind = kind }

    /// The array.
    consuming func finish() -> [UInt8] { body + [UInt8(ascii: "]")] }

    /// The messages that a prompt stands for.
    mutating func append(system: JSONText?, prompt: JSONText?, _ images: JSONText?) {
        if let system, !isEmptyValue(system) {
            begin()
            body.append(#""role":"system""#)
            writeContent(system, nil)
            body.append(UInt8(ascii: "}"))
        }
        begin()
        body.append(#""role":"user""#)
        writeContent(prompt, images)
        body.append(UInt8(ascii: "}"))
    }

    /// One message, whose types were checked.
    mutating func append(_ message: JSONText) {
        let fields = uniqueMembers(of: message)
        let role = fields.value("role")?.string?.lowercased() ?? ""
        begin()
        body.append(#""role":"#)
        body.appendJSONString(role)
        writeContent(fields.value("content"), fields.value("images"))
        writeThinking(fields.value("thinking"))
        if let calls = fields.value("tool_calls") { writeCalls(calls.elements) }
        if role == "tool" { writeResult(fields) }
        body.append(UInt8(ascii: "}"))
        count += 1
    }

    private mutating func begin() {
        if body.count > 1 { body.append(UInt8(ascii: ",")) }
        body.append(UInt8(ascii: "{"))
    }

    // MARK: - Content

    private mutating func writeContent(_ content: JSONText?, _ images: JSONText?) {
        let text = content.map { Array($0.bytes) } ?? Array(#""""#.utf8)
        body.append(#","content":"#)
        guard let images = images?.elements, !images.isEmpty else {
            body += text
            return
        }
        body.append(UInt8(ascii: "["))
        if text.count > 2 {
            body.append(#"{"type":"text","text":"#)
            body += text
            body.append("},")
        }
        for (index, image) in images.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            writeMedia(image.source[image.contents])
        }
        body.append(UInt8(ascii: "]"))
    }

    /// Ollama takes sounds among the images, and says of neither what it is.
    private mutating func writeMedia(_ data: ArraySlice<UInt8>) {
        switch Media(base64: data) {
        case .image(let type):
            body.append(#"{"type":"image_url","image_url":{"url":"data:image/"#)
            body.append(type)
            body.append(";base64,")
            body += data
            body.append(#""}}"#)
        case .url:
            body.append(#"{"type":"image_url","image_url":{"url":""#)
            body += data
            body.append(#""}}"#)
        case .sound(let format):
            body.append(#"{"type":"input_audio","input_audio":{"data":""#)
            body += data
            body.append(#"","format":""#)
            body.append(format)
            body.append(#""}}"#)
        }
    }

    /// llama-server's templates may show earlier thoughts to the model; others may refuse the field.
    private mutating func writeThinking(_ thinking: JSONText?) {
        guard let thinking, !isEmptyValue(thinking) else { return }
        guard kind == .llamaServer else { return ignored.append("messages.thinking") }
        body.append(#","reasoning_content":"#)
        body += thinking.bytes
    }

    // MARK: - Calls

    private mutating func writeCalls(_ calls: [JSONText]) {
        open = FacadeOpenCalls()
        for (index, call) in calls.enumerated() {
            body.append(index == 0 ? #","tool_calls":[{"id":"# : #",{"id":"#)
            var id: [UInt8] = []
            if let given = call["id"], given.kind == .string, !given.contents.isEmpty {
                id = Array(given.bytes)
            } else {
                // The same each time the same request is written.
                id.appendJSONString("call_\(count)_\(index)")
            }
            body += id
            let function = call["function"]
            body.append(#","type":"function","function":{"name":"#)
            body += function?["name"]?.bytes ?? []
            body.append(#","arguments":""#)
            var arguments = Array("{}".utf8)
            if let given = function?["arguments"], !given.isNull { arguments = Array(given.bytes) }
            body.appendEscaped(arguments.span)
            body.append(#""}}"#)
            open.append(id, function?["name"]?.string ?? "")
        }
        if !calls.isEmpty { body.append(UInt8(ascii: "]")) }
    }

    /// Which call a result answers: by its id, else by the function's name, else the next in turn.
    private mutating func writeResult(_ fields: [JSONText.Member]) {
        let name = fields.value("tool_name") ?? fields.value("name")
        body.append(#","tool_call_id":"#)
        if let id = fields.value("tool_call_id") {
            body += id.bytes
            open.remove(id: Array(id.bytes))
        } else if let id = open.removeNext(named: name?.string) {
            body += id
        } else {
            body.append(#""call_0""#)
        }
        guard let name, name.kind == .string else { return }
        body.append(#","name":"#)
        body += name.bytes
    }
}

/// What base64 data is, told by its first bytes.
private enum Media {
    case image(StaticString)
    case sound(StaticString)
    /// A `data:` URL, which says so itself.
    case url

    init(base64 data: ArraySlice<UInt8>) {
        func begins(_ text: String) -> Bool { data.starts(with: text.utf8) }
        if begins("data:") {
            self = .url
        } else if begins("/9j/") || begins(#"\/9j"#) {
            self = .image("jpeg")
        } else if begins("R0lGOD") {
            self = .image("gif")
        } else if begins("SUQz") || begins("//u") {
            self = .sound("mp3")
        } else if begins("UklGR") {
            // "RIFF" and a size, then "WAVE" or "WEBP", of which the last three bytes are the
            // fourth group of four characters.
            self = data.dropFirst(12).starts(with: "QVZF".utf8) ? .sound("wav") : .image("webp")
        } else {
            self = .image("png")
        }
    }
}
