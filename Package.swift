// swift-tools-version: 6.2
import PackageDescription

// The arrows of docs/ARCHITECTURE.md. Pure targets import only pure targets; C is seen by EventLoop
// and HTTPTransport (libevent) and by ConfigurationFile (libyaml), always with `internal import`.

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
    // Debug builds check at run time that no two accesses overlap, and all tests run in debug builds.
    // In the release build those checks were a seventh of all instructions for a token.
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

/// Neither regular expressions nor tasks are used; unasked, their runtimes would be linked in.
let withoutRuntimes: SwiftSetting = .unsafeFlags([
    "-Xfrontend", "-disable-implicit-string-processing-module-import",
    "-Xfrontend", "-disable-implicit-concurrency-module-import",
])

func target(_ name: String, _ dependencies: [String] = []) -> Target {
    .target(
        name: name, dependencies: dependencies.map { .init(stringLiteral: $0) },
        swiftSettings: settings + [withoutRuntimes])
}

func tests(_ name: String, _ dependencies: [String], resources: [Resource] = []) -> Target {
    .testTarget(
        name: name, dependencies: dependencies.map { .init(stringLiteral: $0) },
        resources: resources, swiftSettings: settings)
}

let package = Package(
    name: "sluice",
    products: [.executable(name: "sluice", targets: ["sluice"])],
    targets: [
        // The C edge.
        .systemLibrary(
            name: "CLibevent", pkgConfig: "libevent_core libevent_extra",
            providers: [.apt(["libevent-dev"])]),
        .target(name: "CTLS"),
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        target("EventLoop", ["CLibevent"]),
        target("HTTPTransport", ["CLibevent", "CTLS", "EventLoop", "HTTPTypes", "Framing"]),
        target("ConfigurationFile", ["CYAML", "Configuration", "Text"]),

        // Pure: values in, values out.
        target("Text"),
        target("HTTPTypes"),
        target("JSON"),
        target("Framing", ["HTTPTypes"]),
        target("Chat", ["JSON"]),
        target("Dialects", ["JSON", "Chat", "Framing", "Text"]),
        target("Routing", ["Configuration"]),
        target("Relay"),
        target("Configuration", ["Text"]),
        target("Observability", ["Relay"]),

        // Where the two halves meet, and the program.
        target(
            "SluiceServer",
            [
                "EventLoop", "HTTPTransport", "HTTPTypes", "JSON", "Framing", "Chat", "Dialects",
                "Routing", "Relay", "Configuration", "Observability", "Text",
            ]),
        .executableTarget(
            name: "sluice", dependencies: ["SluiceServer", "Configuration", "ConfigurationFile"],
            swiftSettings: settings + [withoutRuntimes]),

        // Tests.
        target("TestSupport"),
        .testTarget(
            name: "TextTests", dependencies: ["Text"],
            // The functions tested, not those of the same name that they stand for.
            swiftSettings: settings + [
                .unsafeFlags([
                    "-Xfrontend", "-disable-implicit-string-processing-module-import",
                ])
            ]),
        tests("HTTPTypesTests", ["HTTPTypes", "TestSupport"]),
        tests("JSONTests", ["JSON", "TestSupport"]),
        tests("FramingTests", ["Framing", "HTTPTypes", "TestSupport"]),
        tests("ChatTests", ["Chat", "JSON", "TestSupport"]),
        tests("DialectsTests", ["Dialects", "Chat", "JSON", "Framing", "TestSupport"]),
        tests("RoutingTests", ["Routing", "Configuration"]),
        tests("RelayTests", ["Relay"]),
        tests("ConfigurationTests", ["Configuration", "ConfigurationFile"]),
        tests("ObservabilityTests", ["Observability", "Relay"]),
        tests("EventLoopTests", ["EventLoop", "TestSupport"]),
        tests(
            "SluiceServerTests",
            [
                "SluiceServer", "Configuration", "EventLoop", "HTTPTransport", "Relay", "Chat",
                "Routing", "Observability", "TestSupport",
            ]),
        tests(
            "ScenarioTests",
            ["SluiceServer", "EventLoop", "HTTPTransport", "Configuration", "JSON", "TestSupport"]),
        tests("TidyTests", []),
    ]
)

// The live page is a part of the program: no file beside it, and no Foundation to find one.
for target in package.targets where target.name == "SluiceServer" {
    target.resources = ["index.html", "app.js", "style.css", "icon.svg"].map {
        .embedInCode("Page/Files/\($0)")
    }
}

for target in package.targets where target.name == "TestSupport" {
    target.path = "Tests/TestSupport"
}
