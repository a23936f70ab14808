// What to say about a name that cannot be resolved: not supported, another number of arguments, or
// misspelt.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::expr {

struct FunctionName {
  std::string name;
  std::size_t arity = 0;
};
struct Unknown {
  std::string message;
  bool not_supported = false;
};
/// `own` are the functions defined in the program; the built-in ones are known.
Unknown explain_unknown(const FunctionName& wanted, std::vector<FunctionName> own);

/// The candidate closest to `name`, or empty when none is near.
std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace millrace::expr
