// The functions of jq and our own whose arguments are plain values. Those that take filters are
// nodes (filters.hpp).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "expr/nodes.hpp"

namespace millrace::expr {

/// Writes the result for one input and one combination of arguments to `out`, which is no operand.
using ValueFunction = bool (*)(Evaluation& state, const Json& input, const Json* const* arguments,
                               Json& out);

struct FunctionEntry {
  std::string_view name;
  std::size_t arity = 0;
  ValueFunction run = nullptr;
  bool needs_host = false;
};

/// The entry for name/arity, or null.
const FunctionEntry* find_value_function(std::string_view name, std::size_t arity);
const std::vector<FunctionEntry>& value_functions();

// The parts of the table, one per file.
std::vector<FunctionEntry> text_functions();
std::vector<FunctionEntry> number_functions();
std::vector<FunctionEntry> container_functions();
std::vector<FunctionEntry> date_functions();
std::vector<FunctionEntry> host_functions();

/// A node that calls `entry` for every combination of its arguments' outputs.
NodePtr make_value_call(const FunctionEntry& entry, std::vector<NodePtr> arguments);

/// The formatter of `@name`, or null.
FormatFunction find_format(std::string_view name);
/// jq's tostring, appended.
bool append_text(Evaluation& state, const Json& value, std::string& out);
NodePtr make_format(FormatFunction format);

/// Sorts stably in jq's order.
bool sort_values(Evaluation& state, std::vector<Json>& values);
/// Appends copies of the values of an array or object; fails as `.[]` does for others.
bool collect_values(Evaluation& state, const Json& input, std::vector<Json>& values);
/// Problem of an argument that is known when compiling (time zones), or empty.
std::string check_constant(const FunctionEntry& entry, std::size_t argument, const Json& value);

}  // namespace millrace::expr
