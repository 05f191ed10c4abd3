// The program `larder`: a table of subcommands, one line for each error, and an exit code that scripts can trust.
#pragma once

namespace larder::cli {

// 0: done. 1: what was named is not there. 2: the command line is wrong. Else the exit code of the error, as
// base/error_table.h has it.
int run(int argc, const char* const* argv);

}  // namespace larder::cli
