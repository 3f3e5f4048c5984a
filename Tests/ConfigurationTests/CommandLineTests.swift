// What the command line asks for, and how it overrides the file.

import Configuration
import Testing

func options(_ line: String) throws(CommandLineError) -> CommandLineOptions {
    try CommandLineOptions(line.split(separator: " ").map(String.init))
}

@Suite struct CommandLine {
    @Test func withoutArgumentsItServes() throws {
        #expect(try options("") == CommandLineOptions())
        #expect(try options("serve").command == .serve)
    }

    @Test(arguments: [
        "serve --config a.yaml --listen [::1]:1 --listen unix:/s --backend http://a "
            + "--backend ollama=http://b/x=y --check --log json --workers 2 --insecure-no-auth",
        "--config=a.yaml --listen=[::1]:1 --listen=unix:/s --backend=http://a "
            + "--backend=ollama=http://b/x=y --check --log=json --workers=2 --insecure-no-auth serve",
    ])
    func everyOptionIsReadInBothSpellings(_ line: String) throws {
        let options = try options(line)
        #expect(options.command == .serve)
        #expect(options.configurationFile == "a.yaml")
        #expect(options.listen == [.tcp(host: "::1", port: 1), .unix(path: "/s")])
        #expect(options.backends.map(\.kind) == [.auto, .ollama])
        #expect(options.backends.map(\.url.description) == ["http://a", "http://b/x=y"])
        #expect(options.isCheck && options.insecureNoAuth)
        #expect(options.logFormat == .json)
        #expect(options.workers == 2)
    }

    @Test(arguments: [
        ("--version", CommandLineOptions.Command.version), ("--help", .help), ("-h", .help),
        ("--version --help", .help), ("--help --version", .help), ("models --help", .help),
        ("--help models", .help), ("models", .models), ("top --listen 127.0.0.1:1", .top),
        ("models --config a", .models), ("top --check --help", .help),
    ])
    func theCommandIsFound(_ line: String, _ command: CommandLineOptions.Command) throws {
        #expect(try options(line).command == command)
    }

    @Test func topMayTellItOnce() throws {
        #expect(try options("top --once").isOnce)
        #expect(try options("top --json").isJSON)
        #expect(try !options("top").isOnce)
        for command in ["", "models", "serve"] {
            #expect(throws: CommandLineError("--once has a meaning only for \"top\"; leave it out"))
            {
                try options(command + " --once")
            }
        }
    }

    @Test(arguments: [
        ("--confg a", "--confg is no option; did you mean --config?"),
        ("--port 80", "--port is no option; see sluice --help"),
        ("-c a", "-c is no option; see sluice --help"),
        ("--config", "--config has no value; write --config FILE"),
        ("--config --check", "--config has no value; write --config FILE"),
        ("--config=", "--config has no value; write --config FILE"),
        ("--check=yes", "--check takes no value; write only --check"),
        ("--log xml", "--log: \"xml\" is not known; write text or json"),
        ("--workers 0", "--workers: 0 is out of range; write 1 to 256"),
        ("--workers two", "--workers: \"two\" is not a whole number; write digits only"),
        (
            "--backend vllm=http://a",
            "--backend: \"vllm\" is not known; write llama-server, ollama, "
                + "openai or auto"
        ),
        ("--backend a:1", "--backend: \"a:1\" has no scheme; write http://a:1"),
        ("start", "\"start\" is no command; write serve, models or top"),
        ("help", "\"help\" is no command; write serve, models or top"),
        ("http://a", "\"http://a\" is no command; for a backend write --backend http://a"),
        ("a.yaml", "\"a.yaml\" is no command; for a configuration file write --config a.yaml"),
        ("serve models", "\"models\" is a second command; write only one"),
        (
            "models --workers 2",
            "--workers has no meaning for \"models\", which asks a Sluice that "
                + "is running; leave it out"
        ),
    ])
    func aWrongArgumentIsToldWhatIsRight(_ line: String, _ message: String) {
        #expect(throws: CommandLineError(message)) { try options(line) }
    }

    @Test func theHelpNamesEveryOptionAndFitsATerminal() {
        let help = CommandLineOptions.help
        for option in [
            "--config", "--listen", "--backend", "--check", "--log", "--workers",
            "--insecure-no-auth", "--once", "--json", "--version", "--help",
        ] {
            #expect(help.contains("  \(option)") || help.contains(", \(option)"))
        }
        #expect(help.split(separator: "\n").allSatisfy { $0.count <= 90 })
        #expect(help.hasSuffix("\n"))
        #expect(help.contains("default: \(ListenAddress.standard)"))
        #expect(help.contains("default: \(Configuration().workers)\n"))
        #expect(help.contains("default: \(Configuration().log.format.rawValue)\n"))
    }
}

@Suite struct OverridingTheFile {
    @Test func nothingSaidChangesNothing() throws {
        var file = Configuration()
        file.workers = 3
        file.backends = [BackendSettings(name: "gpu", url: try BackendURL("http://gpu"))]
        #expect(try file.applying(options("")) == file)
    }

    @Test func anOptionReplacesItsSettingAsAWhole() throws {
        var file = Configuration()
        file.listen = [.unix(path: "/s")]
        file.log.level = .debug
        file.backends = [BackendSettings(name: "gpu", url: try BackendURL("http://gpu"))]
        let result = try file.applying(
            options(
                "--listen 127.0.0.1:1 --log json --workers 4 --backend http://a --backend "
                    + "ollama=http://b --backend ollama=http://c --backend http://d"))
        #expect(result.listen == [.tcp(host: "127.0.0.1", port: 1)])
        #expect(result.log.format == .json)
        #expect(result.log.level == .debug)
        #expect(result.workers == 4)
        #expect(result.backends.map(\.name) == ["backend", "ollama", "ollama-2", "backend-2"])
        #expect(result.backends.map(\.kind) == [.auto, .ollama, .ollama, .auto])
    }

    @Test func aRuleForABackendThatWasReplacedIsFound() throws {
        var file = Configuration()
        file.backends = [BackendSettings(name: "gpu", url: try BackendURL("http://gpu"))]
        file.models = [ModelRule(name: "fast")]
        file.models[0].backends = ["gpu"]
        let message = "\"gpu\" is not a backend; there is ollama"
        #expect(throws: Fault("models.fast.backends[0]", message)) {
            try file.applying(options("--backend ollama=http://b"))
        }
    }

    @Test func anOpenAddressWithoutKeysIsRefusedUnlessToldOtherwise() throws {
        let message =
            "0.0.0.0:8484 can be reached from other machines, and there are no keys; set keys or "
            + "keys_file, listen on 127.0.0.1, or start with --insecure-no-auth"
        #expect(throws: Fault("listen", message)) {
            try Configuration().applying(options("--listen 0.0.0.0:8484"))
        }
        let open = try Configuration().applying(
            options("--listen 0.0.0.0:8484 --insecure-no-auth"))
        #expect(open.insecureNoAuth)
        var withKeys = Configuration()
        withKeys.keys = [KeySettings(name: "alice", key: Secret("k"))]
        #expect(throws: Never.self) { try withKeys.applying(options("--listen 0.0.0.0:8484")) }
        #expect(throws: Never.self) { try Configuration().applying(options("--listen [::1]:1")) }
    }
}
