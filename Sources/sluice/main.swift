// The program's first line. Top-level code is bound to the main actor, so there is no more of it
// than this.

import Glibc

exit(Program(arguments: CommandLine.arguments).run().rawValue)
