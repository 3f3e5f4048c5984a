// An upstream's embeddings in, Ollama's document out, whatever the upstream speaks.

import Chat
import JSON

/// Collects a whole answer and writes it in Ollama's form.
///
/// An Ollama's own document stays as it is, but for the model's name.
struct FacadeEmbeddingDecoder: AnswerDecoder {
    private let dialect: UpstreamDialect
    private let answer: OllamaAnswer
    private let count: Int
    private let began: Int
    private var body: DocumentBody
    private var promptTokens: Int?

    private(set) var dataEvents = 0
    private(set) var isDone = false
    var isAnswerComplete: Bool { isDone }
    var usage: (promptTokens: Int, completionTokens: Int)? { promptTokens.map { ($0, 0) } }

    init(_ dialect: UpstreamDialect, _ answer: OllamaAnswer, count: Int, limitBytes: Int) {
        self.dialect = dialect
        self.answer = answer
        self.count = count
        body = DocumentBody(limitBytes: limitBytes)
        began = answer.clock()
    }

    mutating func feed(
        _ bytes: Span<UInt8>, into sink: inout ChunkSink
    ) throws(DialectError) {
        guard !isDone else { return }
        try body.take(bytes)
    }

    mutating func finish(into sink: inout ChunkSink) throws(DialectError) {
        guard !isDone else { return }
        let text = try body.read()
        dataEvents = 1
        if let error = text["error"], !error.isNull { throw .reported(json: Array(error.bytes)) }
        let document = dialect == .ollama ? relayed(text) : translated(text)
        guard let document else { throw .malformed(body.bytes.span) }
        sink.beginEvent()
        // It leaves as one line, like all else in a sink.
        sink.bytes += document.map { $0 < 0x20 ? 0x20 : $0 }
        sink.endEvent()
        isDone = true
        body.release()
    }

    mutating func appendFailure(_ error: APIError, into sink: inout ChunkSink) {
        sink.appendOllamaFailure(error)
    }

    // MARK: - Parts

    private mutating func relayed(_ text: JSONText) -> [UInt8]? {
        guard text[answer.endpoint == .embed ? "embeddings" : "embedding"]?.kind == .array else {
            return nil
        }
        promptTokens = text["prompt_eval_count"]?.tokenCount
        guard let model = text["model"], !model.isString(answer.model) else {
            return Array(text.bytes)
        }
        var name: [UInt8] = []
        name.appendJSONString(answer.model)
        return text.source[text.range.lowerBound..<model.range.lowerBound] + name
            + text.source[model.range.upperBound..<text.range.upperBound]
    }

    private mutating func translated(_ text: JSONText) -> [UInt8]? {
        let vectors = (text["data"]?.elements ?? []).compactMap { $0["embedding"] }
        guard vectors.count == count, vectors.allSatisfy({ $0.kind == .array }) else { return nil }
        promptTokens = text["usage"]?["prompt_tokens"]?.tokenCount
        var json: [UInt8] = [UInt8(ascii: "{")]
        guard answer.endpoint == .embed else {
            json.append(#""embedding":"#)
            json += vectors[0].bytes
            return json + [UInt8(ascii: "}")]
        }
        json.append(#""model":"#)
        json.appendJSONString(answer.model)
        json.append(#","embeddings":["#)
        for (index, vector) in vectors.enumerated() {
            if index > 0 { json.append(UInt8(ascii: ",")) }
            json += vector.bytes
        }
        json.append(#"],"total_duration":"#)
        json.append(decimal: max(0, answer.clock() - began))
        if let promptTokens, promptTokens > 0 {
            json.append(#","prompt_eval_count":"#)
            json.append(decimal: promptTokens)
        }
        return json + [UInt8(ascii: "}")]
    }
}
