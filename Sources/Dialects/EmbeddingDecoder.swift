// An upstream's embeddings in, OpenAI's list out, whatever the upstream speaks.

public import Chat
internal import JSON

/// Collects a whole answer and writes it in OpenAI's form.
///
/// The answer is one document: nothing of it can leave before all of it is here, so its only data
/// event is its end.
public struct EmbeddingDecoder: AnswerDecoder {
    private let dialect: UpstreamDialect
    private let options: EmbeddingOptions
    private var body: DocumentBody
    private var promptTokens: Int?

    /// Data events seen so far: 1 once the answer is whole.
    public private(set) var dataEvents = 0
    /// Whether the answer was written to the sink.
    public private(set) var isDone = false
    /// Whether the answer is whole.
    public var isAnswerComplete: Bool { isDone }

    /// Makes a decoder for one answer of at most `limitBytes` bytes.
    public init(_ dialect: UpstreamDialect, _ options: EmbeddingOptions, limitBytes: Int) {
        self.dialect = dialect
        self.options = options
        body = DocumentBody(limitBytes: limitBytes)
    }

    /// Tokens of all inputs, as far as the upstream has told.
    public var usage: (promptTokens: Int, completionTokens: Int)? { promptTokens.map { ($0, 0) } }

    /// Takes the next bytes of the upstream's body.
    public mutating func feed(
        _ bytes: Span<UInt8>, into sink: inout ChunkSink
    ) throws(DialectError) {
        guard !isDone else { return }
        try body.take(bytes)
    }

    /// The upstream's body ended, or its connection broke: writes the answer, or throws
    /// `.endedEarly` if it is not whole.
    public mutating func finish(into sink: inout ChunkSink) throws(DialectError) {
        guard !isDone else { return }
        let text = try body.read()
        dataEvents = 1
        if let error = text["error"], !error.isNull { throw .reported(json: Array(error.bytes)) }
        let answer = try written(text)
        sink.beginEvent()
        sink.bytes.append(answer.span)
        sink.endEvent()
        let counts = dialect == .ollama ? text : text["usage"]
        promptTokens =
            counts?[dialect == .ollama ? "prompt_eval_count" : "prompt_tokens"]?
            .tokenCount
        isDone = true
        body.release()
    }

    private func written(_ text: JSONText) throws(DialectError) -> [UInt8] {
        let writer = EmbeddingWriter(options)
        var answer: [UInt8] = []
        do {
            switch dialect {
            case .openAI: try writer.writeOpenAI(text, into: &answer)
            case .ollama: try writer.writeOllama(text, into: &answer)
            }
        } catch {
            throw error.asDialectError(body.bytes.span)
        }
        return answer
    }
}

/// What an answer with embeddings looks like.
public struct EmbeddingOptions: Sendable {
    /// The `model` of the answer: the name the client asked for.
    public var model: String
    /// How many vectors the answer must have: one for each input.
    public var count: Int
    /// Whether vectors leave as base64 of their little-endian 32-bit floats.
    public var base64: Bool

    /// What a client wants that calls the model `model`.
    public init(model: String, count: Int, base64: Bool) {
        self.model = model
        self.count = count
        self.base64 = base64
    }
}

/// Writes OpenAI's list of embeddings.
struct EmbeddingWriter {
    private let options: EmbeddingOptions

    init(_ options: EmbeddingOptions) { self.options = options }

    /// The answer of a server of OpenAI's kind: its own bytes, but for the model's name and vectors
    /// that are not in the form asked for.
    func writeOpenAI(_ answer: JSONText, into bytes: inout [UInt8]) throws(StreamRefusal) {
        let members = uniqueMembers(of: answer)
        guard let data = members.value("data"), data.kind == .array else { throw .malformed }
        let entries = data.elements
        guard entries.count == options.count else { throw .malformed }
        bytes.append(UInt8(ascii: "{"))
        for member in members where !member.key.isString("model") {
            bytes += member.key.bytes
            bytes.append(UInt8(ascii: ":"))
            if member.key.isString("data") {
                try writeEntries(entries, into: &bytes)
            } else {
                bytes += member.value.bytes
            }
            bytes.append(UInt8(ascii: ","))
        }
        if members.value("object") == nil { bytes.append(#""object":"list","#) }
        bytes.append(#""model":"#)
        bytes.appendJSONString(options.model)
        bytes.append(UInt8(ascii: "}"))
    }

    /// `{"embeddings":[[…]],"prompt_eval_count":…}` as OpenAI has it.
    func writeOllama(_ answer: JSONText, into bytes: inout [UInt8]) throws(StreamRefusal) {
        guard let vectors = answer["embeddings"], vectors.kind == .array else { throw .malformed }
        let elements = vectors.elements
        guard elements.count == options.count else { throw .malformed }
        bytes.append(#"{"object":"list","data":["#)
        for (index, vector) in elements.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes.append(#"{"object":"embedding","index":"#)
            bytes.append(decimal: index)
            bytes.append(#","embedding":"#)
            try write(vector, into: &bytes)
            bytes.append(UInt8(ascii: "}"))
        }
        bytes.append(#"],"model":"#)
        bytes.appendJSONString(options.model)
        // Left out where it is zero.
        let tokens = answer["prompt_eval_count"]?.tokenCount ?? 0
        bytes.append(#","usage":{"prompt_tokens":"#)
        bytes.append(decimal: tokens)
        bytes.append(#","total_tokens":"#)
        bytes.append(decimal: tokens)
        bytes.append("}}")
    }

    private func writeEntries(
        _ entries: [JSONText], into bytes: inout [UInt8]
    ) throws(StreamRefusal) {
        bytes.append(UInt8(ascii: "["))
        for (position, entry) in entries.enumerated() {
            if position > 0 { bytes.append(UInt8(ascii: ",")) }
            guard let vector = entry["embedding"] else { throw .malformed }
            if vector.kind == .string {
                bytes += entry.bytes
                continue
            }
            bytes += entry.source[entry.range.lowerBound..<vector.range.lowerBound]
            try write(vector, into: &bytes)
            bytes += entry.source[vector.range.upperBound..<entry.range.upperBound]
        }
        bytes.append(UInt8(ascii: "]"))
    }

    private func write(_ vector: JSONText, into bytes: inout [UInt8]) throws(StreamRefusal) {
        guard vector.kind == .array else { throw .malformed }
        guard options.base64 else {
            bytes += vector.bytes
            return
        }
        bytes.append(UInt8(ascii: "\""))
        guard let floats = floats(vector) else { throw .malformed }
        bytes.appendBase64(floats.span)
        bytes.append(UInt8(ascii: "\""))
    }

    /// The vector's numbers as 32-bit floats, little-endian, as OpenAI's SDKs read them; `nil` if
    /// one is no such number.
    private func floats(_ vector: JSONText) -> [UInt8]? {
        var floats: [UInt8] = []
        // Walked without views: a vector has thousands of numbers. The text was checked as a whole.
        var scanner = JSONScanner(at: vector.range.lowerBound, depthLimit: 2)
        let source = vector.source
        try? scanner.enterArray(source.span)
        while (try? scanner.nextElement(source.span)) == true {
            guard let range = try? scanner.skipValue(source.span),
                let number = Float(String(decoding: source[range], as: UTF8.self)),
                number.isFinite
            else { return nil }
            var bits = number.bitPattern
            for _ in 0..<4 {
                floats.append(UInt8(truncatingIfNeeded: bits))
                bits >>= 8
            }
        }
        return floats
    }
}
