// The functions of jq that take filters, as nodes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "expr/catalogue.hpp"
#include "expr/node.hpp"

namespace millrace::expr {

/// A function whose arguments are filters, given as compiled nodes.
struct FilterEntry {
  std::string_view name;
  std::size_t arity = 0;
  NodePtr (*make)(std::vector<NodePtr> arguments) = nullptr;
};
const std::vector<FilterEntry>& filter_functions();
const FilterEntry* find_filter_function(std::string_view name, std::size_t arity);

std::vector<FilterEntry> selecting_filters();
std::vector<FilterEntry> looping_filters();
std::vector<FilterEntry> ordering_filters();
std::vector<FilterEntry> path_filters();

NodePtr make_recurse_all();

/// test, match, capture, scan, split/2, splits, sub, gsub. Null when there is no such function; a
/// constant pattern that does not compile is reported in `problem`.
NodePtr make_regex(std::string_view name, std::vector<NodePtr>& arguments, std::string& problem);
bool is_regex_function(std::string_view name, std::size_t arity);
std::vector<FunctionName> regex_functions();

}  // namespace millrace::expr
