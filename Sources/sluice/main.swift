// The program: arguments, then the server.

import SluiceServer

exitProcess(runSluice(arguments: Array(CommandLine.arguments.dropFirst())))
