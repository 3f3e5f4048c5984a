// Which names lead where.

import Configuration
import Routing
import Testing

/// A table over backends that are written as `name` or, for one that is down, `name!`, with the ids
/// of their models.
func table(
    _ backends: KeyValuePairs<String, [String]>, kind: BackendKind = .llamaServer,
    _ change: (inout Configuration) -> Void = { _ in }
) -> RouteTable {
    var configuration = Configuration()
    change(&configuration)
    let facts = backends.map { name, ids in
        BackendModels(
            name: name.replacing("!", with: ""), kind: kind, isUp: !name.hasSuffix("!"),
            models: ids.map { ModelInfo(id: $0) })
    }
    return RouteTable(configuration, backends: facts)
}

func rule(_ name: String, _ change: (inout ModelRule) -> Void = { _ in }) -> ModelRule {
    var rule = ModelRule(name: name)
    change(&rule)
    return rule
}

/// A resolution in a line: `gpu/qwen3 box/qwen3`, with `>n` before a route of the n-th fallback.
func text(_ resolution: Resolution) -> String {
    switch resolution {
    case .routes(let routes):
        routes.map { ($0.tier > 0 ? ">\($0.tier) " : "") + "\($0.backend)/\($0.upstreamModel)" }
            .joined(separator: " ")
    case .unknownModel(let name, let nearest): "unknown \(name): \(nearest.joined(separator: ", "))"
    case .noModelNamed: "no model named"
    case .noBackend(let model): "no backend for \(model ?? "anything")"
    }
}

@Suite struct NamesOfModels {
    @Test func aNameGoesToEveryBackendThatHasIt() {
        let table = table(["gpu": ["qwen3"], "box": ["qwen3", "gemma"]])
        #expect(text(table.resolve("qwen3")) == "gpu/qwen3 box/qwen3")
        #expect(text(table.resolve("gemma")) == "box/gemma")
    }

    @Test func theClientGetsTheNameItAskedFor() {
        let table = table(["gpu": ["qwen3-8b"]]) {
            $0.models = [rule("fast") { $0.model = "qwen3-8b" }]
        }
        let route = Route(
            backend: "gpu", upstreamModel: "qwen3-8b", clientModel: "fast",
            rule: rule("fast") { $0.model = "qwen3-8b" })
        #expect(table.resolve("fast") == .routes([route]))
    }

    @Test func anUnknownNameNamesTheNearestAndNeverTheDefault() {
        let table = table(["gpu": ["qwen3", "gemma"]]) { $0.defaultModel = "gemma" }
        #expect(text(table.resolve("qwen")) == "unknown qwen: qwen3")
        #expect(text(table.resolve("mistral")) == "unknown mistral: ")
        #expect(text(table.resolve("")) == "unknown : ")
    }

    @Test func llama3FindsLlama3LatestOnOllama() {
        let names = table(["box": ["llama3:latest", "phi:2b"]], kind: .ollama)
        #expect(text(names.resolve("llama3")) == "box/llama3:latest")
        #expect(text(names.resolve("llama3:latest")) == "box/llama3:latest")
        #expect(text(names.resolve("phi")) == "unknown phi: phi:2b")
        let others = table(["gpu": ["llama3:latest"]])
        #expect(text(others.resolve("llama3")) == "unknown llama3: llama3:latest")
    }

    @Test(arguments: ["llama3", "llama3:latest"])
    func aRuleHoldsForBothSpellingsOfLatest(_ name: String) {
        let capped = rule(name) { $0.caps = [FieldCap(name: "n", limit: 1, json: "1")] }
        let table = table(["box": ["llama3:latest"]], kind: .ollama) { $0.models = [capped] }
        for asked in ["llama3", "llama3:latest"] {
            let route = Route(
                backend: "box", upstreamModel: "llama3:latest", clientModel: asked, rule: capped)
            #expect(table.resolve(asked) == .routes([route]))
        }
    }

    @Test func elsewhereTheTwoSpellingsAreTwoModels() {
        let capped = rule("llama3") { $0.drop = ["seed"] }
        let table = table(["gpu": ["llama3", "llama3:latest"]]) { $0.models = [capped] }
        let route = Route(
            backend: "gpu", upstreamModel: "llama3:latest", clientModel: "llama3:latest")
        #expect(table.resolve("llama3:latest") == .routes([route]))
    }

    @Test func anAliasThatABackendListsComesAfterARealName() {
        let gpu = BackendModels(
            name: "gpu", kind: .llamaServer, isUp: true,
            models: [ModelInfo(id: "qwen3.gguf", aliases: ["qwen3", "gemma"])])
        let box = BackendModels(
            name: "box", kind: .ollama, isUp: true, models: [ModelInfo(id: "gemma")])
        let table = RouteTable(Configuration(), backends: [gpu, box])
        #expect(text(table.resolve("qwen3")) == "gpu/qwen3.gguf")
        #expect(text(table.resolve("gemma")) == "box/gemma")
    }

    @Test func aFixedListReplacesWhatTheBackendSays() throws {
        var settings = BackendSettings(name: "gpu", url: try BackendURL("http://gpu"))
        settings.models = ["qwen3"]
        let table = table(["gpu": ["/models/Qwen3-8B.gguf"]]) { $0.backends = [settings] }
        #expect(text(table.resolve("qwen3")) == "gpu/qwen3")
        #expect(text(table.resolve("/models/Qwen3-8B.gguf")).hasPrefix("unknown"))
    }
}

@Suite struct RulesOfModels {
    @Test func aConfiguredNameWinsOverAModelOfTheSameName() {
        let table = table(["gpu": ["fast", "qwen3"]]) {
            $0.models = [rule("fast") { $0.model = "qwen3" }]
        }
        #expect(text(table.resolve("fast")) == "gpu/qwen3")
    }

    @Test func aRuleChoosesTheBackendsAndTheirOrder() {
        let table = table(["gpu": ["m"], "box": ["m"], "old": ["m"]]) {
            $0.models = [rule("m") { $0.backends = ["old", "gpu"] }]
        }
        #expect(text(table.resolve("m")) == "old/m gpu/m")
    }

    @Test func aPatternLeadsOtherNamesToAModel() {
        let table = table(["gpu": ["qwen3", "gpt-oss"]]) {
            $0.models = [
                rule("*") { $0.model = "gpt-oss" }, rule("gpt-*") { $0.model = "qwen3" },
            ]
        }
        #expect(text(table.resolve("gpt-4o")) == "gpu/qwen3")
        #expect(text(table.resolve("claude")) == "gpu/gpt-oss")
        // A model that is there is meant, whatever the patterns say.
        let plain = Route(backend: "gpu", upstreamModel: "gpt-oss", clientModel: "gpt-oss")
        #expect(table.resolve("gpt-oss") == .routes([plain]))
    }

    @Test func aPatternThatLeadsNowhereElseIsARuleForModelsOfSuchNames() {
        let small = rule("qwen*") { $0.backends = ["box"] }
        let table = table(["gpu": ["qwen3"], "box": ["qwen3"]]) { $0.models = [small] }
        let route = Route(
            backend: "box", upstreamModel: "qwen3", clientModel: "qwen3", rule: small)
        #expect(table.resolve("qwen3") == .routes([route]))
        #expect(text(table.resolve("qwen4")) == "unknown qwen4: qwen3")
    }

    @Test func ofTwoPatternsTheMoreParticularCountsThenTheFirst() {
        let table = table(["gpu": ["a", "b", "c"]]) {
            $0.models = [
                rule("x*") { $0.model = "a" }, rule("x-*-y") { $0.model = "b" },
                rule("x-y*-") { $0.model = "c" },
            ]
        }
        #expect(text(table.resolve("x-1-y")) == "gpu/b")
        #expect(text(table.resolve("x-y1-")) == "gpu/c")
        #expect(text(table.resolve("x-y-y-")) == "gpu/c")
        #expect(text(table.resolve("x1")) == "gpu/a")
    }

    @Test func fallbacksComeAfterTheOwnRoutesEachOnce() {
        let table = table(["gpu": ["big", "small"], "box": ["small", "tiny"]]) {
            $0.models = [
                rule("best") {
                    $0.model = "big"
                    $0.fallback = ["little", "nosuch", "tiny", "big"]
                },
                rule("little") {
                    $0.model = "small"
                    $0.fallback = ["best"]
                },
            ]
        }
        #expect(
            text(table.resolve("best")) == "gpu/big >1 gpu/small >1 box/small >3 box/tiny")
        // A fallback's own fallbacks are not followed, so two names may stand in for each other.
        #expect(text(table.resolve("little")) == "gpu/small box/small >1 gpu/big")
    }

    @Test func aFallbackKeepsItsOwnRuleAndTheNameTheClientUsed() throws {
        let little = rule("little") { $0.thinkTags = true }
        let table = table(["gpu": ["little"]]) {
            $0.models = [rule("best") { $0.fallback = ["little"] }, little]
        }
        guard case .routes(let routes) = table.resolve("best") else {
            Issue.record("no routes")
            return
        }
        #expect(routes.map(\.clientModel) == ["best"])
        #expect(routes.map(\.rule) == [little])
        #expect(routes.map(\.tier) == [1])
    }
}

@Suite struct RequestsWithoutAModel {
    @Test func theDefaultIsTaken() {
        let table = table(["gpu": ["a", "b"]]) { $0.defaultModel = "b" }
        #expect(text(table.resolve(nil)) == "gpu/b")
    }

    @Test func elseTheOnlyModelThereIsInHoweverManyPlaces() {
        #expect(text(table(["gpu": ["a"], "box": ["a"]]).resolve(nil)) == "gpu/a box/a")
        #expect(text(table(["gpu": ["a"], "box": ["b"]]).resolve(nil)) == "no model named")
    }

    @Test func aModelThatIsDownStillCounts() {
        #expect(text(table(["gpu": ["a"], "box!": ["b"]]).resolve(nil)) == "no model named")
        #expect(text(table(["gpu!": ["a"]]).resolve(nil)) == "no backend for a")
    }

    @Test func aDefaultThatNobodyHasIsUnknown() {
        let table = table(["gpu": ["qwen3"]]) { $0.defaultModel = "qwen4" }
        #expect(text(table.resolve(nil)) == "unknown qwen4: qwen3")
    }

    @Test func aDefaultThatTheClientMayNotUseIsNoDefaultForIt() {
        let table = table(["gpu": ["a", "b", "c"]]) { $0.defaultModel = "b" }
        #expect(text(table.resolve(nil) { $0 != "b" }) == "no model named")
        #expect(text(table.resolve(nil) { $0 == "c" }) == "gpu/c")
    }

    @Test func aClientThatMayUseOneNameMeansThatOne() {
        let table = table(["gpu": ["a", "b"]]) { $0.models = [rule("fast") { $0.model = "a" }] }
        #expect(text(table.resolve(nil) { $0 == "b" }) == "gpu/b")
        #expect(text(table.resolve(nil) { $0 == "fast" }) == "gpu/a")
        #expect(text(table.resolve(nil) { _ in false }) == "no model named")
    }
}

@Suite struct BackendsThatAreDown {
    @Test func theyGetNoRequests() {
        #expect(text(table(["gpu!": ["a"], "box": ["a"]]).resolve("a")) == "box/a")
    }

    @Test func theirModelsAreNotUnknown() {
        let down = table(["gpu!": ["a"], "box": ["b"]])
        #expect(text(down.resolve("a")) == "no backend for a")
        #expect(text(down.resolve("c")) == "unknown c: b")
    }

    @Test func aConfiguredNameIsNotUnknownWhileABackendThatMayServeItIsDown() {
        let models = [rule("fast") { ($0.backends, $0.model) = (["gpu"], "qwen3") }]
        let down = table(["gpu!": [], "box": ["b"]]) { $0.models = models }
        #expect(text(down.resolve("fast")) == "no backend for fast")
        let lacking = table(["gpu": ["gemma"], "box!": ["b"]]) { $0.models = models }
        #expect(text(lacking.resolve("fast")) == "unknown fast: ")
    }

    @Test func aFallbackServesMeanwhile() {
        let down = table(["gpu!": ["big"], "box": ["small"]]) {
            $0.models = [rule("big") { $0.fallback = ["small"] }]
        }
        #expect(text(down.resolve("big")) == "> box/small".replacing(">", with: ">1"))
    }

    @Test func whoMayWaitForThemIsLedToThemToo() {
        let table = table(["gpu!": ["a"], "box": ["a", "b"], "old!": ["b"]]) {
            $0.models = [rule("a") { $0.fallback = ["b"] }]
        }
        #expect(
            text(table.resolve("a", includingDown: true))
                == "gpu/a box/a >1 box/b >1 old/b")
        #expect(text(table.resolve("a")) == "box/a >1 box/b")
        #expect(text(table.resolve("zzz", includingDown: true)).hasPrefix("unknown"))
    }

    @Test func withNothingKnownAllNamesWait() {
        #expect(text(table(["gpu!": []]).resolve("a")) == "no backend for anything")
        #expect(text(table([:]).resolve(nil)) == "no backend for anything")
    }
}

@Suite struct NamesAClientMayNotUse {
    @Test func theyLookUnknownAndAreNotSuggested() {
        let table = table(["gpu": ["qwen3", "qwen2"]])
        #expect(text(table.resolve("qwen3") { $0 != "qwen3" }) == "unknown qwen3: qwen2")
        #expect(table.listing { $0 != "qwen3" }.map(\.id) == ["qwen2"])
    }
}

@Suite struct ListOfModels {
    @Test func itIsMergedSortedAndWithoutPatterns() {
        let gpu = BackendModels(
            name: "gpu", kind: .llamaServer, isUp: true,
            models: [ModelInfo(id: "qwen3", created: 20), ModelInfo(id: "Alpha", created: 5)])
        let box = BackendModels(
            name: "box", kind: .ollama, isUp: true,
            models: [ModelInfo(id: "qwen3", created: 10, ownedBy: "library")])
        var configuration = Configuration()
        configuration.models = [
            rule("fast") { $0.model = "qwen3" }, rule("gpt-*") { $0.model = "qwen3" },
            rule("qwen3"), rule("lost") { $0.model = "nosuch" },
        ]
        let listing = RouteTable(configuration, backends: [gpu, box]).listing()
        #expect(listing.map(\.id) == ["Alpha", "fast", "qwen3"])
        #expect(listing.map(\.backends) == [["gpu"], ["gpu", "box"], ["gpu", "box"]])
        #expect(listing.map(\.created) == [5, 10, 10])
        #expect(listing.map(\.ownedBy) == [nil, "library", "library"])
    }

    @Test func everyListedNameCanBeAskedFor() {
        let table = table(["gpu": ["a", "b:latest"], "box!": ["c"]], kind: .ollama) {
            $0.models = [rule("x") { $0.backends = ["box"] }, rule("y") { $0.model = "b" }]
        }
        let names = table.listing().map(\.id)
        #expect(names == ["a", "b:latest", "y"])
        for name in names {
            guard case .routes = table.resolve(name) else {
                Issue.record("\(name) is listed and has no route")
                continue
            }
        }
    }
}
