// `millrace eval EXPR`: tries an expression on JSON from a stream, one output a line.
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>

namespace millrace::expr {

/// Reads JSON texts (one document, or one a line) from `in`. Returns the exit code: 0, 1 after a
/// run-time error or unreadable input, 2 when the program does not compile or is not supported.
/// `functions`: definitions it may use.
int run_eval(std::string_view program, const std::string& functions, std::istream& in,
             std::ostream& out, std::ostream& err);

}  // namespace millrace::expr
