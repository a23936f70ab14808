// The command line `millrace`: parses, runs one command, returns its exit code (0 ok, 1 findings,
// 2 usage or cannot run).
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "millrace/clock.hpp"

namespace millrace::cli {

/// `arguments` without the program's name.
int run_command_line(std::vector<std::string> arguments, std::istream& in, std::ostream& out,
                     std::ostream& err, WallTime now);

}  // namespace millrace::cli
