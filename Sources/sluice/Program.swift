// What the command line asks for, done: wiring, no logic.

import Configuration
import ConfigurationFile
import Glibc
import SluiceServer

/// The exit codes: 0 fine, 1 failed at run time, 2 wrong usage or configuration.
enum ExitCode: Int32 {
    case fine = 0
    case failed = 1
    case wrongUsage = 2
}

/// One run of `sluice`.
struct Program {
    /// The command line, the program's own name first.
    let arguments: [String]

    func run() -> ExitCode {
        // Swift reads the command line from /proc. Without it every option would be ignored, and the
        // defaults would run in place of what was asked for.
        guard !arguments.isEmpty else {
            return fail(.wrongUsage, "the command line cannot be read: /proc is not mounted")
        }
        let options: CommandLineOptions
        do throws(CommandLineError) {
            options = try CommandLineOptions(Array(arguments.dropFirst()))
        } catch {
            return fail(.wrongUsage, "\(error)\nsluice --help tells all options.")
        }
        switch options.command {
        case .help:
            print(CommandLineOptions.help, terminator: "")
            return .fine
        case .version:
            print("sluice \(Version.number)")
            return .fine
        case .models, .serve, .top: return withConfiguration(options)
        }
    }

    private func withConfiguration(_ options: CommandLineOptions) -> ExitCode {
        let configuration: Configuration
        let isSearching: Bool
        do {
            (configuration, isSearching) = try Self.configuration(options)
        } catch {
            return fail(.wrongUsage, "\(error)")
        }
        switch options.command {
        case .models: return report(askForModels(configuration))
        case .top:
            return report(
                top(configuration, options.isJSON ? .json : options.isOnce ? .once : .live))
        case .serve where options.isCheck:
            return report(checkBackends(configuration, isSearching: isSearching))
        case .serve, .help, .version:
            return serve(configuration, isSearching) { () throws(ReloadError) in
                do {
                    return try Self.configuration(options).configuration
                } catch {
                    throw ReloadError("\(error)".split(separator: "\n").map(String.init))
                }
            }
        }
    }

    /// What file, environment and command line say, and whether that names no backend, so that they
    /// are looked for.
    private static func configuration(
        _ options: CommandLineOptions
    ) throws -> (configuration: Configuration, isSearching: Bool) {
        let file = try options.configurationFile.map {
            try loadConfiguration(path: $0, environment: Self.environment())
        }
        var configuration = try (file ?? Configuration()).applying(options)
        guard configuration.backends.isEmpty else { return (configuration, false) }
        configuration.backends = try Configuration.localBackends(
            ollamaHost: Self.variable("OLLAMA_HOST"), besides: configuration.listen)
        return (configuration, true)
    }

    private func serve(
        _ configuration: Configuration, _ isSearching: Bool,
        _ readAgain: @escaping () throws(ReloadError) -> Configuration
    ) -> ExitCode {
        do throws(StartError) {
            try Server(configuration, isSearching: isSearching, readAgain: readAgain).run()
            return .fine
        } catch {
            return fail(.failed, error.message)
        }
    }

    private func report(_ result: (report: String, isFine: Bool)) -> ExitCode {
        print(result.report, terminator: "")
        return result.isFine ? .fine : .failed
    }

    private func fail(_ code: ExitCode, _ message: String) -> ExitCode {
        var text = message.split(separator: "\n").map { "sluice: \($0)\n" }.joined()
        text.withUTF8 { _ = unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
        return code
    }

    private static func variable(_ name: String) -> String? {
        // The environment is read before any thread is made, and never changed.
        guard let value = unsafe getenv(name) else { return nil }
        return unsafe String(cString: value)
    }

    private static func environment() -> [String: String] {
        var variables: [String: String] = [:]
        var entry = unsafe environ
        while let text = unsafe entry.pointee {
            let parts = unsafe String(cString: text).split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { variables[String(parts[0])] = String(parts[1]) }
            unsafe entry += 1
        }
        return variables
    }
}
