// What `sluice --help` prints.

extension CommandLineOptions {
    /// The whole help text, at most 90 columns wide, with a closing line feed.
    public static let help = """
        Sluice gives clients one OpenAI-compatible API in front of llama-server and Ollama.

        Usage: sluice [serve] [options]     run the proxy
               sluice models [options]      list the models of the Sluice that is running
               sluice top [options]         show what the Sluice that is running does

        Options:
          --config FILE            settings, as YAML or JSON; default: none, all settings have
                                   their defaults
          --listen ADDRESS         where clients connect: HOST:PORT, [IPV6]:PORT or unix:/PATH;
                                   may be repeated; default: 127.0.0.1:8484
          --backend [KIND=]URL     a server to pass requests to; may be repeated. KIND is
                                   llama-server, ollama or openai; without it the server is
                                   asked. Default: llama-server on 127.0.0.1:8080, and Ollama
                                   where OLLAMA_HOST says or on 127.0.0.1:11434
          --check                  check settings and backends, report, and end
          --log text|json          the shape of log lines; default: text
          --workers N              event loops, each in its own thread; default: 1
          --insecure-no-auth       serve other machines although no keys are set
          --once                   top: tell it once and end, as a script wants it
          --json                   top: the same as JSON
          --version                print the version
          -h, --help               print this text

        An option replaces what the file says about the same thing. --option=value is the same
        as --option value. The commands models and top take --config and --listen, to find the
        Sluice they ask.

        Examples:
          sluice
              find the servers on this machine, and serve http://127.0.0.1:8484/v1
          sluice --backend http://127.0.0.1:8080 --backend ollama=http://box:11434
              put two servers behind one address
          sluice --config /etc/sluice/sluice.yaml --check
              find mistakes before a restart does
          sluice models
              see which names a client can ask for
          sluice top
              watch it work; q ends it. The same as a page: http://127.0.0.1:8484/ui

        Environment:
          OLLAMA_HOST              where Ollama is, when no backend is named
          any                      ${NAME} in a value of the configuration file

        Signals:
          SIGTERM, SIGINT          finish the streams (at most timeouts.drain), then end; at once
                                   when sent again
          SIGHUP                   read the configuration file again

        Exit codes:
          0    fine
          1    failed at run time; with --check: something is wrong
          2    wrong usage or configuration

        """
}
