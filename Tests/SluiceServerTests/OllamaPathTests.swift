// Ollama's paths: where they lead, what is spoken there, and its words for a model nobody has.

import Chat
import Testing

@testable import SluiceServer

@Suite struct OllamaPaths {
    static let table: KeyValuePairs<String, Endpoint?> = [
        "/api/chat": .ollama(.chat),
        "/api/generate": .ollama(.generate),
        "/api/embed": .ollama(.embed),
        "/api/embeddings": .ollama(.embeddings),
        "/api/tags": .ollamaTags,
        "/api/ps": .ollamaRunning,
        "/api/show": .ollamaShow,
        "/api/version": .ollamaVersion,
        // Models are managed at their own server.
        "/api/pull": nil, "/api/delete": nil, "/api/create": nil,
        "/api/chat/": nil, "/v1/api/chat": nil, "/api": nil, "/api/": nil,
    ]

    @Test(arguments: table.map(\.key))
    func leadSomewhereOrNowhere(_ path: String) throws {
        let row = try #require(Self.table.first { $0.key == path })
        #expect(Endpoint(path: path) == row.value)
    }

    @Test func takeTheirMethodsAndNoOthers() {
        #expect(Endpoint.ollama(.chat).methods == [.post] && Endpoint.ollamaShow.methods == [.post])
        for endpoint in [Endpoint.ollamaTags, .ollamaRunning, .ollamaVersion] {
            #expect(endpoint.methods == [.get, .head])
        }
    }

    @Test(arguments: [
        ("/api/chat", ClientProtocol.ollama), ("/api/nothing", .ollama), ("/api", .openAI),
        ("/apis/chat", .openAI), ("/v1/chat/completions", .openAI), ("/", .openAI), ("", .openAI),
    ])
    func sayWhatIsSpokenThere(_ path: String, _ spoken: ClientProtocol) {
        #expect(ClientProtocol(path: path) == spoken)
    }

    @Test func streamsAreLinesWithoutComments() {
        let fields = lines(ClientProtocol.ollama.streamFields("r1"))
        #expect(fields.first == "Content-Type: application/x-ndjson")
        #expect(!ClientProtocol.ollama.hasComments)
    }

    @Test func aModelNobodyHasIsNotFound() {
        let near = APIError.modelNotFound("nope", nearest: ["nape"]).inOllamasWords(model: "nope")
        #expect(
            near.message == "model 'nope' not found. Did you mean 'nape'?" && near.status == 404)
        let far = APIError.modelNotFound("nope").inOllamasWords(model: "nope")
        #expect(far.message == "model 'nope' not found.")
        let other = APIError.missingField("model")
        #expect(other.inOllamasWords(model: "x") == other)
    }
}
