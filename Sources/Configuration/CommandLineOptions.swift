// The command line: what can be asked of `sluice`, and how it is read.

internal import Text

/// What the arguments of `sluice` ask for.
///
/// Read in Swift instead of by getopt_long(3): that one keeps its place in global variables,
/// permutes the arguments it is given and writes its own messages, so a table of cases could not
/// test it.
public struct CommandLineOptions: Sendable, Equatable {
    /// What to do.
    public enum Command: String, Sendable, CaseIterable {
        /// Run the proxy, or with `--check` only look whether it could.
        case serve
        /// List the models of the Sluice that is running.
        case models
        /// Show what the Sluice that is running does.
        case top
        /// Print the version.
        case version
        /// Print `CommandLineOptions.help`.
        case help
    }

    /// What to do.
    public var command = Command.serve
    /// The configuration file; `nil`: the defaults.
    public var configurationFile: String?
    /// Where to listen instead of where the file says; empty: as the file says.
    public var listen: [ListenAddress] = []
    /// The backends instead of those of the file; empty: as the file says.
    public var backends: [BackendArgument] = []
    /// Whether to check everything and end.
    public var isCheck = false
    /// The log format instead of the file's.
    public var logFormat: LogFormat?
    /// The number of workers instead of the file's.
    public var workers: Int?
    /// Whether to serve other machines without keys.
    public var insecureNoAuth = false
    /// Whether `top` tells once and ends.
    public var isOnce = false
    /// Whether `top` tells it as JSON, once.
    public var isJSON = false

    /// No arguments.
    public init() {}

    /// Reads the arguments, without the program's name.
    public init(_ arguments: [String]) throws(CommandLineError) {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "-h" {
                command = .help
            } else if argument.hasPrefix("-"), argument != "-" {
                try readOption(argument, &rest)
            } else {
                try readCommand(argument)
            }
        }
        if command == .help || command == .version { return }
        try checkTogether()
    }

    private var hasCommand = false

    private mutating func readCommand(_ word: String) throws(CommandLineError) {
        let commands: [Command] = [.serve, .models, .top]
        guard let found = commands.first(where: { $0.rawValue == word }) else {
            // A URL or file where a command belongs is a forgotten option.
            let hint =
                word.contains("://") || word.hasPrefix("unix:")
                ? "for a backend write --backend \(word)"
                : word.hasSuffix(".yaml") || word.hasSuffix(".yml") || word.hasSuffix(".json")
                    ? "for a configuration file write --config \(word)"
                    : "write serve, models or top"
            throw CommandLineError("\(quoted(word)) is no command; \(hint)")
        }
        guard !hasCommand else {
            throw CommandLineError("\(quoted(word)) is a second command; write only one")
        }
        hasCommand = true
        if command == .serve { command = found }
    }

    private mutating func readOption(
        _ argument: String, _ rest: inout ArraySlice<String>
    ) throws(CommandLineError) {
        let name = String(argument.prefix { $0 != "=" })
        guard let option = Option(rawValue: name) else {
            throw CommandLineError("\(name) is no option; " + Self.suggestion(name))
        }
        var value = name == argument ? nil : String(argument.dropFirst(name.count + 1))
        if let wanted = option.value {
            // A following option is no value: `--config --check` has forgotten the file.
            if value == nil, let next = rest.first, !next.hasPrefix("--") {
                value = rest.removeFirst()
            }
            guard let value, !value.isEmpty else {
                throw CommandLineError("\(name) has no value; write \(name) \(wanted)")
            }
            do {
                try take(option, value)
            } catch {
                throw CommandLineError("\(name): \(error)")
            }
        } else {
            guard value == nil else {
                throw CommandLineError("\(name) takes no value; write only \(name)")
            }
            take(option)
        }
    }

    private mutating func take(_ option: Option) {
        switch option {
        case .check: isCheck = true
        case .insecureNoAuth: insecureNoAuth = true
        case .once: isOnce = true
        case .json: isJSON = true
        case .version: if command != .help { command = .version }
        case .help: command = .help
        case .config, .listen, .backend, .log, .workers: break  // These have a value.
        }
    }

    private mutating func take(_ option: Option, _ value: String) throws(ValueError) {
        switch option {
        case .config: configurationFile = value
        case .listen: listen.append(try ListenAddress(value))
        case .backend: backends.append(try BackendArgument(value))
        case .log: logFormat = try parseChoice(value, as: LogFormat.self)
        case .workers:
            let count = try parseCount(value)
            guard Ranges.workers.contains(count) else {
                throw ValueError(
                    "\(count) is out of range; write \(SettingType.count(Ranges.workers).range)")
            }
            workers = count
        case .check, .insecureNoAuth, .once, .json, .version, .help:
            break  // These have no value.
        }
    }

    /// `models` and `top` ask a Sluice that runs already: only what tells its address has a
    /// meaning.
    private func checkTogether() throws(CommandLineError) {
        for (option, isGiven) in [(Option.once, isOnce), (.json, isJSON)]
        where isGiven && command != .top {
            throw CommandLineError(
                "\(option.rawValue) has a meaning only for \"top\"; leave it out")
        }
        guard command != .serve else { return }
        let meaningless: [(Option, Bool)] = [
            (.backend, !backends.isEmpty), (.check, isCheck), (.log, logFormat != nil),
            (.workers, workers != nil), (.insecureNoAuth, insecureNoAuth),
        ]
        for (option, isGiven) in meaningless where isGiven {
            throw CommandLineError(
                "\(option.rawValue) has no meaning for \(quoted(command.rawValue)), which asks a "
                    + "Sluice that is running; leave it out")
        }
    }

    private static func suggestion(_ name: String) -> String {
        nearestNames(to: name, among: Option.allCases.map(\.rawValue)).first
            .map { "did you mean \($0)?" } ?? "see sluice --help"
    }
}

/// The options by their names.
private enum Option: String, CaseIterable {
    case config = "--config"
    case listen = "--listen"
    case backend = "--backend"
    case check = "--check"
    case log = "--log"
    case workers = "--workers"
    case insecureNoAuth = "--insecure-no-auth"
    case once = "--once"
    case json = "--json"
    case version = "--version"
    case help = "--help"

    /// What a value looks like; `nil` if there is none.
    var value: String? {
        switch self {
        case .config: "FILE"
        case .listen: "127.0.0.1:8484"
        case .backend: "http://127.0.0.1:8080"
        case .log: "text or json"
        case .workers: "1"
        case .check, .insecureNoAuth, .once, .json, .version, .help: nil
        }
    }
}

/// A backend as the command line names it: `URL` or `KIND=URL`.
public struct BackendArgument: Sendable, Equatable {
    /// What it speaks.
    public var kind: BackendKind
    /// Where it is.
    public var url: BackendURL

    /// Reads `[KIND=]URL`. An `=` further on belongs to the URL.
    public init(_ text: String) throws(ValueError) {
        let word = text.prefix { $0.isLetter || $0 == "-" }
        guard text.dropFirst(word.count).hasPrefix("=") else {
            kind = .auto
            url = try BackendURL(text)
            return
        }
        kind = try parseChoice(String(word), as: BackendKind.self)
        url = try BackendURL(String(text.dropFirst(word.count + 1)))
    }
}

/// Arguments that `sluice` cannot follow.
public struct CommandLineError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong, and what would be right.
    public let description: String

    /// Tells what is wrong, and what would be right.
    public init(_ description: String) { self.description = description }
}
