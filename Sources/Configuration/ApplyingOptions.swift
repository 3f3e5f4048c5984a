// How the command line overrides the configuration file.

extension Configuration {
    /// This configuration with what the command line says instead; then nothing in it is left to
    /// check.
    ///
    /// Each option replaces its setting as a whole: `--backend` does not add to the backends of the
    /// file. Throws what is wrong with the result, a Sluice that is open to the network without
    /// keys included.
    public func applying(_ options: CommandLineOptions) throws(Fault) -> Configuration {
        var result = self
        if !options.listen.isEmpty { result.listen = options.listen }
        if !options.backends.isEmpty { result.backends = Self.backends(options.backends) }
        if let format = options.logFormat { result.log.format = format }
        if let workers = options.workers { result.workers = workers }
        result.insecureNoAuth = options.insecureNoAuth
        if let fault = result.faults().first ?? result.exposureFault() { throw fault }
        return result
    }

    /// Names backends after what they speak, as nobody named them: `ollama`, then `ollama-2`.
    private static func backends(_ arguments: [BackendArgument]) -> [BackendSettings] {
        var counts: [String: Int] = [:]
        return arguments.map { argument in
            let kind = argument.kind == .auto ? "backend" : argument.kind.rawValue
            let count = counts[kind, default: 0] + 1
            counts[kind] = count
            return BackendSettings(
                name: count == 1 ? kind : "\(kind)-\(count)", kind: argument.kind, url: argument.url
            )
        }
    }
}
