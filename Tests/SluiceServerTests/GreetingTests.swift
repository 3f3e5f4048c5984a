// What the terminal is told at the start, word for word.

import Configuration
import HTTPTransport
import Routing
import Testing

@testable import SluiceServer

@Suite struct Greetings {
    /// A backend that answered with these models, or did not.
    private func state(
        _ name: String, _ url: String, _ kind: BackendKind, _ models: [String]? = nil,
        problem: String? = nil
    ) throws -> BackendState {
        var state = BackendState(BackendSettings(name: name, kind: kind, url: try BackendURL(url)))
        state.isUp = models != nil
        state.models = models?.map { ModelInfo(id: $0) } ?? []
        state.problem = problem
        return state
    }

    private func address(_ port: Int) throws -> SocketAddress {
        try SocketAddress.resolve(host: "127.0.0.1", port: port)[0]
    }

    private let ollamaURL = "http://127.0.0.1:11434"
    private let llamaURL = "http://127.0.0.1:8080"

    @Test func sayWhatToStartIfNothingWasFound() throws {
        let greeting = Greeting(
            [try address(8484)],
            [
                try state("llama-server", llamaURL, .llamaServer, problem: "Connection refused"),
                try state("ollama", ollamaURL, .ollama),
            ], isSearching: true)
        #expect(
            greeting.text == """
                Sluice \(Version.number) listens on http://127.0.0.1:8484
                  llama-server  http://127.0.0.1:8080  not there: Connection refused
                  ollama        http://127.0.0.1:11434  not there: unknown
                No model server was found. Start one, and Sluice will find it:
                  llama-server -m model.gguf --port 8080
                  ollama serve
                or name one: sluice --backend http://HOST:PORT

                """)
    }

    @Test func sayThatConfiguredBackendsAreWaitedFor() throws {
        let greeting = Greeting(
            [try address(8484)], [try state("gpu", llamaURL, .auto, problem: "Connection refused")],
            isSearching: false)
        #expect(
            greeting.lines.dropFirst() == [
                "  gpu  http://127.0.0.1:8080  not there: Connection refused",
                "No backend is up yet. Sluice goes on asking.",
            ])
    }

    @Test func sayWhatWasFoundAndWhatToTry() throws {
        let greeting = Greeting(
            [try address(8484), try address(9000)],
            [
                try state("llama-server", llamaURL, .llamaServer, ["qwen3"]),
                try state("ollama", ollamaURL, .ollama, ["llama3:8b", "qwen3"]),
            ], isSearching: true)
        #expect(
            greeting.text == """
                Sluice \(Version.number) listens on http://127.0.0.1:8484, http://127.0.0.1:9000
                  llama-server  http://127.0.0.1:8080  llama-server, 1 model
                  ollama        http://127.0.0.1:11434  ollama, 2 models
                Models: qwen3, llama3:8b
                Try it:
                  curl -N http://127.0.0.1:8484/v1/chat/completions -d '{"model":"qwen3","stream":true,"messages":[{"role":"user","content":"Hello"}]}'

                """)
    }

    @Test func sayThatAKeyIsNeeded() throws {
        let up = [try state("gpu", llamaURL, .llamaServer, ["qwen3"])]
        let greeting = Greeting([try address(8484)], up, isSearching: false, needsKey: true)
        let body =
            #"'{"model":"qwen3","stream":true,"messages":[{"role":"user","content":"Hello"}]}'"#
        #expect(
            greeting.lines.last
                == "  curl -N http://127.0.0.1:8484/v1/chat/completions -H 'Authorization: Bearer KEY' -d \(body)"
        )
    }

    @Test func giveTheShellAndJSONTheirQuotes() throws {
        let odd = [try state("gpu", llamaURL, .llamaServer, [#"it's "big""#])]
        let greeting = Greeting([try address(8484)], odd, isSearching: false)
        #expect(greeting.lines.last?.contains(#"-d '{"model":"it'\''s \"big\"","stream""#) == true)
    }

    @Test func nameEightModelsAndThatThereAreMore() throws {
        let nine = (1...9).map { "m\($0)" }
        let all = Greeting([], [try state("a", llamaURL, .openai, nine)], isSearching: false)
        #expect(all.lines.contains("Models: m1, m2, m3, m4, m5, m6, m7, m8, …"))
        let eight = Greeting(
            [], [try state("a", llamaURL, .openai, nine.dropLast())], isSearching: false)
        #expect(eight.lines.contains("Models: m1, m2, m3, m4, m5, m6, m7, m8"))
    }

    @Test func leaveOutTheModelsOfABackendThatIsDown() throws {
        var down = try state("gpu", llamaURL, .llamaServer, ["old"])
        (down.isUp, down.problem) = (false, "is still loading its model")
        let greeting = Greeting([try address(8484)], [down], isSearching: false)
        #expect(greeting.lines.last == "No backend is up yet. Sluice goes on asking.")
    }

    @Test func sayWhereThePageIsUnlessItIsOff() throws {
        let up = [try state("gpu", llamaURL, .llamaServer, ["tiny"])]
        let socket = try #require(SocketAddress(unixPath: "/run/sluice.sock"))
        let address = try address(8484)
        func last(_ addresses: [SocketAddress], _ hasPage: Bool) -> String? {
            Greeting(addresses, up, isSearching: false, hasPage: hasPage).lines.last
        }
        #expect(last([socket, address], true) == "Watch it: http://127.0.0.1:8484/ui")
        #expect(last([address], false)?.hasPrefix("  curl ") == true)
        // Browsers do not speak to these.
        #expect(last([socket], true)?.hasPrefix("  curl ") == true)
    }

    @Test func ofASocketSayHowToReachIt() throws {
        let socket = try #require(SocketAddress(unixPath: "/run/sluice.sock"))
        let greeting = Greeting(
            [socket], [try state("a", llamaURL, .openai, ["m"])], isSearching: false)
        #expect(greeting.lines[0] == "Sluice \(Version.number) listens on unix:/run/sluice.sock")
        #expect(
            greeting.lines.last?.hasPrefix(
                "  curl -N --unix-socket /run/sluice.sock http://localhost/v1/chat/completions -d ")
                == true)
    }
}
